"""CBF canonical-code compression: decode one array.

Differences from element to element, starting at 0, are written as bit codes whose lengths stand in a
table: one code for each small difference, one to stop, and one for each number of bits of a larger
difference, which then follows itself [International Tables G, 5.6.3.1]. Codes are numbered so that the
longest begin at zero, and are written with their first bit lowest in the byte
[Moffat & Turpin 1997, IEEE Trans. Comm. 45, 1200; the numbering was checked against files of CBFlib].
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t

# Status of a decoding; the wrapper puts them in words.
cdef enum:
    COMPLETE = 0
    TRUNCATED = 1
    NO_CODE = 2
    STOPPED = 3

cdef enum:
    LONGEST = 64  # bits of a code


cdef int take(
    const uint8_t* source, Py_ssize_t n_bits, Py_ssize_t* at, int size, uint64_t* value
) noexcept nogil:
    """Read the next ``size`` bits (at most 64), lowest first."""
    cdef uint64_t found = 0
    cdef int have = 0, shift, part
    if n_bits - at[0] < size:
        return TRUNCATED
    while have < size:
        shift = at[0] & 7
        part = 8 - shift if 8 - shift < size - have else size - have
        found |= <uint64_t>((source[at[0] >> 3] >> shift) & ((1 << part) - 1)) << have
        have += part
        at[0] += part
    value[0] = found
    return COMPLETE


cdef int symbol(
    const uint8_t* source, Py_ssize_t n_bits, Py_ssize_t* at,
    const uint64_t* first, const uint64_t* count, const uint16_t* place, const uint16_t* ordered,
    uint16_t* found,
) noexcept nogil:
    """Read one code: the bits read so far are one as soon as they are not below the first of their length."""
    cdef uint64_t code = 0
    cdef int length = 0
    while length < LONGEST:
        if at[0] >= n_bits:
            return TRUNCATED
        code = (code << 1) | ((source[at[0] >> 3] >> (at[0] & 7)) & 1)
        at[0] += 1
        length += 1
        if count[length] > 0 and code >= first[length]:
            if code - first[length] >= count[length]:
                return NO_CODE
            found[0] = ordered[place[length] + <Py_ssize_t>(code - first[length])]
            return COMPLETE
    return NO_CODE


cdef int decode_all(
    const uint8_t* source, Py_ssize_t n_bits, int direct,
    const uint64_t* first, const uint64_t* count, const uint16_t* place, const uint16_t* ordered,
    uint64_t* target, Py_ssize_t n, Py_ssize_t* at, Py_ssize_t* done,
) noexcept nogil:
    cdef uint64_t value = 0, difference = 0
    cdef uint16_t one = 0
    cdef int status, size, stop = 1 << direct
    while done[0] < n:
        status = symbol(source, n_bits, at, first, count, place, ordered, &one)
        if status != COMPLETE:
            return status
        if one == stop:
            return STOPPED
        if one < stop:
            difference = one
            size = direct
        else:
            size = direct + one - stop
            status = take(source, n_bits, at, size, &difference)
            if status != COMPLETE:
                return status
        # The highest of the bits is the sign; sums wrap around, as unsigned arithmetic does.
        if 0 < size < 64 and (difference >> (size - 1)) & 1:
            difference |= ~<uint64_t>0 << size
        value += difference
        target[done[0]] = value
        done[0] += 1
    return COMPLETE


def decode(
    const uint8_t[::1] data, int direct, const uint64_t[::1] first, const uint64_t[::1] count,
    const uint16_t[::1] place, const uint16_t[::1] ordered, uint64_t[::1] out,
):
    """Decode into ``out``; give (status, elements decoded, bits used)."""
    cdef Py_ssize_t n = out.shape[0], n_bits = 8 * data.shape[0], at = 0, done = 0
    cdef int status = COMPLETE
    if n > 0:
        if n_bits == 0 or ordered.shape[0] == 0:
            return TRUNCATED, 0, 0
        with nogil:
            status = decode_all(
                &data[0], n_bits, direct, &first[0], &count[0], &place[0], &ordered[0], &out[0], n, &at, &done
            )
    return status, done, at
