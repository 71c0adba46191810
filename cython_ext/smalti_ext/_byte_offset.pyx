"""CBF byte-offset compression: decode and encode one frame.

A frame is a chain of differences from pixel to pixel, starting at 0. Each takes one signed byte; the
most negative value of a size announces that the difference follows in the next larger one (8, 16, 32,
64 bits, little-endian) [International Tables G, 5.6; CBFlib manual, "byte_offset"].

Between escapes a running sum would wait for the pixel before. So sums over the last 2, 4, 8 and 16 differences
are made instead, each from the one before and for many pixels at once; a pixel then is the one 16 before it plus
the sum of the last 16.
"""

from libc.stdint cimport int8_t, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

from smalti_ext.wide cimport WIDTHS

cdef extern from *:
    """
    SMALTI_WIDE static void smalti_stretch(const uint8_t*, Py_ssize_t, int32_t, int32_t*);
    """

# Status of a decoding; the wrapper puts them in words.
cdef enum:
    COMPLETE = 0
    TRUNCATED = 1
    OUT_OF_RANGE = 2

cdef int64_t LOWEST = -2147483648
cdef int64_t HIGHEST = 2147483647

cdef enum:
    LAG = 16
    BLOCK = 256
    # Most pixels and fewest between escapes that are decoded at a time; shorter stretches do not pay.
    LONGEST = 4096
    SHORTEST = 16

# A stretch moves the value by less than this, so that one further than this from both limits needs no check.
cdef int64_t MARGIN = 128 * LONGEST


cdef inline uint64_t little_endian(const uint8_t* source, int size) noexcept nogil:
    cdef uint64_t value = 0
    cdef int k
    for k in range(size):
        value |= (<uint64_t>source[k]) << (8 * k)
    return value


cdef inline int64_t sign_extended(uint64_t value, int size) noexcept nogil:
    cdef int shift = 64 - 8 * size
    return (<int64_t>(value << shift)) >> shift


cdef inline void add_up(int16_t* one, int16_t* two, int16_t* four, int16_t* eight) noexcept nogil:
    """Sums over the last 2, 4 and 8 of a block of differences, which begins at LAG."""
    cdef Py_ssize_t k
    for k in range(LAG, LAG + BLOCK):
        two[k] = <int16_t>(one[k] + one[k - 1])
    for k in range(LAG, LAG + BLOCK):
        four[k] = <int16_t>(two[k] + two[k - 2])
    for k in range(LAG, LAG + BLOCK):
        eight[k] = <int16_t>(four[k] + four[k - 4])


cdef void stretch "smalti_stretch"(
    const uint8_t* source, Py_ssize_t n, int32_t value, int32_t* target
) noexcept nogil:
    """Decode n one-byte differences, none of them an escape, that follow a pixel of this value."""
    cdef int16_t one[LAG + BLOCK]
    cdef int16_t two[LAG + BLOCK]
    cdef int16_t four[LAG + BLOCK]
    cdef int16_t eight[LAG + BLOCK]
    cdef Py_ssize_t at = 0, k, size
    for k in range(LAG):
        one[k] = two[k] = four[k] = eight[k] = 0
    for k in range(LAG, LAG + BLOCK):
        one[k] = 0
    while at < n:
        size = min(n - at, BLOCK)
        for k in range(size):
            one[LAG + k] = <int8_t>source[at + k]
        add_up(one, two, four, eight)
        for k in range(min(size, LAG) if at == 0 else 0):
            target[k] = value + eight[LAG + k] + eight[LAG + k - 8]
        for k in range(LAG if at == 0 else 0, size):
            target[at + k] = target[at + k - LAG] + <int16_t>(eight[LAG + k] + eight[LAG + k - 8])
        for k in range(LAG):
            one[k] = one[BLOCK + k]
            two[k] = two[BLOCK + k]
            four[k] = four[BLOCK + k]
            eight[k] = eight[BLOCK + k]
        at += BLOCK


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
    cdef int status
    cdef Py_ssize_t length, k
    cdef const void* escape
    while pixel[0] < n_pixels:
        length = min(n_bytes - at[0], n_pixels - pixel[0], LONGEST)
        if length >= SHORTEST and LOWEST + MARGIN < value < HIGHEST - MARGIN:
            escape = memchr(source + at[0], 0x80, length)
            if escape != NULL:
                length = <const uint8_t*>escape - (source + at[0])
            if length >= SHORTEST:
                stretch(source + at[0], length, <int32_t>value, target + pixel[0])
                at[0] += length
                pixel[0] += length
                value = target[pixel[0] - 1]
                continue
        # Up to and over the escape, one pixel at a time.
        for k in range(min(SHORTEST, n_pixels - pixel[0])):
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
