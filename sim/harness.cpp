// Drives a Verilated design: AXI4-Stream ports in batches, internal edges tapped. ports.h is written per design.
//
// A cycle: drive the inputs, settle with the clock low, read the handshakes, rising edge. Python calls sim_run in
// slices, so that progress can be shown and Ctrl-C works. All words are little end first, as the host's memory.
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "ports.h"  // Model, Trace, bind(), set_clock(), set_reset()
#include "stalls.h"

namespace {

enum Status : int32_t { RUNNING = 0, DONE = 1, STALLED = 2, WRONG_LAST = 3, EXTRA_BEAT = 4, NOT_HELD = 5 };

constexpr int RESET_CYCLES = 4;
constexpr uint64_t DRAIN_CYCLES = 64;  // after the last expected beat, in which no further one may come

struct Stream {
    // the signals: `bytes` of data in the model's memory
    uint8_t *valid, *ready, *last;
    void* data;
    uint32_t bytes;
    // the words of all frames, and the cycle of each frame's first (input) or last (output) beat
    uint32_t words, top_mask;
    uint64_t beats, total, done = 0, beat = 0, frame = 0;
    uint32_t* memory = nullptr;
    uint64_t* stamps = nullptr;
    Stall stall;
    bool fires = false, waiting = false;
    std::vector<uint32_t> held, now;

    uint32_t* here() { return memory + done * words; }
    void write(const uint32_t* from) { memcpy(data, from, bytes); }
    void read(uint32_t* to) const {
        if (bytes < 4) *to = 0;
        memcpy(to, data, bytes);
    }
    void rewind() { done = beat = frame = 0, waiting = false; }
    void advance() {
        ++done;
        if (++beat == beats) beat = 0, ++frame;
    }
};

struct Fault {
    int32_t kind;  // 0 input, 1 output, 2 edge
    int32_t index;
    uint64_t frame, beat;
};

struct Simulation {
    VerilatedContext context;
    std::unique_ptr<Model> model;
    std::vector<Stream> inputs, outputs, edges;
    Random garbage;
    uint64_t cycle = 0, half_cycles = 0, quiet = 0, watchdog = 0, drained = 0;
    uint64_t accepted = 0, reset_after = 0;  // reset_after: 0 is never
    Fault fault{};
#ifdef TRACED
    Trace trace;
#endif

    Simulation() {
        context.randReset(2);  // what has no initial value starts at random: a design may not rely on it
        context.randSeed(1);
#ifdef TRACED
        context.traceEverOn(true);
#endif
        model = std::make_unique<Model>(&context, "top");
        bind(*model, inputs, outputs, edges);
        for (Stream& s : inputs) *s.valid = 0;
        for (Stream& s : outputs) *s.ready = 0;
    }
    ~Simulation() {
        model->final();
#ifdef TRACED
        trace.close();
#endif
    }

    void eval() {
        model->eval();
#ifdef TRACED
        if (trace.isOpen()) trace.dump(half_cycles * 5);  // 5 ns a half cycle
        ++half_cycles;
#endif
    }
    void low() { set_clock(*model, 0), eval(); }
    void high() { set_clock(*model, 1), eval(); }

    void reset() {
        set_reset(*model, 0);
        for (Stream& s : inputs) *s.valid = 0, put_garbage(s);
        for (int k = 0; k < RESET_CYCLES; ++k) {
            for (Stream& s : outputs) *s.ready = garbage.next() & 1;
            low(), high();
        }
        set_reset(*model, 1);
        for (auto* group : {&inputs, &outputs, &edges})
            for (Stream& s : *group) s.rewind();
        cycle = quiet = drained = 0;
    }

    void put_garbage(Stream& s) {
        for (uint32_t& w : s.now) w = uint32_t(garbage.next());
        s.now.back() &= s.top_mask;
        s.write(s.now.data());
        *s.last = garbage.next() & 1;
    }

    void drive(Stream& s) {
        if (*s.valid) return;  // once up, held until accepted
        if (s.done < s.total && !s.stall()) {
            s.write(s.here());
            *s.last = s.beat + 1 == s.beats;
            *s.valid = 1;
        } else {
            put_garbage(s);
        }
    }

    Status fail(Status status, int32_t kind, const Stream& s, const std::vector<Stream>& group) {
        fault = {kind, int32_t(&s - group.data()), s.frame, s.beat};
        return status;
    }

    // The rule of a source: once valid is up, it stays with its data until ready.
    bool held(Stream& s) {
        const bool valid = *s.valid, was = s.waiting;
        s.waiting = valid && !*s.ready;
        if (!was && !s.waiting) return true;
        s.read(s.now.data());
        const bool good = !was || (valid && s.now == s.held);
        if (s.waiting) s.held.swap(s.now);
        return good;
    }

    Status collect(Stream& s, int32_t kind, const std::vector<Stream>& group, bool& progress) {
        if (!held(s)) return fail(NOT_HELD, kind, s, group);
        if (!*s.valid || !*s.ready) return RUNNING;
        if (s.done == s.total) {  // an edge may run ahead (padding of a frame that does not come), an output not
            return s.last ? fail(EXTRA_BEAT, kind, s, group) : RUNNING;
        }
        progress = true;
        if (s.last && bool(*s.last) != (s.beat + 1 == s.beats)) return fail(WRONG_LAST, kind, s, group);
        if (s.memory) s.read(s.here());
        if (s.stamps && s.beat + 1 == s.beats) s.stamps[s.frame] = cycle;
        s.advance();
        return RUNNING;
    }

    bool finished() const {
        for (auto* group : {&inputs, &outputs, &edges})
            for (const Stream& s : *group)
                if (s.done < s.total) return false;
        return true;
    }

    Status step() {
        for (Stream& s : inputs) drive(s);
        for (Stream& s : outputs) *s.ready = !s.stall();
        low();
        bool progress = false;
        Status status = RUNNING;
        for (Stream& s : inputs) {
            s.fires = *s.valid && *s.ready;
            if (!s.fires) continue;
            progress = true, ++accepted;
            if (s.beat == 0) s.stamps[s.frame] = cycle;
            s.advance();
        }
        for (Stream& s : edges)
            if ((status = collect(s, 2, edges, progress)) != RUNNING) return status;
        for (Stream& s : outputs)
            if ((status = collect(s, 1, outputs, progress)) != RUNNING) return status;
        high();
        for (Stream& s : inputs)
            if (s.fires) *s.valid = 0;
        ++cycle;
        quiet = progress ? 0 : quiet + 1;
        if (reset_after && accepted >= reset_after) reset_after = 0, reset();
        return quiet > watchdog && !finished() ? STALLED : RUNNING;
    }

    Status run(uint64_t cycles) {
        for (uint64_t k = 0; k < cycles; ++k) {
            if (finished() && drained++ == DRAIN_CYCLES) return DONE;
            const Status status = step();
            if (status != RUNNING) return status;
        }
        return RUNNING;
    }
};

Stream& stream(Simulation* s, int32_t kind, int32_t index) {
    return (kind == 0 ? s->inputs : kind == 1 ? s->outputs : s->edges)[index];
}

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API void* sim_new() { return new Simulation; }
API void sim_delete(Simulation* s) { delete s; }

API void sim_trace(Simulation* s, const char* path) {
#ifdef TRACED
    s->model->trace(&s->trace, 99);
    s->trace.open(path);
#endif
}

// Gives a stream its words (frames * beats * words) and its stamps (frames); rate and seed of its stalls.
API void sim_stream(Simulation* s, int32_t kind, int32_t index, uint64_t frames, uint32_t* memory, uint64_t* stamps,
                    uint64_t seed, double rate) {
    Stream& p = stream(s, kind, index);
    p.total = frames * p.beats, p.memory = memory, p.stamps = stamps;
    p.held.resize(p.words), p.now.resize(p.words);
    p.stall.random.state = seed, p.stall.rate = rate;
}

API void sim_start(Simulation* s, uint64_t watchdog, uint64_t reset_after, uint64_t seed) {
    s->watchdog = watchdog, s->reset_after = reset_after, s->garbage.state = seed;
    s->accepted = 0;
    s->reset();
}

API int32_t sim_run(Simulation* s, uint64_t cycles) { return s->run(cycles); }
API uint64_t sim_cycle(Simulation* s) { return s->cycle; }
API void sim_fault(Simulation* s, Fault* fault) { *fault = s->fault; }

// Beats done, and the handshake as it stands: bit 0 valid, bit 1 ready.
API uint64_t sim_done(Simulation* s, int32_t kind, int32_t index) { return stream(s, kind, index).done; }
API int32_t sim_handshake(Simulation* s, int32_t kind, int32_t index) {
    const Stream& p = stream(s, kind, index);
    return int32_t(*p.valid) | int32_t(*p.ready) << 1;
}
