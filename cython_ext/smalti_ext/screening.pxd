"""Quick tests of which pixels may be dispersed, tile by tile, in small integers that compilers vectorise.

For counts c over a window with number n, sum x >= 0 and sum of squares y the test is
n y - x^2 > x needed(n). Both screens are necessary conditions of it and never miss a pixel:

* x^2 / n >= 2 t x - n t^2 for every t, so that sum of (c^2 - (2 t + a) c + t^2) must be above 0, where a is the
  least needed(n) / n. This is one sum of one small number per pixel, and nearly as sharp as the test itself
  when t is near the mean of the background.
* y <= x max(c), so that some c of the window must be above a, unless some are negative.
"""

from libc.math cimport ceil, floor, sqrt
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memchr, memset

from smalti_ext.wide cimport WIDTHS
from smalti_ext.windows cimport Counts, Mask

cdef enum:
    # Pixels of a tile: few enough for one background, many enough that its borders cost little.
    WIDTH = 512
    HEIGHT = 128
    # Half-width of the largest window, 3 x 59 pixels.
    MARGIN = 29
    REACH = WIDTH + 2 * MARGIN

cdef extern from *:
    """
    SMALTI_WIDE static void smalti_enter_16(
        const int32_t*, const uint8_t*, Py_ssize_t, const void*, int16_t*, int16_t*);
    SMALTI_WIDE static void smalti_enter_32(
        const int32_t*, const uint8_t*, Py_ssize_t, const void*, int32_t*, int32_t*);
    SMALTI_WIDE static void smalti_admit_16(const int16_t*, Py_ssize_t, int, int16_t, uint8_t*);
    SMALTI_WIDE static void smalti_admit_32(const int32_t*, Py_ssize_t, int, int32_t, uint8_t*);
    """

ctypedef fused Sum:
    int16_t
    int32_t


cdef struct Bound:
    # The number that a pixel adds: (c (factor c - slope) + offset) >> down; beyond cap that of cap.
    int32_t factor
    int32_t down
    int32_t slope
    int32_t offset
    int32_t cap
    # Sums begin here, so that they use the whole range of their type.
    int32_t origin


cdef struct Tile:
    # The pixels that are judged; windows reach over the borders.
    Py_ssize_t row
    Py_ssize_t n_rows
    Py_ssize_t column
    Py_ssize_t n_columns


cdef inline int64_t share(const Bound* bound, int64_t c) noexcept nogil:
    return (c * (bound.factor * c - bound.slope) + bound.offset) >> bound.down


cdef inline bint fits(Bound* bound, int64_t area, int64_t largest) noexcept nogil:
    """Find the cap; tell whether no sum leaves -largest...largest and every capped pixel lifts any window."""
    cdef int64_t factor = bound.factor, slope = bound.slope
    cdef int64_t lowest_at = slope // (2 * factor)
    # What is masked adds nothing, which may be the least.
    cdef int64_t lowest = min(share(bound, lowest_at), share(bound, lowest_at + 1), 0)
    cdef int64_t top = 2 * largest // area + lowest
    cdef int64_t under = slope * slope + 4 * factor * ((top << bound.down) - bound.offset)
    cdef int64_t cap
    if top <= 0 or under <= 0 or slope * slope > 4 * factor * largest or bound.offset > largest:
        return False
    cap = <int64_t>((slope + sqrt(<double>under)) / (2.0 * factor))
    while cap > 0 and share(bound, cap) > top:
        cap -= 1
    bound.cap = <int32_t>cap
    bound.origin = <int32_t>(-largest - area * lowest)
    return (
        cap > lowest_at and factor * cap <= largest and (top + 1) << bound.down <= largest
        and share(bound, 0) <= top and share(bound, cap) + (area - 1) * lowest > 0
    )


cdef inline bint choose(
    Bound* bound, double mean, double least, int64_t area, int64_t largest
) noexcept nogil:
    """Choose the finest scale on which the sums of a window fit; tell whether there is one.

    t is such that the offset needs no rounding, and the slope is rounded downwards: the sum is never too low.
    """
    cdef int scale, trial
    cdef double unit, t, offset, slope, excess, best
    for scale in range(-4, 14):
        bound.factor = 1 << max(-scale, 0)
        bound.down = max(scale, 0)
        unit = bound.factor
        if unit * (2.0 * mean + least) > 1e6 or unit * mean * mean > 1e9:
            continue
        best = 1e300
        for trial in range(2):
            offset = floor(unit * mean * mean) + trial
            t = sqrt(offset / unit)
            slope = floor(unit * (2.0 * t + least) * (1.0 - 1e-9))
            # What a pixel of the background adds on average, less what all choices have in common.
            excess = offset - slope * mean
            if excess < best:
                best = excess
                bound.slope = <int32_t>slope
                bound.offset = <int32_t>offset + (1 << bound.down) - 1
        if fits(bound, area, largest):
            return True
    return False


cdef inline void enter(
    const int32_t* counts, const uint8_t* mask, Py_ssize_t n, const Bound* bound, Sum* row, Sum* columns
) noexcept nogil:
    """Replace a row of the sums over columns by a new one: what each pixel adds, much where it is negative."""
    cdef Py_ssize_t k
    cdef uint32_t count, cap = bound.cap
    cdef Sum c, value
    cdef Sum factor = <Sum>bound.factor, slope = <Sum>bound.slope, offset = <Sum>bound.offset
    cdef int32_t down = bound.down
    for k in range(n):
        count = <uint32_t>counts[k]
        c = <Sum>(cap if count > cap else count)
        value = <Sum>(<Sum>(c * <Sum>(<Sum>(factor * c) - slope) + offset) >> down)
        value = value if mask[k] else 0
        columns[k] = <Sum>(columns[k] + value - row[k])
        row[k] = value


cdef inline void add_neighbours(
    const Sum* columns, Py_ssize_t n, int width, Sum origin, uint8_t* candidates
) noexcept nogil:
    """Add up ``width`` columns each, a number that the compiler knows."""
    cdef Py_ssize_t k
    cdef int step
    cdef Sum total
    for k in range(n):
        total = origin
        for step in range(width):
            total = <Sum>(total + columns[k + step])
        candidates[k] = total > origin


cdef inline void admit(
    const Sum* columns, Py_ssize_t n, int width, Sum origin, uint8_t* candidates
) noexcept nogil:
    """Mark the pixels of a row the sums of whose windows are above 0."""
    cdef Py_ssize_t k
    cdef Sum total = origin
    if width == 3:
        add_neighbours(columns, n, 3, origin, candidates)
    elif width == 5:
        add_neighbours(columns, n, 5, origin, candidates)
    elif width == 7:
        add_neighbours(columns, n, 7, origin, candidates)
    elif width == 9:
        add_neighbours(columns, n, 9, origin, candidates)
    else:
        for k in range(width - 1):
            total = <Sum>(total + columns[k])
        for k in range(n):
            total = <Sum>(total + columns[k + width - 1])
            candidates[k] = total > origin
            total = <Sum>(total - columns[k])


# Both steps by name, since a width of instructions is chosen for each of these: see wide.pxd.
cdef inline void enter_16 "smalti_enter_16"(
    const int32_t* counts, const uint8_t* mask, Py_ssize_t n, const void* bound, int16_t* row, int16_t* columns
) noexcept nogil:
    enter(counts, mask, n, <const Bound*>bound, row, columns)


cdef inline void enter_32 "smalti_enter_32"(
    const int32_t* counts, const uint8_t* mask, Py_ssize_t n, const void* bound, int32_t* row, int32_t* columns
) noexcept nogil:
    enter(counts, mask, n, <const Bound*>bound, row, columns)


cdef inline void admit_16 "smalti_admit_16"(
    const int16_t* columns, Py_ssize_t n, int width, int16_t origin, uint8_t* candidates
) noexcept nogil:
    admit(columns, n, width, origin, candidates)


cdef inline void admit_32 "smalti_admit_32"(
    const int32_t* columns, Py_ssize_t n, int width, int32_t origin, uint8_t* candidates
) noexcept nogil:
    admit(columns, n, width, origin, candidates)


cdef inline void begin(Py_ssize_t ky, Sum* ring) noexcept nogil:
    """Empty the rows of a tile, and the sums over columns that stand behind them."""
    memset(ring, 0, (2 * ky + 2) * REACH * sizeof(Sum))


cdef inline void screen_row(
    Counts counts, Mask mask, const Tile* tile, Py_ssize_t kx, Py_ssize_t ky, const Bound* bound,
    Py_ssize_t entering, Sum* ring, uint8_t* candidates,
) noexcept nogil:
    """Let a row enter the windows of a tile, from ``ky`` above it on; mark what the first condition admits.

    ``candidates`` is (n_rows, WIDTH).
    """
    cdef Py_ssize_t left = max(tile.column - kx, 0), k
    cdef Py_ssize_t right = min(tile.column + tile.n_columns + kx, counts.shape[1])
    cdef Py_ssize_t r = tile.row - ky + entering, shift = left - tile.column + kx
    cdef Sum* columns = ring + (2 * ky + 1) * REACH
    cdef Sum* row = ring + (entering % (2 * ky + 1)) * REACH
    if 0 <= r < counts.shape[0]:
        if Sum is int16_t:
            enter_16(&counts[r, left], &mask[r, left], right - left, bound, row + shift, columns + shift)
        else:
            enter_32(&counts[r, left], &mask[r, left], right - left, bound, row + shift, columns + shift)
    else:
        for k in range(REACH):
            columns[k] = <Sum>(columns[k] - row[k])
            row[k] = 0
    if entering < 2 * ky:
        return
    candidates += (entering - 2 * ky) * WIDTH
    if Sum is int16_t:
        admit_16(columns, tile.n_columns, 2 * kx + 1, <int16_t>bound.origin, candidates)
    else:
        admit_32(columns, tile.n_columns, 2 * kx + 1, bound.origin, candidates)


cdef inline void seed(
    Counts counts, Mask mask, Tile tile, Py_ssize_t kx, Py_ssize_t ky, int32_t least, uint8_t* candidates
) noexcept nogil:
    """Mark the pixels of a tile around counts of ``least`` and more, and around negative ones."""
    cdef uint8_t hits[WIDTH + 2 * MARGIN]
    cdef Py_ssize_t left = max(tile.column - kx, 0)
    cdef Py_ssize_t n = min(tile.column + tile.n_columns + kx, counts.shape[1]) - left
    cdef Py_ssize_t r, k
    cdef const int32_t* row
    cdef const uint8_t* usable
    cdef const void* hit
    memset(candidates, 0, tile.n_rows * WIDTH)
    for r in range(max(tile.row - ky, 0), min(tile.row + tile.n_rows + ky, counts.shape[0])):
        row = &counts[r, left]
        usable = &mask[r, left]
        for k in range(n):
            hits[k] = ((row[k] >= least) | (row[k] < 0)) & (usable[k] != 0)
        k = 0
        while k < n:
            hit = memchr(hits + k, 1, n - k)
            if hit == NULL:
                break
            k = <const uint8_t*>hit - hits
            spread(tile, r - tile.row, left + k - tile.column, kx, ky, candidates)
            k += 1


cdef inline void spread(
    Tile tile, Py_ssize_t row, Py_ssize_t column, Py_ssize_t kx, Py_ssize_t ky, uint8_t* candidates
) noexcept nogil:
    """Mark the pixels of a tile whose windows hold a pixel; the latter may lie outside."""
    cdef Py_ssize_t r, first = max(column - kx, 0)
    cdef Py_ssize_t n = min(column + kx + 1, tile.n_columns) - first
    for r in range(max(row - ky, 0), min(row + ky + 1, tile.n_rows)):
        memset(candidates + r * WIDTH + first, 1, n)
