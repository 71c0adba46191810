"""Which pixels of a frame hold a count that can be trusted."""

from libc.stdint cimport int32_t, uint8_t


def mark(
    const int32_t[:, ::1] counts, const uint8_t[:, ::1] good, Py_ssize_t row, Py_ssize_t n_rows,
    Py_ssize_t column, Py_ssize_t n_columns, int32_t low, int32_t high, uint8_t[:, ::1] out,
):
    """Mark the good pixels of a window of the frame from low to high; gives how many, and how many above."""
    cdef Py_ssize_t r, c, n_trusted = 0, n_above = 0
    cdef int32_t trusted, above
    cdef const int32_t* count
    cdef const uint8_t* usable
    cdef uint8_t* marks
    if n_columns == 0:
        return 0, 0
    with nogil:
        for r in range(row, row + n_rows):
            count = &counts[r, column]
            usable = &good[r, column]
            marks = &out[r, column]
            trusted = above = 0
            for c in range(n_columns):
                marks[c] = (usable[c] != 0) & (count[c] >= low) & (count[c] <= high)
            for c in range(n_columns):
                trusted += marks[c]
            for c in range(n_columns):
                above += (usable[c] != 0) & (count[c] > high)
            n_trusted += trusted
            n_above += above
    return n_trusted, n_above
