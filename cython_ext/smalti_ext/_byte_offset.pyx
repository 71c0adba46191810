"""CBF byte-offset compression: decode and encode one frame.

A frame is a chain of differences from pixel to pixel, starting at 0. Each takes one signed byte; the
most negative value of a size announces that the difference follows in the next larger one (8, 16, 32,
64 bits, little-endian) [International Tables G, 5.6; CBFlib manual, "byte_offset"].
"""

from libc.stdint cimport int8_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

# Status of a decoding; the wrapper puts them in words.
cdef enum:
    COMPLETE = 0
    TRUNCATED = 1
    OUT_OF_RANGE = 2

cdef int64_t LOWEST = -2147483648
cdef int64_t HIGHEST = 2147483647
# Eight one-byte differences move the value by less than this, so that a value further than this from
# both limits needs no check of its own.
cdef int64_t MARGIN = 1024


cdef inline bint any_escape(uint64_t word) noexcept nogil:
    """Whether any of eight bytes is 0x80: the classic test for a zero byte, after flipping those bits."""
    cdef uint64_t x = word ^ <uint64_t>0x8080808080808080
    return ((x - <uint64_t>0x0101010101010101) & ~x & <uint64_t>0x8080808080808080) != 0


cdef inline uint64_t little_endian(const uint8_t* source, int size) noexcept nogil:
    cdef uint64_t value = 0
    cdef int k
    for k in range(size):
        value |= (<uint64_t>source[k]) << (8 * k)
    return value


cdef inline int64_t sign_extended(uint64_t value, int size) noexcept nogil:
    cdef int shift = 64 - 8 * size
    return (<int64_t>(value << shift)) >> shift


cdef inline void eight(const uint8_t* source, int32_t value, int32_t* target) noexcept nogil:
    """Add up eight one-byte differences as a tree, so that only one addition waits for the last block."""
    cdef int32_t a = <int8_t>source[0], b = <int8_t>source[1], c = <int8_t>source[2], d = <int8_t>source[3]
    cdef int32_t e = <int8_t>source[4], f = <int8_t>source[5], g = <int8_t>source[6], h = <int8_t>source[7]
    b += a
    d += c
    c += b
    d += b
    f += e
    h += g
    g += f
    h += f
    target[0] = value + a
    target[1] = value + b
    target[2] = value + c
    target[3] = value + d
    value += d
    target[4] = value + e
    target[5] = value + f
    target[6] = value + g
    target[7] = value + h


cdef int step(const uint8_t* source, Py_ssize_t n_bytes, Py_ssize_t* at, int64_t* value) noexcept nogil:
    """Read the difference at ``at`` and add it to ``value``; both stay where they are on failure."""
    cdef Py_ssize_t place = at[0]
    cdef int size = 1
    cdef int64_t difference, total
    while True:
        if n_bytes - place < size:
            return TRUNCATED
        difference = sign_extended(little_endian(source + place, size), size)
        place += size
        if size == 8 or difference != -(<int64_t>1 << (8 * size - 1)):
            break
        size *= 2
    # No two 32-bit values are further apart; and without this the sum below could overflow.
    if difference > HIGHEST - LOWEST or difference < LOWEST - HIGHEST:
        return OUT_OF_RANGE
    total = value[0] + difference
    if total < LOWEST or total > HIGHEST:
        return OUT_OF_RANGE
    at[0] = place
    value[0] = total
    return COMPLETE


cdef int decode_all(
    const uint8_t* source, Py_ssize_t n_bytes, int32_t* target, Py_ssize_t n_pixels,
    Py_ssize_t* at, Py_ssize_t* pixel,
) noexcept nogil:
    cdef int64_t value = 0
    cdef uint64_t word
    cdef int status
    cdef Py_ssize_t k
    while pixel[0] < n_pixels:
        if (
            n_bytes - at[0] >= 8 and n_pixels - pixel[0] >= 8
            and LOWEST + MARGIN < value < HIGHEST - MARGIN
        ):
            memcpy(&word, source + at[0], 8)
            if not any_escape(word):
                eight(source + at[0], <int32_t>value, target + pixel[0])
                at[0] += 8
                pixel[0] += 8
                value = target[pixel[0] - 1]
                continue
        # Up to and over the escape, one pixel at a time, then back to blocks.
        for k in range(8):
            if pixel[0] == n_pixels:
                break
            status = step(source, n_bytes, at, &value)
            if status != COMPLETE:
                return status
            target[pixel[0]] = <int32_t>value
            pixel[0] += 1
    return COMPLETE


def decode(const uint8_t[::1] payload, int32_t[::1] out):
    """Decode into ``out``; give (status, pixels decoded, bytes used)."""
    cdef Py_ssize_t n_bytes = payload.shape[0], n_pixels = out.shape[0]
    cdef Py_ssize_t at = 0, pixel = 0
    cdef int status = COMPLETE
    if n_pixels > 0:
        if n_bytes == 0:
            return TRUNCATED, 0, 0
        with nogil:
            status = decode_all(&payload[0], n_bytes, &out[0], n_pixels, &at, &pixel)
    return status, pixel, at


cdef inline int bytes_for(int64_t difference) noexcept nogil:
    if -128 < difference < 128:
        return 1
    if -32768 < difference < 32768:
        return 2
    if LOWEST < difference <= HIGHEST:
        return 4
    return 8


def encoded_size(const int32_t[::1] counts):
    """Give the number of bytes that :func:`encode` will write."""
    cdef Py_ssize_t n = counts.shape[0], i, total = 0
    cdef int64_t last = 0
    with nogil:
        for i in range(n):
            # All smaller sizes hold the escapes that lead to this one: 1, 1 + 2, 1 + 2 + 4, ...
            total += 2 * bytes_for(counts[i] - last) - 1
            last = counts[i]
    return total


def encode(const int32_t[::1] counts, uint8_t[::1] out):
    """Encode into ``out``, which has :func:`encoded_size` bytes."""
    cdef Py_ssize_t n = counts.shape[0], i, at = 0
    cdef int64_t last = 0, difference
    cdef uint64_t bits
    cdef int size, k, step_size
    with nogil:
        for i in range(n):
            difference = counts[i] - last
            last = counts[i]
            size = bytes_for(difference)
            step_size = 1
            while step_size < size:
                for k in range(step_size - 1):
                    out[at] = 0
                    at += 1
                out[at] = 0x80
                at += 1
                step_size *= 2
            bits = <uint64_t>difference
            for k in range(size):
                out[at] = <uint8_t>((bits >> (8 * k)) & 0xFF)
                at += 1
