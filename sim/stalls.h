// Seeded random numbers and the idle gaps made of them, for every C++ bench.
#pragma once
#include <cstdint>

struct Random {  // splitmix64
    uint64_t state = 0;
    uint64_t next() {
        uint64_t z = (state += 0x9E3779B97F4A7C15u);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        return z ^ (z >> 31);
    }
};

struct Stall {  // see sim/stalls.py for the scheme
    Random random;
    double rate = 0;
    uint64_t phase_left = 0, threshold = 0;

    bool operator()() {
        if (rate == 0) return false;
        if (phase_left == 0) new_phase();
        --phase_left;
        return (random.next() >> 32) < threshold;
    }
    void new_phase() {
        const uint64_t r = random.next();
        phase_left = 1 + (r >> 8) % ((r & 0xE0) ? 64 : 1024);
        const double now = (r & 3) == 0 ? 0 : (r & 3) == 1 ? 2 * rate : rate;
        threshold = uint64_t(now * 4294967296.0);
    }
};
