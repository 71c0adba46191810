"""Pixels brighter than their surroundings: the index of dispersion over running sums.

The definitions are those of DIALS [Winter et al. 2018, Acta Cryst. D74, 85; dials#752, dials#2790]; see
the wrapper. The frame is walked once, row by row. Each column keeps the sums of the last 2 ky + 1 rows;
a prefix sum along the row turns them into sums over boxes. All sums are integers modulo 2^32 of counts
clipped so far that no box can overflow. A test in single precision, loose by more than its error, picks
candidates, and only these are judged exactly: from the same sums, or, where a count was clipped, from
64-bit sums over the counts themselves.
"""

from libc.math cimport sqrt, sqrtf
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memchr

ctypedef const int32_t[:, ::1] Counts
ctypedef const uint8_t[:, ::1] Mask

# Counts of this size or more are no counts; below it every sum of squares fits 64 bits.
cdef int32_t TOO_LARGE = 1 << 24
# Bits of a pixel's kind.
cdef enum:
    VALID = 1
    CLIPPED = 16
# Bits of the map of pixels.
cdef enum:
    FLAGGED = 1
    FOREGROUND = 2


cdef struct Sums:
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


cdef void take_column(
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


cdef void look(
    Window* window, Counts counts, Mask mask, const uint8_t[:, ::1] pixels, uint8_t without,
    Py_ssize_t row, Py_ssize_t column,
) noexcept nogil:
    """Sum over the window around a pixel; a step to the next column costs two columns only."""
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


cdef void enter_row(
    Counts counts, Mask mask, Py_ssize_t row, int32_t limit, int16_t[::1] value, uint8_t[::1] kind,
    uint32_t[::1] n, uint32_t[::1] x, uint32_t[::1] y,
) noexcept nogil:
    """Put a row in the place of the oldest one, in the store of rows and in the sums of the columns.

    The low half of ``n`` counts valid pixels, the high half clipped ones.
    """
    cdef Py_ssize_t c
    cdef int32_t count, clipped, old, new
    cdef uint8_t was, ok, large
    for c in range(counts.shape[1]):
        count = counts[row, c]
        clipped = min(max(count, -limit), limit)
        ok = (mask[row, c] != 0) & (count < TOO_LARGE) & (count > -TOO_LARGE)
        large = clipped != count
        new = clipped & -<int32_t>ok
        old = value[c]
        was = kind[c]
        value[c] = <int16_t>new
        kind[c] = ok | ((large & ok) << 4)
        n[c] += (ok + (<uint32_t>(large & ok) << 16)) - ((was & 1) + (<uint32_t>(was >> 4) << 16))
        x[c] += <uint32_t>(new - old)
        y[c] += <uint32_t>(new * new - old * old)


cdef void leave_row(
    int16_t[::1] value, uint8_t[::1] kind, uint32_t[::1] n, uint32_t[::1] x, uint32_t[::1] y
) noexcept nogil:
    """Take the oldest row away where there is no new one."""
    cdef Py_ssize_t c
    cdef int32_t old
    for c in range(value.shape[0]):
        old = value[c]
        n[c] -= (kind[c] & 1) + (<uint32_t>(kind[c] >> 4) << 16)
        x[c] -= <uint32_t>old
        y[c] -= <uint32_t>(old * old)
        value[c] = 0
        kind[c] = 0


cdef void add_up(
    const uint32_t[:, ::1] columns, uint32_t[:, ::1] prefix
) noexcept nogil:
    """Prefix sums of the three column sums; differences of them are exact although they may wrap."""
    cdef Py_ssize_t c
    cdef uint32_t n = 0, x = 0, y = 0
    for c in range(columns.shape[1]):
        n += columns[0, c]
        x += columns[1, c]
        y += columns[2, c]
        prefix[0, c + 1] = n
        prefix[1, c + 1] = x
        prefix[2, c + 1] = y


cdef void pick(
    const uint32_t[::1] n, const uint32_t[::1] x, const uint32_t[::1] y, Py_ssize_t width,
    float gain, float sigma, uint8_t[::1] candidate,
) noexcept nogil:
    """Mark every pixel that may be dispersed: n y - x^2 > G x (n - 1 + sigma sqrt(2 (n - 1)))."""
    cdef Py_ssize_t c
    cdef uint32_t both
    cdef int32_t here, total, squares, excess
    cdef float degrees
    for c in range(candidate.shape[0]):
        both = n[c + width] - n[c]
        here = both & 0xFFFF
        total = <int32_t>(x[c + width] - x[c])
        squares = <int32_t>(y[c + width] - y[c])
        excess = here * squares - total * total
        degrees = <float>(here - 1)
        candidate[c] = (
            (<float>excess > gain * <float>total * (degrees + sigma * sqrtf(degrees + degrees)))
            & (total >= 0)
        ) | (both > 0xFFFF)


def scan(
    Counts counts, Mask mask, Py_ssize_t kx, Py_ssize_t ky, double gain, double sigma_background,
    double sigma_strong, Py_ssize_t min_local, double threshold, bint extended, int32_t limit,
    int16_t[:, ::1] values, uint8_t[:, ::1] kinds, uint32_t[:, ::1] columns, uint32_t[:, ::1] prefix,
    uint8_t[::1] candidate, const double[::1] needed, uint8_t[:, ::1] pixels, Py_ssize_t[::1] found,
):
    """Find dispersed pixels (extended) or strong pixels (not extended); gives how many.

    ``found`` takes their flat indices, ``pixels`` the bit FLAGGED (extended only). All scratch arrays
    start at zero; ``needed`` holds G (n - 1 + sigma sqrt(2 (n - 1))) for each n.
    """
    cdef Py_ssize_t n_slow = counts.shape[0], n_fast = counts.shape[1]
    cdef Py_ssize_t rows = 2 * ky + 1, width = 2 * kx + 1
    cdef Py_ssize_t entering, row, c, slot, n_found = 0
    cdef float loose = <float>(gain * (1.0 - 1e-5))
    cdef float sigma = <float>sigma_background
    cdef Window window = Window(kx, ky, -1, -1, Sums(0, 0, 0))
    cdef Sums sums
    cdef uint32_t both
    cdef const void* hit
    with nogil:
        for entering in range(n_slow + ky):
            slot = entering % rows
            if entering < n_slow:
                enter_row(counts, mask, entering, limit, values[slot], kinds[slot],
                          columns[0, kx:kx + n_fast],
                          columns[1, kx:kx + n_fast], columns[2, kx:kx + n_fast])
            else:
                leave_row(values[slot], kinds[slot], columns[0, kx:kx + n_fast],
                          columns[1, kx:kx + n_fast], columns[2, kx:kx + n_fast])
            row = entering - ky
            if row < 0:
                continue
            add_up(columns, prefix)
            pick(prefix[0], prefix[1], prefix[2], width, loose, sigma, candidate)
            c = 0
            while c < n_fast:
                hit = memchr(&candidate[c], 1, n_fast - c)
                if hit == NULL:
                    break
                c = <const uint8_t*>hit - &candidate[0]
                if kinds[row % rows, c] & VALID:
                    both = prefix[0, c + width] - prefix[0, c]
                    if both > 0xFFFF:
                        look(&window, counts, mask, pixels, 0, row, c)
                        sums = window.sums
                    else:
                        sums.n = both
                        sums.x = <int32_t>(prefix[1, c + width] - prefix[1, c])
                        sums.y = <int32_t>(prefix[2, c + width] - prefix[2, c])
                    if dispersed(&sums, min_local, needed) and (
                        extended or bright(&sums, counts[row, c], gain, sigma_strong, threshold)
                    ):
                        if extended:
                            pixels[row, c] = FLAGGED
                        found[n_found] = row * n_fast + c
                        n_found += 1
                c += 1
    return n_found


cdef inline bint dispersed(const Sums* sums, Py_ssize_t min_local, const double[::1] needed) noexcept nogil:
    """Whether the counts scatter more than Poisson statistics allow; exact up to the square root."""
    if sums.n < min_local or sums.n < 2 or sums.x < 0:
        return False
    return <double>(sums.n * sums.y - sums.x * sums.x) > <double>sums.x * needed[sums.n]


cdef inline bint bright(
    const Sums* sums, int32_t count, double gain, double sigma, double threshold
) noexcept nogil:
    """Whether a pixel stands out of its window: n c - x > sigma sqrt(G x n), c > threshold."""
    if not count > threshold:
        return False
    return <double>(sums.n * count - sums.x) > sigma * sqrt(gain * <double>sums.x * <double>sums.n)


cdef inline bint surrounded(
    Counts counts, Mask mask, const uint8_t[:, ::1] pixels, bint masked_flagged,
    Py_ssize_t row, Py_ssize_t column, Py_ssize_t reach,
) noexcept nogil:
    """Whether every pixel within ``reach`` is flagged; outside the frame counts as flagged."""
    cdef Py_ssize_t r, c
    for r in range(max(row - reach, 0), min(row + reach + 1, counts.shape[0])):
        for c in range(max(column - reach, 0), min(column + reach + 1, counts.shape[1])):
            if not pixels[r, c] and not (masked_flagged and not valid(counts, mask, r, c)):
                return False
    return True


def refine(
    Counts counts, Mask mask, Py_ssize_t kx, Py_ssize_t ky, double gain, double sigma_strong,
    double threshold, bint masked_flagged, uint8_t[:, ::1] pixels, Py_ssize_t[::1] found, Py_ssize_t n_found,
):
    """Keep those of the dispersed pixels that are strong, in place; gives how many are left.

    The dispersed area is worn down by min(kx, ky) - 1 pixels, which leaves the spots without their
    surroundings, and each of these is compared with the mean of the others in a wider window.
    """
    cdef Py_ssize_t n_fast = counts.shape[1]
    cdef Py_ssize_t k, row, column, n_left = 0, n_strong = 0
    cdef Py_ssize_t reach = min(kx, ky) - 1
    cdef Window window = Window(kx + 2, ky + 2, -1, -1, Sums(0, 0, 0))
    cdef double mean
    cdef int32_t count
    with nogil:
        for k in range(n_found):
            row = found[k] // n_fast
            column = found[k] - row * n_fast
            if surrounded(counts, mask, pixels, masked_flagged, row, column, reach):
                found[n_left] = found[k]
                n_left += 1
        for k in range(n_left):
            row = found[k] // n_fast
            pixels[row, found[k] - row * n_fast] |= FOREGROUND
        for k in range(n_left):
            row = found[k] // n_fast
            column = found[k] - row * n_fast
            count = counts[row, column]
            look(&window, counts, mask, pixels, FOREGROUND, row, column)
            mean = <double>window.sums.x / <double>window.sums.n if window.sums.n >= 2 else 0.0
            if count > threshold and count >= mean + sigma_strong * sqrt(gain * mean):
                found[n_strong] = found[k]
                n_strong += 1
    return n_strong
