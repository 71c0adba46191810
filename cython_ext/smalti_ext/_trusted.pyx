"""Which pixels of a frame hold a count that can be trusted."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from smalti_ext.wide cimport WIDTHS

cdef extern from *:
    """
    SMALTI_WIDE static uint32_t smalti_beyond(
        const int32_t*, const uint8_t*, Py_ssize_t, uint32_t, uint32_t);
    """


cdef uint32_t beyond "smalti_beyond"(
    const int32_t* count, const uint8_t* usable, Py_ssize_t n, uint32_t lowest, uint32_t width
) noexcept nogil:
    """Whether a good pixel of a row is not from lowest to lowest + width."""
    cdef uint32_t found = 0
    cdef Py_ssize_t c
    for c in range(n):
        found |= (usable[c] != 0) & (<uint32_t>count[c] - lowest > width)
    return found


def all_within(
    const int32_t[:, ::1] counts, const uint8_t[:, ::1] good, Py_ssize_t row, Py_ssize_t n_rows,
    Py_ssize_t column, Py_ssize_t n_columns, int32_t low, int32_t high,
):
    """Tell whether the good pixels in a window of the frame, which is not empty, are from low to high."""
    cdef Py_ssize_t r
    cdef uint32_t found = 0
    with nogil:
        for r in range(row, row + n_rows):
            found = beyond(
                &counts[r, column], &good[r, column], n_columns, <uint32_t>low, <uint32_t>high - <uint32_t>low
            )
            if found:
                break
    return not found


def mark(
    const int32_t[:, ::1] counts, const uint8_t[:, ::1] good, Py_ssize_t row, Py_ssize_t n_rows,
    Py_ssize_t column, Py_ssize_t n_columns, int32_t low, int32_t high, uint8_t[:, ::1] out,
):
    """Mark the good pixels from low to high in a window of the frame."""
    cdef Py_ssize_t r, c
    cdef const int32_t* count
    cdef const uint8_t* usable
    cdef uint8_t* marks
    # One comparison instead of two: what is below wraps to far above.
    cdef uint32_t lowest = <uint32_t>low, width = <uint32_t>high - <uint32_t>low
    if n_columns == 0:
        return
    with nogil:
        for r in range(row, row + n_rows):
            count = &counts[r, column]
            usable = &good[r, column]
            marks = &out[r, column]
            if high < low:
                for c in range(n_columns):
                    marks[c] = 0
                continue
            for c in range(n_columns):
                marks[c] = (usable[c] != 0) & (<uint32_t>count[c] - lowest <= width)
