"""Pixels brighter than their surroundings: the index of dispersion over running sums.

The definitions are those of DIALS [Winter et al. 2018, Acta Cryst. D74, 85; dials#752, dials#2790]; see
the wrapper. The frame is walked once, row by row. Each column keeps the sums of the last 2 ky + 1 rows;
a prefix sum along the row turns them into sums over windows. These are integers modulo 2^32 of counts
clipped so far that no window can overflow. A test in single precision, loose by more than its error, picks
candidates, and only these are judged exactly: from the same sums, or, where a count was clipped, from
64-bit sums over the counts themselves.
"""

from libc.math cimport sqrt, sqrtf
from libc.stdint cimport int16_t, int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memchr

from smalti_ext.windows cimport TOO_LARGE, Counts, Mask, Sums, Window, look, valid

# Bits of a pixel's kind. A window holds fewer than 256 pixels, so that one 16-bit sum of kinds counts
# the valid pixels in its low half and the clipped ones in its high half.
cdef enum:
    VALID = 1
    CLIPPED = 256
# Bits of the map of pixels.
cdef enum:
    FLAGGED = 1
    FOREGROUND = 2


cdef void take_in(
    Counts counts, Mask mask, Py_ssize_t row, int32_t limit, int16_t[::1] value, uint16_t[::1] kind
) noexcept nogil:
    """Turn a row of counts into clipped counts, 0 where not valid, and the kind of each pixel."""
    cdef Py_ssize_t c
    cdef int32_t count, clipped, ok
    for c in range(counts.shape[1]):
        count = counts[row, c]
        clipped = min(max(count, -limit), limit)
        ok = -<int32_t>((mask[row, c] != 0) & (count < TOO_LARGE) & (count > -TOO_LARGE))
        value[c] = <int16_t>(clipped & ok)
        kind[c] = <uint16_t>((VALID | (CLIPPED & -<int32_t>(clipped != count))) & ok)


# The sums of columns and their prefixes may wrap, and their differences are exact all the same.


cdef inline uint32_t between(const uint32_t[::1] prefix, Py_ssize_t c, Py_ssize_t width) noexcept nogil:
    """Sum over ``width`` columns from c on."""
    return prefix[c + width] - prefix[c]


cdef inline uint16_t between_n(const uint16_t[::1] prefix, Py_ssize_t c, Py_ssize_t width) noexcept nogil:
    """Sum of kinds over ``width`` columns from c on."""
    return <uint16_t>(prefix[c + width] - prefix[c])


cdef void count_on(const uint16_t[::1] new, const uint16_t[::1] old, uint16_t[::1] n) noexcept nogil:
    """Replace the oldest row by a new one in the number of valid and of clipped pixels of each column."""
    cdef Py_ssize_t c
    for c in range(new.shape[0]):
        n[c] += new[c] - old[c]


cdef void sum_on(
    const int16_t[::1] new, const int16_t[::1] old, uint32_t[::1] x, uint32_t[::1] y
) noexcept nogil:
    """Replace the oldest row by a new one in the sums of each column."""
    cdef Py_ssize_t c
    cdef int32_t a, b
    for c in range(new.shape[0]):
        a = new[c]
        b = old[c]
        x[c] += <uint32_t>(a - b)
        y[c] += <uint32_t>(a * a - b * b)


cdef void add_up(
    const uint16_t[::1] column_n, const uint32_t[:, ::1] columns, uint16_t[::1] n, uint32_t[:, ::1] prefix
) noexcept nogil:
    """Prefix sums of the sums of columns; differences of them are exact although they may wrap."""
    cdef Py_ssize_t c
    cdef uint16_t here = 0
    cdef uint32_t x = 0, y = 0
    for c in range(column_n.shape[0]):
        here += column_n[c]
        x += columns[0, c]
        y += columns[1, c]
        n[c + 1] = here
        prefix[0, c + 1] = x
        prefix[1, c + 1] = y


cdef void pick(
    const uint16_t[::1] n, const uint32_t[::1] x, const uint32_t[::1] y, Py_ssize_t width,
    float gain, float sigma, uint8_t[::1] candidate,
) noexcept nogil:
    """Mark every pixel that may be dispersed: n y - x^2 > G x (n - 1 + sigma sqrt(2 (n - 1))).

    The left side is in error by less than 4e-7 n y, the right side by less than 1e-6 of itself; the test
    is loose by more than both.
    """
    cdef Py_ssize_t c
    cdef uint16_t both
    cdef float here, total, squares, degrees
    for c in range(candidate.shape[0]):
        both = between_n(n, c, width)
        here = <float>(both & (CLIPPED - 1))
        total = <float><int32_t>between(x, c, width)
        squares = here * <float><int32_t>between(y, c, width)
        degrees = here - 1.0
        candidate[c] = (
            (squares * <float>(1.0 + 1e-6) - total * total
             > gain * total * (degrees + sigma * sqrtf(degrees + degrees)))
            & (total >= 0.0)
        ) | (both >= CLIPPED)


cdef inline Sums sums_at(
    Window* window, Counts counts, Mask mask, const uint8_t[:, ::1] pixels, const uint16_t[::1] n,
    const uint32_t[:, ::1] prefix, Py_ssize_t row, Py_ssize_t c,
) noexcept nogil:
    """Exact sums over a window: from the quick ones, or anew where they hold a clipped count."""
    cdef Py_ssize_t width = 2 * window.kx + 1
    cdef uint16_t both = between_n(n, c, width)
    cdef Sums sums
    if both >= CLIPPED:
        look(window, counts, mask, pixels, 0, row, c)
        return window.sums
    sums.n = both
    sums.x = <int32_t>between(prefix[0], c, width)
    sums.y = <int32_t>between(prefix[1], c, width)
    return sums


def scan(
    Counts counts, Mask mask, Py_ssize_t kx, Py_ssize_t ky, double gain, double sigma_background,
    double sigma_strong, Py_ssize_t min_local, double threshold, bint extended, int32_t limit,
    int16_t[:, ::1] values, uint16_t[:, ::1] kinds, uint16_t[::1] column_n, uint32_t[:, ::1] columns,
    uint16_t[::1] prefix_n, uint32_t[:, ::1] prefix, uint8_t[::1] candidate, const double[::1] needed,
    uint8_t[:, ::1] pixels, Py_ssize_t[::1] found,
):
    """Find dispersed pixels (extended) or strong pixels (not extended); gives how many.

    ``found`` takes their flat indices, ``pixels`` the bit FLAGGED (extended only). All scratch arrays
    start at zero; ``needed`` holds G (n - 1 + sigma sqrt(2 (n - 1))) for each n.
    """
    cdef Py_ssize_t n_slow = counts.shape[0], n_fast = counts.shape[1]
    # One row more than the window has: the one that enters must not overwrite the one that leaves.
    cdef Py_ssize_t rows = 2 * ky + 2, width = 2 * kx + 1
    cdef Py_ssize_t entering, row, new, old, c, n_found = 0
    cdef float loose = <float>(gain * (1.0 - 1e-5))
    cdef float sigma = <float>sigma_background
    cdef Window window = Window(kx, ky, -1, -1, Sums(0, 0, 0))
    cdef Sums sums
    cdef const void* hit
    with nogil:
        for entering in range(n_slow + ky):
            new = entering % rows
            old = (entering + 1) % rows
            if entering < n_slow:
                take_in(counts, mask, entering, limit, values[new], kinds[new])
            else:
                values[new, :] = 0
                kinds[new, :] = 0
            count_on(kinds[new], kinds[old], column_n[kx:kx + n_fast])
            sum_on(values[new], values[old], columns[0, kx:kx + n_fast], columns[1, kx:kx + n_fast])
            row = entering - ky
            if row < 0:
                continue
            add_up(column_n, columns, prefix_n, prefix)
            pick(prefix_n, prefix[0], prefix[1], width, loose, sigma, candidate)
            c = 0
            while c < n_fast:
                hit = memchr(&candidate[c], 1, n_fast - c)
                if hit == NULL:
                    break
                c = <const uint8_t*>hit - &candidate[0]
                if kinds[row % rows, c] & VALID:
                    sums = sums_at(&window, counts, mask, pixels, prefix_n, prefix, row, c)
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
