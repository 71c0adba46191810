"""Wearing down areas of flagged pixels: those stay around which all are flagged."""

from libc.stdint cimport uint64_t

from smalti_ext.bits cimport Bits, lowest_bit, set_bit, stretch_of, word_of
from smalti_ext.windows cimport Counts, Mask, valid


cdef inline bint surrounded(
    Counts counts, Mask mask, Bits flagged, bint masked_flagged, Py_ssize_t row, Py_ssize_t column,
    Py_ssize_t reach,
) noexcept nogil:
    """Whether every pixel within ``reach`` is flagged; outside the frame counts as flagged."""
    cdef Py_ssize_t r, first = max(column - reach, 0)
    cdef Py_ssize_t n = min(column + reach + 1, counts.shape[1]) - first
    cdef uint64_t missing
    for r in range(max(row - reach, 0), min(row + reach + 1, counts.shape[0])):
        missing = ~stretch_of(flagged, r, first, n) & ((<uint64_t>1 << n) - 1)
        while missing:
            if not masked_flagged or valid(counts, mask, r, first + lowest_bit(missing)):
                return False
            missing &= missing - 1
    return True


cdef inline uint64_t worn(
    Bits flagged, Py_ssize_t n_slow, Py_ssize_t row, Py_ssize_t k, Py_ssize_t reach
) noexcept nogil:
    """Those of 64 pixels around which all are flagged; some at the sides of the frame are missed."""
    cdef uint64_t solid = ~<uint64_t>0, left, here, right
    cdef uint64_t* words
    cdef Py_ssize_t r, step
    for r in range(max(row - reach, 0), min(row + reach + 1, n_slow)):
        words = flagged.words + r * flagged.per_row
        here = words[k]
        left = words[k - 1] if k > 0 else 0
        right = words[k + 1] if k + 1 < flagged.per_row else 0
        solid &= here
        for step in range(1, min(reach, 63) + 1):
            solid &= (here << step | left >> (64 - step)) & (here >> step | right << (64 - step))
    return solid


cdef inline void wear_down(
    Counts counts, Mask mask, Py_ssize_t first, Py_ssize_t last, Py_ssize_t reach, bint masked_flagged,
    Bits flagged, Bits foreground,
) noexcept nogil:
    """Mark the pixels of some rows around which all are flagged."""
    cdef Py_ssize_t row, column, k
    cdef uint64_t word
    cdef uint64_t* core
    for row in range(first, last):
        for k in range(flagged.per_row):
            word = word_of(flagged, row, 64 * k)[0]
            if not word:
                continue
            core = word_of(foreground, row, 64 * k)
            core[0] = worn(flagged, counts.shape[0], row, k, reach)
            word &= ~core[0]
            while word:
                column = 64 * k + lowest_bit(word)
                word &= word - 1
                if surrounded(counts, mask, flagged, masked_flagged, row, column, reach):
                    set_bit(foreground, row, column)
