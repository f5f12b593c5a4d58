// Operators of integer networks that hls4ml lacks, on whole arrays (io_parallel); ap_int and ac_int alike.
//
// An array holds a tensor in row-major order, channels last. CONFIG_T carries the sizes, `reuse` (cycles until the
// next frame may enter) and the types; parameters come as arrays, one row for each channel, or for each element.
#ifndef CODESIGN_H_
#define CODESIGN_H_

namespace codesign {

enum operation { sum_of = 0, most_of = 1, least_of = 2 };

// --- functions of one element ---------------------------------------------------------------------------------

// y = base + step * (number of thresholds t with x >= t); thresholds ascend in each row.
template <class x_T, class y_T, class CONFIG_T> struct threshold {
    static y_T apply(const x_T &x, unsigned row, const typename CONFIG_T::thresholds_t *thresholds,
                     const typename CONFIG_T::base_t *base, const typename CONFIG_T::step_t *step) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::sum_t sum_t;
        const unsigned first = row * CONFIG_T::steps;
        unsigned count = 0;
        if (CONFIG_T::steps <= CONFIG_T::few) {
        Compare:
            for (unsigned k = 0; k < CONFIG_T::steps; k++) {
                #pragma HLS UNROLL
                #pragma unroll
                count += sum_t(x) >= sum_t(thresholds[first + k]) ? 1 : 0;
            }
        } else {
        Search: // the highest bit of the count first
            for (unsigned bit = CONFIG_T::highest; bit > 0; bit >>= 1) {
                #pragma HLS UNROLL
                #pragma unroll
                const unsigned more = count + bit;
                if (more <= CONFIG_T::steps && sum_t(x) >= sum_t(thresholds[first + more - 1]))
                    count = more;
            }
        }
        return y_T(sum_t(base[row]) + sum_t(step[row]) * sum_t(count));
    }
};

// y = round((x * multiplier + offset) / 2**shift) within low..high; half to even, or the lower integer.
template <class x_T, class y_T, class CONFIG_T> struct requant {
    static y_T apply(const x_T &x, unsigned row, const typename CONFIG_T::multiplier_t *multiplier,
                     const typename CONFIG_T::offset_t *offset) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::sum_t sum_t;
        sum_t total = sum_t(x) * sum_t(multiplier[row]) + sum_t(offset[row]);
        sum_t y = total;
        if (CONFIG_T::shift > 0 && CONFIG_T::half_even) {
            const sum_t half_up = total + sum_t(CONFIG_T::half);
            y = half_up >> CONFIG_T::shift;
            const sum_t rest = half_up - (y << CONFIG_T::shift);
            const bool odd = (y & sum_t(1)) == sum_t(1);
            if (rest == sum_t(0) && odd)
                y = y - sum_t(1);
        } else if (CONFIG_T::shift > 0) {
            y = total >> CONFIG_T::shift;
        }
        if (y < sum_t(CONFIG_T::low))
            y = sum_t(CONFIG_T::low);
        if (y > sum_t(CONFIG_T::high))
            y = sum_t(CONFIG_T::high);
        return y_T(y);
    }
};

// y = values[row][x - low].
template <class x_T, class y_T, class CONFIG_T> struct table {
    static y_T apply(const x_T &x, unsigned row, const typename CONFIG_T::values_t *values) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::sum_t sum_t;
        const unsigned place = (sum_t(x) - sum_t(CONFIG_T::low)).to_uint();
        return y_T(values[row * CONFIG_T::entries + place]);
    }
};

// y = x * factor + term.
template <class x_T, class y_T, class CONFIG_T> struct affine {
    static y_T apply(const x_T &x, unsigned row, const typename CONFIG_T::factor_t *factor,
                     const typename CONFIG_T::term_t *term) {
        #pragma HLS INLINE
        typedef typename CONFIG_T::sum_t sum_t;
        return y_T(sum_t(x) * sum_t(factor[row]) + sum_t(term[row]));
    }
};

// One of the functions above on every element; element i takes row i modulo the number of rows.
template <template <class, class, class> class op, class data_T, class res_T, class CONFIG_T, class... P>
void each(data_T data[CONFIG_T::size], res_T res[CONFIG_T::size], const P *...parameters) {
    #pragma HLS PIPELINE II = CONFIG_T::reuse
Elements:
    for (unsigned i = 0; i < CONFIG_T::size; i++) {
        res[i] = op<data_T, res_T, CONFIG_T>::apply(data[i], i % CONFIG_T::rows, parameters...);
    }
}

// --- windows and images ---------------------------------------------------------------------------------------

template <class acc_T, class x_T> acc_T combined(unsigned op, bool first, const acc_T &so_far, const x_T &x) {
    #pragma HLS INLINE
    const acc_T value = acc_T(x);
    if (first)
        return value;
    if (op == sum_of)
        return acc_T(so_far + value);
    if (op == most_of)
        return value > so_far ? value : so_far;
    return value < so_far ? value : so_far;
}

// Sum, largest or smallest of each window (rows, columns, channels), strided and dilated, never padded.
template <class data_T, class res_T, class CONFIG_T>
void pool(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::channels],
          res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::channels]) {
    #pragma HLS PIPELINE II = CONFIG_T::reuse
    for (unsigned r = 0; r < CONFIG_T::out_height; r++) {
        for (unsigned c = 0; c < CONFIG_T::out_width; c++) {
            for (unsigned channel = 0; channel < CONFIG_T::channels; channel++) {
                res_T so_far = 0;
                for (unsigned i = 0; i < CONFIG_T::kernel_height; i++) {
                    for (unsigned j = 0; j < CONFIG_T::kernel_width; j++) {
                        const unsigned row = r * CONFIG_T::stride_height + i * CONFIG_T::dilation_height;
                        const unsigned column = c * CONFIG_T::stride_width + j * CONFIG_T::dilation_width;
                        const unsigned place = (row * CONFIG_T::in_width + column) * CONFIG_T::channels + channel;
                        so_far = combined<res_T, data_T>(CONFIG_T::combine, i + j == 0, so_far, data[place]);
                    }
                }
                res[(r * CONFIG_T::out_width + c) * CONFIG_T::channels + channel] = so_far;
            }
        }
    }
}

// Where a row (or column) of a padded image comes from, or -1: a border, or a gap between two rows.
inline int padded_from(int place, int before, int gap, int count) {
    #pragma HLS INLINE
    const int inside = place - before;
    if (inside < 0 || inside % (gap + 1) != 0 || inside / (gap + 1) >= count)
        return -1;
    return inside / (gap + 1);
}

// A border of CONFIG_T::value around (and, with gaps, between) rows and columns.
template <class data_T, class res_T, class CONFIG_T>
void pad(data_T data[CONFIG_T::in_height * CONFIG_T::in_width * CONFIG_T::channels],
         res_T res[CONFIG_T::out_height * CONFIG_T::out_width * CONFIG_T::channels]) {
    #pragma HLS PIPELINE II = CONFIG_T::reuse
    for (int r = 0; r < (int)CONFIG_T::out_height; r++) {
        const int row = padded_from(r, CONFIG_T::before_height, CONFIG_T::gap_height, CONFIG_T::in_height);
        for (int c = 0; c < (int)CONFIG_T::out_width; c++) {
            const int column = padded_from(c, CONFIG_T::before_width, CONFIG_T::gap_width, CONFIG_T::in_width);
            for (int channel = 0; channel < (int)CONFIG_T::channels; channel++) {
                const int place = (row * (int)CONFIG_T::in_width + column) * (int)CONFIG_T::channels + channel;
                const int to = (r * (int)CONFIG_T::out_width + c) * (int)CONFIG_T::channels + channel;
                res[to] = row < 0 || column < 0 ? res_T(CONFIG_T::value) : res_T(data[place]);
            }
        }
    }
}

// --- reductions and moves -------------------------------------------------------------------------------------

// (outer, reduced, inner) -> (outer, inner).
template <class data_T, class res_T, class CONFIG_T>
void reduce(data_T data[CONFIG_T::outer * CONFIG_T::reduced * CONFIG_T::inner],
            res_T res[CONFIG_T::outer * CONFIG_T::inner]) {
    #pragma HLS PIPELINE II = CONFIG_T::reuse
    for (unsigned o = 0; o < CONFIG_T::outer; o++) {
        for (unsigned k = 0; k < CONFIG_T::reduced; k++) {
            for (unsigned i = 0; i < CONFIG_T::inner; i++) {
                const unsigned to = o * CONFIG_T::inner + i;
                const data_T x = data[(o * CONFIG_T::reduced + k) * CONFIG_T::inner + i];
                res[to] = combined<res_T, data_T>(CONFIG_T::combine, k == 0, res[to], x);
            }
        }
    }
}

// The place of the first largest (or smallest) of every `classes` elements.
template <class data_T, class res_T, class CONFIG_T>
void argmax(data_T data[CONFIG_T::outer * CONFIG_T::classes], res_T res[CONFIG_T::outer]) {
    #pragma HLS PIPELINE II = CONFIG_T::reuse
    for (unsigned o = 0; o < CONFIG_T::outer; o++) {
        data_T best = data[o * CONFIG_T::classes];
        unsigned place = 0;
        for (unsigned k = 1; k < CONFIG_T::classes; k++) {
            const data_T x = data[o * CONFIG_T::classes + k];
            if (CONFIG_T::least ? x < best : x > best) {
                best = x;
                place = k;
            }
        }
        res[o] = res_T(place);
    }
}

// res[i] = data[places[i]].
template <class data_T, class res_T, class CONFIG_T>
void reorder(data_T data[CONFIG_T::in_size], res_T res[CONFIG_T::out_size],
             const typename CONFIG_T::places_t places[CONFIG_T::out_size]) {
    #pragma HLS PIPELINE II = CONFIG_T::reuse
    for (unsigned i = 0; i < CONFIG_T::out_size; i++) {
        res[i] = res_T(data[places[i].to_uint()]);
    }
}

// (outer, first) and (outer, second) -> (outer, first + second).
template <class first_T, class second_T, class res_T, class CONFIG_T>
void join(first_T first[CONFIG_T::outer * CONFIG_T::first], second_T second[CONFIG_T::outer * CONFIG_T::second],
          res_T res[CONFIG_T::outer * (CONFIG_T::first + CONFIG_T::second)]) {
    #pragma HLS PIPELINE II = CONFIG_T::reuse
    for (unsigned o = 0; o < CONFIG_T::outer; o++) {
        const unsigned to = o * (CONFIG_T::first + CONFIG_T::second);
        for (unsigned i = 0; i < CONFIG_T::first; i++) {
            res[to + i] = res_T(first[o * CONFIG_T::first + i]);
        }
        for (unsigned i = 0; i < CONFIG_T::second; i++) {
            res[to + CONFIG_T::first + i] = res_T(second[o * CONFIG_T::second + i]);
        }
    }
}

} // namespace codesign
#endif
