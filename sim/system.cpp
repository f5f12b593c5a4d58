// The processing system around a Verilated module `system`: the master of GP0, the memory behind the HP ports.
//
// AXI3 on both. Memory is an array of the caller's; reads and writes are answered in order on each port, after a
// latency, at the pace of a shared memory, with random stalls on every channel, and with error responses where the
// caller asked for them or where there is no memory. What the design may not do is a fault, told in words. Beside that,
// the handshakes at the accelerator's own ports are counted, for comparison with the design's counters.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

// The pins of a port, in the order in which ports.h gives them.
struct ReadPins {
    uint8_t *arvalid, *arready, *arid, *arlen, *arsize, *arburst, *arlock;
    uint32_t* araddr;
    uint8_t *rvalid, *rready, *rid, *rresp, *rlast;
    uint64_t* rdata;
};
struct WritePins {
    uint8_t *awvalid, *awready, *awid, *awlen, *awsize, *awburst, *awlock;
    uint32_t* awaddr;
    uint8_t *wvalid, *wready, *wid, *wstrb, *wlast;
    uint64_t* wdata;
    uint8_t *bvalid, *bready, *bid, *bresp;
};
struct TapPins {
    uint8_t *valid, *ready, *last;
    uint64_t beats;
};

#include "ports.h"  // Model, bind()
#include "stalls.h"

namespace {

constexpr uint32_t BURST = 16, WORD = 8, PAGE = 4096, RESET_CYCLES = 8, GP_TIMEOUT = 100000;
constexpr size_t OUTSTANDING = 8;
constexpr uint64_t TO_RUN = 3;  // clocks from the data of `start` on GP0 to the run: bridge, register, sequencer
constexpr uint8_t DECERR = 3;

struct Config {  // as in sim/system.py
    uint64_t read_latency, write_latency, seed, start_offset;
    double bytes_per_cycle, stall;
};

struct Counts {  // as in sim/system.py
    uint64_t frames_done, busy_cycles, latency_last, latency_slowest, input_stalls, output_stalls, reads, writes;
};

struct Bad {
    uint64_t low, high;
    bool read, write;
    uint8_t response;
};

struct Address {
    uint64_t ripe;
    uint32_t addr;
    uint8_t id, len;
};

struct Beat {
    uint64_t data;
    uint8_t id, strb;
    bool last;
};

struct Answer {
    uint64_t ripe;
    uint8_t id, response;
};

struct Memory {
    uint8_t* bytes;
    uint64_t base, size;
    std::vector<Bad> bad;
    double tokens = 0;
    bool frozen = false;

    uint8_t response(uint64_t address, bool write) const {
        for (const Bad& b : bad)
            if (address + WORD > b.low && address < b.high && (write ? b.write : b.read)) return b.response;
        return address < base || address + WORD > base + size ? DECERR : 0;
    }
    bool paced() {  // a word's share of what the memory carries
        if (tokens < WORD) return false;
        tokens -= WORD;
        return true;
    }
};

struct Held {  // the payload of a channel that the design sends must stay while it waits
    bool waiting = false;
    uint64_t a = 0, b = 0;
    bool good(bool valid, bool ready, uint64_t now_a, uint64_t now_b) {
        const bool kept = !waiting || (valid && a == now_a && b == now_b);
        waiting = valid && !ready, a = now_a, b = now_b;
        return kept;
    }
};

struct Reader {
    ReadPins p;
    std::deque<Address> asked;
    Held ar;
    uint32_t place = 0;
    bool fires = false;
    Stall ar_stall, r_stall;
};

struct Writer {
    WritePins p;
    std::deque<Address> targets;
    std::deque<Beat> beats;
    std::deque<Answer> answers;
    Held aw, w;
    size_t bursts = 0;  // whole ones among `beats`
    bool fires = false;
    Stall aw_stall, w_stall, b_stall;
};

struct Tap {
    TapPins p;
    uint64_t done = 0;
    bool moves() const { return *p.valid && *p.ready; }
    uint64_t frames() const { return done / p.beats; }
};

struct Simulation {
    VerilatedContext context;
    std::unique_ptr<Model> model;
    std::vector<Reader> readers;
    std::vector<Writer> writers;
    std::vector<Tap> inputs, outputs;
    Memory memory{};
    Config config{};
    Random random;
    std::string fault;
    uint64_t cycle = 0;
    struct { bool aw, w, b, ar, r; } gp{};  // what moved in the last clock
    uint32_t gp_data = 0;
    // the run under way, as the accelerator's ports and the HP ports show it
    Counts counts{};
    uint64_t started = 0, last_answer = 0, frames = 0;
    bool running = false;
    std::vector<uint64_t> first;

    Simulation(uint8_t* bytes, uint64_t base, uint64_t size) {
        memory.bytes = bytes, memory.base = base, memory.size = size;
        context.randReset(2);  // what has no initial value starts at random: a design may not rely on it
        context.randSeed(1);
        model = std::make_unique<Model>(&context, "top");
        bind(*model, readers, writers, inputs, outputs);
    }
    ~Simulation() { model->final(); }

    void configure(const Config& c) {
        config = c;
        random.state = c.seed;
        const auto seeded = [&](Stall& s) { s = Stall(), s.random.state = random.next(), s.rate = c.stall; };
        for (Reader& r : readers) seeded(r.ar_stall), seeded(r.r_stall);
        for (Writer& w : writers) seeded(w.aw_stall), seeded(w.w_stall), seeded(w.b_stall);
    }

    void wrong(const char* what) {
        if (fault.empty()) fault = what;
    }

    void power_up() {
        Model& m = *model;
        m.s_axi_gp0_arvalid = m.s_axi_gp0_awvalid = m.s_axi_gp0_wvalid = m.s_axi_gp0_rready = m.s_axi_gp0_bready = 0;
        for (Reader& r : readers) *r.p.rvalid = 0;
        for (Writer& w : writers) *w.p.bvalid = 0;
        memory.frozen = true;  // in reset nobody listens
        m.aresetn = 0;
        for (uint32_t k = 0; k < RESET_CYCLES; ++k) step();
        forget();
        m.aresetn = 1;
        for (uint32_t k = 0; k < RESET_CYCLES; ++k) step();
    }

    void forget() {
        for (Reader& r : readers) r.asked.clear(), r.ar = {}, r.place = 0;
        for (Writer& w : writers) w.targets.clear(), w.beats.clear(), w.answers.clear(), w.aw = w.w = {}, w.bursts = 0;
        fault.clear(), memory.frozen = running = false;
    }

    // ---- memory: pins before the clock edge ----
    void drive(Reader& r) {
        *r.p.arready = !memory.frozen && r.asked.size() < OUTSTANDING && !r.ar_stall();
        const bool ripe = !memory.frozen && !r.asked.empty() && r.asked.front().ripe <= cycle;
        if (*r.p.rvalid || !ripe || r.r_stall() || !memory.paced()) return;
        const Address& a = r.asked.front();
        const uint64_t at = a.addr + uint64_t(WORD) * r.place;
        const uint8_t response = memory.response(at, false);
        *r.p.rdata = random.next();
        if (!response) memcpy(r.p.rdata, memory.bytes + (at - memory.base), WORD);
        *r.p.rid = a.id, *r.p.rresp = response, *r.p.rlast = r.place == a.len, *r.p.rvalid = 1;
    }

    void drive(Writer& w) {
        // At times a slave takes an address only behind its data: a master may not rely on the contrary.
        const bool shy = config.stall > 0 && (cycle >> 8 & 1) && !w.bursts;
        *w.p.awready = !memory.frozen && w.targets.size() < OUTSTANDING && !shy && !w.aw_stall();
        *w.p.wready = !memory.frozen && w.beats.size() < OUTSTANDING * BURST && !w.w_stall() && memory.paced();
        const bool ripe = !memory.frozen && !w.answers.empty() && w.answers.front().ripe <= cycle;
        if (*w.p.bvalid || !ripe || w.b_stall()) return;
        *w.p.bid = w.answers.front().id, *w.p.bresp = w.answers.front().response, *w.p.bvalid = 1;
    }

    // ---- memory: what the clock edge takes ----
    void check(uint32_t addr, uint8_t len, uint8_t size, uint8_t burst, uint8_t lock) {
        if (len >= BURST) wrong("a burst of more than 16 beats");
        if (size != 3 || burst != 1 || lock != 0) wrong("a burst of another size, kind or lock than AXI3's plain one");
        if (addr % WORD) wrong("a burst that begins between words");
        if (addr % PAGE + (len + 1u) * WORD > PAGE) wrong("a burst across 4 KiB");
    }

    void observe(Reader& r) {
        const ReadPins& p = r.p;
        const uint64_t rest = *p.arid | uint64_t(*p.arlen) << 8 | uint64_t(*p.arsize) << 16;
        if (!r.ar.good(*p.arvalid, *p.arready, *p.araddr, rest)) wrong("ar changed while it waited");
        if (*p.arvalid && *p.arready) {
            check(*p.araddr, *p.arlen, *p.arsize, *p.arburst, *p.arlock);
            r.asked.push_back({cycle + config.read_latency, *p.araddr, *p.arid, *p.arlen});
            ++counts.reads;
        }
        r.fires = *p.rvalid && *p.rready;
        if (r.fires && r.place++ == r.asked.front().len) r.place = 0, r.asked.pop_front();
    }

    void observe(Writer& w) {
        const WritePins& p = w.p;
        const uint64_t rest = *p.awid | uint64_t(*p.awlen) << 8 | uint64_t(*p.awsize) << 16;
        if (!w.aw.good(*p.awvalid, *p.awready, *p.awaddr, rest)) wrong("aw changed while it waited");
        const uint64_t beat = *p.wid | uint64_t(*p.wstrb) << 8 | uint64_t(*p.wlast) << 16;
        if (!w.w.good(*p.wvalid, *p.wready, *p.wdata, beat)) wrong("w changed while it waited");
        if (*p.awvalid && *p.awready) {
            check(*p.awaddr, *p.awlen, *p.awsize, *p.awburst, *p.awlock);
            w.targets.push_back({0, *p.awaddr, *p.awid, *p.awlen});
            ++counts.writes;
        }
        if (*p.wvalid && *p.wready) {
            w.beats.push_back({*p.wdata, *p.wid, *p.wstrb, bool(*p.wlast)});
            w.bursts += *p.wlast;
        }
        w.fires = *p.bvalid && *p.bready;
        if (w.fires) w.answers.pop_front(), last_answer = cycle;
        while (!w.targets.empty() && w.bursts) store(w);
    }

    void store(Writer& w) {
        const Address a = w.targets.front();
        w.targets.pop_front();
        --w.bursts;
        uint8_t worst = 0;
        for (uint32_t k = 0; k <= a.len; ++k) {
            const Beat b = w.beats.front();
            w.beats.pop_front();
            if (b.id != a.id) wrong("data under another ID than their burst's");
            if (b.last != (k == a.len)) return wrong("wlast at another beat than the burst's last");
            const uint64_t at = a.addr + uint64_t(WORD) * k;
            const uint8_t response = b.strb ? memory.response(at, true) : 0;
            worst = std::max(worst, response);
            for (uint32_t lane = 0; lane < WORD && !response; ++lane)
                if (b.strb >> lane & 1) memory.bytes[at - memory.base + lane] = uint8_t(b.data >> 8 * lane);
        }
        w.answers.push_back({cycle + config.write_latency, a.id, worst});
    }

    // ---- counts at the accelerator's own ports ----
    void begin(uint64_t wanted) {
        counts = {}, first.clear(), frames = wanted, started = cycle, last_answer = 0, running = true;
        for (auto* group : {&inputs, &outputs})
            for (Tap& t : *group) t.done = 0;
    }

    void count() {
        if (!running || cycle < started + TO_RUN) return;
        bool hungry = false, blocked = false;
        for (Tap& t : inputs) {
            hungry |= t.frames() < frames && *t.p.ready && !*t.p.valid;
            if (t.moves() && t.frames() == first.size()) first.push_back(cycle);
            t.done += t.moves();
        }
        uint64_t whole = frames;
        for (Tap& t : outputs) {
            blocked |= *t.p.valid && !*t.p.ready;
            t.done += t.moves();
            whole = std::min(whole, t.frames());
        }
        counts.input_stalls += hungry, counts.output_stalls += blocked;
        if (counts.frames_done == whole) return;
        counts.latency_last = cycle - first[counts.frames_done++] + 1;
        counts.latency_slowest = std::max(counts.latency_slowest, counts.latency_last);
    }

    // ---- the clock ----
    void step() {
        Model& m = *model;
        memory.tokens = std::min(memory.tokens + config.bytes_per_cycle, 64.0 * WORD);
        for (Reader& r : readers) drive(r);
        for (Writer& w : writers) drive(w);
        m.aclk = 0, m.eval();
        for (Reader& r : readers) observe(r);
        for (Writer& w : writers) observe(w);
        count();
        gp = {m.s_axi_gp0_awvalid && m.s_axi_gp0_awready, m.s_axi_gp0_wvalid && m.s_axi_gp0_wready,
              m.s_axi_gp0_bvalid && m.s_axi_gp0_bready, m.s_axi_gp0_arvalid && m.s_axi_gp0_arready,
              m.s_axi_gp0_rvalid && m.s_axi_gp0_rready};
        if (gp.w && m.s_axi_gp0_awaddr % PAGE == config.start_offset) begin(m.s_axi_gp0_wdata);
        if (gp.r) gp_data = m.s_axi_gp0_rdata;
        m.aclk = 1, m.eval();
        for (Reader& r : readers)
            if (r.fires) *r.p.rvalid = 0;
        for (Writer& w : writers)
            if (w.fires) *w.p.bvalid = 0;
        if (gp.aw) m.s_axi_gp0_awvalid = 0;
        if (gp.w) m.s_axi_gp0_wvalid = 0;
        if (gp.ar) m.s_axi_gp0_arvalid = 0;
        ++cycle;
    }

    // ---- GP0: a word at a time; false where nothing answers ----
    bool write(uint32_t address, uint32_t data) {
        Model& m = *model;
        const uint32_t id = random.next() & 0xFFF;
        m.s_axi_gp0_awaddr = address, m.s_axi_gp0_awid = m.s_axi_gp0_wid = id, m.s_axi_gp0_awlen = 0;
        m.s_axi_gp0_awsize = 2, m.s_axi_gp0_awburst = 1, m.s_axi_gp0_awvalid = 1;
        m.s_axi_gp0_wdata = data, m.s_axi_gp0_wstrb = 15, m.s_axi_gp0_wlast = 1, m.s_axi_gp0_wvalid = 1;
        m.s_axi_gp0_bready = 1;
        for (uint32_t k = 0; k < GP_TIMEOUT; ++k) {
            step();
            if (!gp.b) continue;
            if (m.s_axi_gp0_bid != id) wrong("GP0 answered a write under another ID");
            m.s_axi_gp0_bready = 0;
            return true;
        }
        return false;
    }

    bool read(uint32_t address, uint32_t* data) {
        Model& m = *model;
        const uint32_t id = random.next() & 0xFFF;
        m.s_axi_gp0_araddr = address, m.s_axi_gp0_arid = id, m.s_axi_gp0_arlen = 0;
        m.s_axi_gp0_arsize = 2, m.s_axi_gp0_arburst = 1, m.s_axi_gp0_arvalid = 1, m.s_axi_gp0_rready = 1;
        for (uint32_t k = 0; k < GP_TIMEOUT; ++k) {
            step();
            if (!gp.r) continue;
            m.s_axi_gp0_rready = 0;
            *data = gp_data;
            return true;
        }
        return false;
    }

    // Read until (value & mask) == 0, with pauses, at most `cycles` long: the last value is in *data.
    bool poll(uint32_t address, uint32_t mask, uint64_t pause, uint64_t cycles, uint32_t* data) {
        for (const uint64_t end = cycle + cycles;;) {
            if (!read(address, data)) return false;
            if (!(*data & mask) || cycle >= end) return true;
            for (uint64_t k = 0; k < pause; ++k) step();
        }
    }
};

}  // namespace

#define API extern "C" __attribute__((visibility("default")))

API void* system_new(uint8_t* bytes, uint64_t base, uint64_t size, const Config* config) {
    auto* s = new Simulation(bytes, base, size);
    s->configure(*config), s->power_up();
    return s;
}
API void system_delete(Simulation* s) { delete s; }
API void system_configure(Simulation* s, const Config* config) { s->configure(*config); }
API void system_reset(Simulation* s) { s->power_up(); }
API void system_bad(Simulation* s, uint64_t low, uint64_t high, int32_t read, int32_t write, int32_t response) {
    s->memory.bad.push_back({low, high, bool(read), bool(write), uint8_t(response)});
}
API void system_heal(Simulation* s) { s->memory.bad.clear(); }
API void system_freeze(Simulation* s, int32_t frozen) { s->memory.frozen = frozen; }
API void system_run(Simulation* s, uint64_t cycles) { while (cycles--) s->step(); }
API int32_t system_write(Simulation* s, uint32_t address, uint32_t data) { return s->write(address, data); }
API int32_t system_read(Simulation* s, uint32_t address, uint32_t* data) { return s->read(address, data); }
API int32_t system_poll(Simulation* s, uint32_t address, uint32_t mask, uint64_t pause, uint64_t cycles,
                        uint32_t* data) {
    return s->poll(address, mask, pause, cycles, data);
}
API int32_t system_irq(Simulation* s) { return s->model->irq; }
API uint64_t system_cycle(Simulation* s) { return s->cycle; }
API const char* system_fault(Simulation* s) { return s->fault.c_str(); }

// Of the last run: up to the clock in which the design saw its last answer, one behind it.
API void system_counts(Simulation* s, Counts* counts) {
    *counts = s->counts;
    counts->busy_cycles = s->last_answer ? s->last_answer - s->started - TO_RUN + 2 : 0;
}
