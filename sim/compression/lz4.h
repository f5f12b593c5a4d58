// The two functions of liblz4 that Verilator's FST writer calls, so that no system library is needed.
// The block is valid LZ4 (github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md), all literals: stored, not compressed.
#pragma once
#include <cstring>

static inline int LZ4_compressBound(int size) { return size + size / 255 + 16; }

static inline int LZ4_compress_default(const char* from, char* to, int size, int room) {
    if (room < LZ4_compressBound(size)) return 0;
    char* at = to;
    *at++ = char((size < 15 ? size : 15) << 4);
    if (size >= 15) {
        int left = size - 15;
        for (; left >= 255; left -= 255) *at++ = char(255);
        *at++ = char(left);
    }
    memcpy(at, from, size);
    return int(at + size - to);
}
