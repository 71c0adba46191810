"""Sums over windows of a frame, one column at a time: for kernels that look at few of them."""

from libc.stdint cimport int32_t, int64_t, uint8_t

ctypedef const int32_t[:, ::1] Counts
ctypedef const uint8_t[:, ::1] Mask

# Counts of this size or more are no counts; below it every sum of squares fits 64 bits.
cdef enum:
    TOO_LARGE = 1 << 24


cdef struct Sums:
    # Number of pixels, sum of counts, sum of their squares.
    int64_t n
    int64_t x
    int64_t y


cdef struct Window:
    # Half-widths, and the sums over the window around (row, column) when it was last looked at.
    Py_ssize_t kx
    Py_ssize_t ky
    Py_ssize_t row
    Py_ssize_t column
    Sums sums


cdef inline bint valid(Counts counts, Mask mask, Py_ssize_t r, Py_ssize_t c) noexcept nogil:
    return mask[r, c] != 0 and -TOO_LARGE < counts[r, c] < TOO_LARGE


cdef inline void take_column(
    Counts counts, Mask mask, const uint8_t[:, ::1] pixels, uint8_t without,
    Py_ssize_t row, Py_ssize_t column, Py_ssize_t ky, int sign, Sums* sums,
) noexcept nogil:
    """Add or remove one column of a window; pixels with a bit of ``without`` do not count."""
    cdef Py_ssize_t r
    cdef int64_t value
    if column < 0 or column >= counts.shape[1]:
        return
    for r in range(max(row - ky, 0), min(row + ky + 1, counts.shape[0])):
        if valid(counts, mask, r, column) and not (without and pixels[r, column] & without):
            value = counts[r, column]
            sums.n += sign
            sums.x += sign * value
            sums.y += sign * value * value


cdef inline void look(
    Window* window, Counts counts, Mask mask, const uint8_t[:, ::1] pixels, uint8_t without,
    Py_ssize_t row, Py_ssize_t column,
) noexcept nogil:
    """Sum over the window around a pixel; a step to the next column costs two columns only.

    ``pixels`` must not change in between where ``without`` is not 0.
    """
    cdef Py_ssize_t c
    cdef Py_ssize_t kx = window.kx
    if window.row == row and window.column == column - 1:
        take_column(counts, mask, pixels, without, row, column - kx - 1, window.ky, -1, &window.sums)
        take_column(counts, mask, pixels, without, row, column + kx, window.ky, 1, &window.sums)
    else:
        window.sums = Sums(0, 0, 0)
        for c in range(column - kx, column + kx + 1):
            take_column(counts, mask, pixels, without, row, c, window.ky, 1, &window.sums)
    window.row = row
    window.column = column
