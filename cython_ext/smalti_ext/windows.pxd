"""Exact sums over windows of a frame, column by column: for kernels that look at few of them."""

from libc.stdint cimport int32_t, int64_t, uint8_t

from smalti_ext.bits cimport Bits, is_set

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


cdef struct Column:
    # Sums over one column of the windows of a row of pixels.
    Sums sums
    int64_t row


cdef struct Window:
    # Half-widths, the pixels left out, where the window was last, the sums over it, and the columns of the
    # frame as they were last summed.
    Py_ssize_t kx
    Py_ssize_t ky
    Bits without
    Py_ssize_t row
    Py_ssize_t column
    Sums sums
    Column* columns


cdef inline void start(
    Window* window, Py_ssize_t kx, Py_ssize_t ky, Bits without, int64_t[:, ::1] scratch
) noexcept nogil:
    """Begin with windows of these half-widths; ``scratch`` is (n_fast, 4)."""
    cdef Py_ssize_t c
    window.kx = kx
    window.ky = ky
    window.without = without
    window.row = window.column = -2
    window.columns = <Column*>&scratch[0, 0]
    for c in range(scratch.shape[0]):
        window.columns[c].row = -2


cdef inline bint valid(Counts counts, Mask mask, Py_ssize_t r, Py_ssize_t c) noexcept nogil:
    return mask[r, c] != 0 and -TOO_LARGE < counts[r, c] < TOO_LARGE


cdef inline void take_pixel(
    Sums* sums, int64_t sign, Counts counts, Mask mask, Bits without, Py_ssize_t row, Py_ssize_t column
) noexcept nogil:
    """Add a pixel to sums or, with sign -1, take it out; without branches, since masks are no pattern."""
    cdef int64_t value = counts[row, column]
    cdef int64_t good = (mask[row, column] != 0) & (value < TOO_LARGE) & (value > -TOO_LARGE)
    if without.words != NULL:
        good &= not is_set(without, row, column)
    good = -good
    sums.n -= sign * good
    sums.x += sign * (value & good)
    sums.y += sign * (value * value & good)


cdef inline const Sums* column_at(
    Window* window, Counts counts, Mask mask, Py_ssize_t row, Py_ssize_t column
) noexcept nogil:
    """Sums over a column of the windows of a row; those of the row above are moved down."""
    cdef Column* known = window.columns + column
    cdef Py_ssize_t first = max(row - window.ky, 0), last = min(row + window.ky, counts.shape[0] - 1)
    cdef Py_ssize_t r
    if known.row == row:
        return &known.sums
    if known.row == row - 1:
        if row > window.ky:
            take_pixel(&known.sums, -1, counts, mask, window.without, first - 1, column)
        first = row + window.ky  # beyond ``last`` at the foot of the frame, where nothing enters
    else:
        known.sums = Sums(0, 0, 0)
    for r in range(first, last + 1):
        take_pixel(&known.sums, 1, counts, mask, window.without, r, column)
    known.row = row
    return &known.sums


cdef inline void look(
    Window* window, Counts counts, Mask mask, Py_ssize_t row, Py_ssize_t column
) noexcept nogil:
    """Sum over the window around a pixel; neighbours to the right and below cost little.

    The pixels left out must not change in between.
    """
    cdef Py_ssize_t first = column - window.kx, last = column + window.kx, c
    cdef const Sums* part
    if window.row == row and window.column == column - 1:
        if first > 0:
            part = column_at(window, counts, mask, row, first - 1)
            window.sums.n -= part.n
            window.sums.x -= part.x
            window.sums.y -= part.y
        first = last
    else:
        window.sums = Sums(0, 0, 0)
    for c in range(max(first, 0), min(last + 1, counts.shape[1])):
        part = column_at(window, counts, mask, row, c)
        window.sums.n += part.n
        window.sums.x += part.x
        window.sums.y += part.y
    window.row = row
    window.column = column
