// The two functions of zlib that Verilator's FST writer calls, so that no system library is needed.
// The stream is valid zlib (RFC 1950) of stored blocks (RFC 1951, 3.2.4): not compressed.
#pragma once
#include <cstring>

typedef unsigned char Bytef;
typedef unsigned long uLong;
typedef unsigned long uLongf;
enum { Z_OK = 0, Z_BUF_ERROR = -5 };

static inline uLong compressBound(uLong size) { return size + 5 * (size / 65535 + 1) + 6; }

static inline int compress2(Bytef* to, uLongf* room, const Bytef* from, uLong size, int) {
    if (*room < compressBound(size)) return Z_BUF_ERROR;
    Bytef* at = to;
    *at++ = 0x78, *at++ = 0x01;
    uLong a = 1, b = 0;
    for (uLong k = 0; k < size; ++k) a = (a + from[k]) % 65521, b = (b + a) % 65521;
    do {
        const uLong part = size < 65535 ? size : 65535;
        *at++ = part == size;  // the final block
        *at++ = part & 255, *at++ = part >> 8, *at++ = ~part & 255, *at++ = (~part >> 8) & 255;
        memcpy(at, from, part);
        at += part, from += part, size -= part;
    } while (size);
    for (uLong sum : {b, a}) *at++ = sum >> 8, *at++ = sum & 255;
    *room = at - to;
    return Z_OK;
}
