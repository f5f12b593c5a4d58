// The operators of codesign.h on streams (io_stream): a beat carries the last axis of a tensor.
#ifndef CODESIGN_STREAM_H_
#define CODESIGN_STREAM_H_

#include "codesign.h"
#include "hls_stream.h"

namespace codesign {

template <template <class, class, class> class op, class data_T, class res_T, class CONFIG_T, class... P>
void each(hls::stream<data_T> &data, hls::stream<res_T> &res, const P *...parameters) {
    typedef op<typename data_T::value_type, typename res_T::value_type, CONFIG_T> function;
Beats:
    for (unsigned beat = 0; beat < CONFIG_T::size / data_T::size; beat++) {
        #pragma HLS PIPELINE II = CONFIG_T::reuse
        const data_T x = data.read();
        res_T y;
        const unsigned first = CONFIG_T::rows > data_T::size ? beat * data_T::size : 0;
    Lanes:
        for (unsigned i = 0; i < data_T::size; i++) {
            #pragma HLS UNROLL
            y[i] = function::apply(x[i], (first + i) % CONFIG_T::rows, parameters...);
        }
        res.write(y);
    }
}

// Keeps as many rows as a window reaches over; row r of the image stands at r modulo that number.
template <class data_T, class res_T, class CONFIG_T> void pool(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    typedef typename data_T::value_type x_T;
    typedef typename res_T::value_type y_T;
    const unsigned height = (CONFIG_T::kernel_height - 1) * CONFIG_T::dilation_height + 1;
    const unsigned width = (CONFIG_T::kernel_width - 1) * CONFIG_T::dilation_width + 1;
    x_T rows[height][CONFIG_T::in_width][CONFIG_T::channels];
    #pragma HLS ARRAY_PARTITION variable = rows complete dim = 1
    #pragma HLS ARRAY_PARTITION variable = rows complete dim = 3
    for (unsigned r = 0; r < CONFIG_T::in_height; r++) {
        for (unsigned c = 0; c < CONFIG_T::in_width; c++) {
            #pragma HLS PIPELINE II = CONFIG_T::reuse
            const data_T x = data.read();
            for (unsigned channel = 0; channel < CONFIG_T::channels; channel++) {
                #pragma HLS UNROLL
                rows[r % height][c][channel] = x[channel];
            }
            if (r + 1 < height || c + 1 < width || (r + 1 - height) % CONFIG_T::stride_height != 0 ||
                (c + 1 - width) % CONFIG_T::stride_width != 0)
                continue;
            res_T y;
            for (unsigned channel = 0; channel < CONFIG_T::channels; channel++) {
                y_T so_far = 0;
                for (unsigned i = 0; i < CONFIG_T::kernel_height; i++) {
                    for (unsigned j = 0; j < CONFIG_T::kernel_width; j++) {
                        const unsigned row = (r + 1 - height + i * CONFIG_T::dilation_height) % height;
                        const unsigned column = c + 1 - width + j * CONFIG_T::dilation_width;
                        so_far = combined<y_T, x_T>(CONFIG_T::combine, i + j == 0, so_far, rows[row][column][channel]);
                    }
                }
                y[channel] = so_far;
            }
            res.write(y);
        }
    }
}

template <class data_T, class res_T, class CONFIG_T> void pad(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    typedef typename res_T::value_type y_T;
    for (int r = 0; r < (int)CONFIG_T::out_height; r++) {
        for (int c = 0; c < (int)CONFIG_T::out_width; c++) {
            #pragma HLS PIPELINE II = CONFIG_T::reuse
            const int row = padded_from(r, CONFIG_T::before_height, CONFIG_T::gap_height, CONFIG_T::in_height);
            const int column = padded_from(c, CONFIG_T::before_width, CONFIG_T::gap_width, CONFIG_T::in_width);
            res_T y;
            if (row < 0 || column < 0) {
                for (unsigned i = 0; i < res_T::size; i++)
                    y[i] = y_T(CONFIG_T::value);
            } else {
                const data_T x = data.read();
                for (unsigned i = 0; i < res_T::size; i++)
                    y[i] = y_T(x[i]);
            }
            res.write(y);
        }
    }
}

template <class data_T, class T> void collect(hls::stream<data_T> &data, T *values, unsigned size) {
    for (unsigned beat = 0; beat < size / data_T::size; beat++) {
        #pragma HLS PIPELINE
        const data_T x = data.read();
        for (unsigned i = 0; i < data_T::size; i++)
            values[beat * data_T::size + i] = x[i];
    }
}

template <class res_T, class T> void send(const T *values, hls::stream<res_T> &res, unsigned size) {
    for (unsigned beat = 0; beat < size / res_T::size; beat++) {
        #pragma HLS PIPELINE
        res_T y;
        for (unsigned i = 0; i < res_T::size; i++)
            y[i] = values[beat * res_T::size + i];
        res.write(y);
    }
}

template <class data_T, class res_T, class CONFIG_T> void reduce(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    typedef typename data_T::value_type x_T;
    typedef typename res_T::value_type y_T;
    y_T results[CONFIG_T::outer * CONFIG_T::inner];
    for (unsigned beat = 0; beat < CONFIG_T::outer * CONFIG_T::reduced * CONFIG_T::inner / data_T::size; beat++) {
        #pragma HLS PIPELINE II = CONFIG_T::reuse
        const data_T x = data.read();
        for (unsigned i = 0; i < data_T::size; i++) {
            const unsigned place = beat * data_T::size + i;
            const unsigned group = place / CONFIG_T::inner;
            const unsigned to = group / CONFIG_T::reduced * CONFIG_T::inner + place % CONFIG_T::inner;
            results[to] = combined<y_T, x_T>(CONFIG_T::combine, group % CONFIG_T::reduced == 0, results[to], x[i]);
        }
    }
    send<res_T, y_T>(results, res, CONFIG_T::outer * CONFIG_T::inner);
}

template <class data_T, class res_T, class CONFIG_T> void argmax(hls::stream<data_T> &data, hls::stream<res_T> &res) {
    typedef typename data_T::value_type x_T;
    typedef typename res_T::value_type y_T;
    x_T values[CONFIG_T::outer * CONFIG_T::classes];
    y_T places[CONFIG_T::outer];
    collect<data_T, x_T>(data, values, CONFIG_T::outer * CONFIG_T::classes);
    argmax<x_T, y_T, CONFIG_T>(values, places);
    send<res_T, y_T>(places, res, CONFIG_T::outer);
}

template <class data_T, class res_T, class CONFIG_T>
void reorder(hls::stream<data_T> &data, hls::stream<res_T> &res, const typename CONFIG_T::places_t *places) {
    typedef typename data_T::value_type x_T;
    typedef typename res_T::value_type y_T;
    x_T values[CONFIG_T::in_size];
    collect<data_T, x_T>(data, values, CONFIG_T::in_size);
    for (unsigned beat = 0; beat < CONFIG_T::out_size / res_T::size; beat++) {
        #pragma HLS PIPELINE II = CONFIG_T::reuse
        res_T y;
        for (unsigned i = 0; i < res_T::size; i++)
            y[i] = y_T(values[places[beat * res_T::size + i].to_uint()]);
        res.write(y);
    }
}

// Along the last axis beats are joined; along another one, runs of beats follow each other.
template <class first_T, class second_T, class res_T, class CONFIG_T>
void join(hls::stream<first_T> &first, hls::stream<second_T> &second, hls::stream<res_T> &res) {
    typedef typename res_T::value_type y_T;
    for (unsigned o = 0; o < CONFIG_T::outer; o++) {
        if (CONFIG_T::along_beats) {
            #pragma HLS PIPELINE II = CONFIG_T::reuse
            const first_T a = first.read();
            const second_T b = second.read();
            res_T y;
            for (unsigned i = 0; i < res_T::size; i++)
                y[i] = i < first_T::size ? y_T(a[i]) : y_T(b[i - first_T::size]);
            res.write(y);
        } else {
            for (unsigned beat = 0; beat < CONFIG_T::first / first_T::size; beat++) {
                const first_T a = first.read();
                res_T y;
                for (unsigned i = 0; i < res_T::size; i++)
                    y[i] = y_T(a[i % first_T::size]);
                res.write(y);
            }
            for (unsigned beat = 0; beat < CONFIG_T::second / second_T::size; beat++) {
                const second_T b = second.read();
                res_T y;
                for (unsigned i = 0; i < res_T::size; i++)
                    y[i] = y_T(b[i % second_T::size]);
                res.write(y);
            }
        }
    }
}

} // namespace codesign
#endif
