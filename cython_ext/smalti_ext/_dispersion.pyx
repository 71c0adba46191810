"""Pixels brighter than their surroundings: the index of dispersion over windows.

The definitions are those of DIALS [Winter et al. 2018, Acta Cryst. D74, 85; dials#752, dials#2790]; see
the wrapper. The frame is walked once, in bands of rows. A screen (screening.pxd) leaves the pixels that may be
dispersed; only these are judged, from exact sums. Wearing down and the comparison with the surroundings follow a
few rows behind, while the counts are still in the cache.
"""

from libc.math cimport sqrt
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memchr, memset

from smalti_ext.bits cimport Bits, bits_of, lowest_bit, set_bit, word_of
from smalti_ext.screening cimport HEIGHT, MARGIN, REACH, WIDTH, Bound, Tile, begin, choose, screen_row, seed
from smalti_ext.wearing cimport wear_down
from smalti_ext.windows cimport TOO_LARGE, Counts, Mask, Sums, Window, look, start, valid

cdef enum:
    # Most tiles that are walked over side by side.
    ABREAST = 16
    ROWS = 2 * MARGIN + 2

# What the wrapper must allocate for each WIDTH of columns, up to ABREAST: (RING,) int32 and (TILE,) bytes.
RING = REACH * ROWS
TILE = WIDTH * HEIGHT
COLUMNS, MOST = WIDTH, ABREAST


cdef struct Test:
    # What makes a pixel strong; ``needed`` holds G (n - 1 + sigma_background sqrt(2 (n - 1))) for each n, ``least``
    # the smallest needed / n.
    double gain
    double sigma
    double threshold
    double least
    const double* needed
    Py_ssize_t min_local
    bint extended
    bint masked_flagged


# How the candidates of a tile are found: around seeds, from sums of 16 or of 32 bits, or all are.
cdef enum:
    SEEDS
    NARROW
    BROAD
    ALL


cdef struct Part:
    # A tile, how it is screened, and the scratch for that.
    Tile tile
    Bound bound
    int way
    int32_t* ring
    uint8_t* candidates


cdef struct Scratch:
    int32_t* ring
    uint8_t* candidates


cdef inline bint dispersed(const Sums* sums, const Test* test) noexcept nogil:
    """Whether the counts scatter more than Poisson statistics allow; exact up to the square root."""
    if sums.n < test.min_local or sums.n < 2 or sums.x < 0:
        return False
    return <double>(sums.n * sums.y - sums.x * sums.x) > <double>sums.x * test.needed[sums.n]


cdef inline bint bright(const Sums* sums, int32_t count, const Test* test) noexcept nogil:
    """Whether a pixel stands out of its window: n c - x > sigma sqrt(G x n), c > threshold."""
    cdef double spread = test.gain * <double>sums.x * <double>sums.n
    return count > test.threshold and <double>(sums.n * count - sums.x) > test.sigma * sqrt(spread)


cdef double typical(Counts counts, Mask mask, Tile tile, int32_t least, Py_ssize_t* seeds) noexcept nogil:
    """Mean of the background of a tile, from some of its pixels, and how many of these are seeds."""
    cdef Py_ssize_t r, c, n = 0, trial
    cdef int64_t total = 0, limit = TOO_LARGE
    for trial in range(2):
        n = total = seeds[0] = 0
        # Few rows and many columns: what costs time is to fetch a row from memory.
        for r in range(tile.row, tile.row + tile.n_rows, 16):
            for c in range(tile.column + (r >> 4 & 3), tile.column + tile.n_columns, 4):
                if mask[r, c] and counts[r, c] < limit:
                    seeds[0] += (counts[r, c] >= least) | (counts[r, c] < 0)
                    n += 1
                    total += counts[r, c]
        if total <= 0:
            return 0.0
        # Spots are no background.
        limit = 2 * total // n + 4
    return <double>total / <double>n


cdef void plan(
    Counts counts, Mask mask, Py_ssize_t kx, Py_ssize_t ky, int32_t least, const Test* test, Part* part
) noexcept nogil:
    """Choose how a tile is screened."""
    cdef Py_ssize_t area = (2 * kx + 1) * (2 * ky + 1), seeds = 0
    cdef double mean = typical(counts, mask, part.tile, least, &seeds)
    if seeds == 0:
        part.way = SEEDS
        seed(counts, mask, part.tile, kx, ky, least, part.candidates)
    elif choose(&part.bound, mean, test.least, area, 32767):
        part.way = NARROW
        begin(ky, <int16_t*>part.ring)
    elif choose(&part.bound, mean, test.least, area, 1 << 30):
        part.way = BROAD
        begin(ky, part.ring)
    else:
        part.way = ALL
        memset(part.candidates, 1, WIDTH * HEIGHT)


cdef void scan(
    Counts counts, Mask mask, Py_ssize_t first, Py_ssize_t last, Window* window, const Test* test,
    Scratch scratch, Bits found,
) noexcept nogil:
    """Mark the pixels of some rows that are dispersed (extended) or strong (not extended).

    Rows are walked through from side to side, tile after tile: memory is quickest in that order.
    """
    cdef int32_t least = <int32_t>min(test.least, <double>TOO_LARGE) + 1
    cdef Py_ssize_t column = 0, entering, k, n
    cdef Part parts[ABREAST]
    cdef Part* part
    while column < counts.shape[1]:
        n = 0
        while n < ABREAST and column < counts.shape[1]:
            part = parts + n
            part.tile = Tile(first, last - first, column, min(counts.shape[1] - column, WIDTH))
            part.ring = scratch.ring + n * REACH * ROWS
            part.candidates = scratch.candidates + n * WIDTH * HEIGHT
            plan(counts, mask, window.kx, window.ky, least, test, part)
            column += WIDTH
            n += 1
        for entering in range(last - first + 2 * window.ky):
            for k in range(n):
                part = parts + k
                if part.way == NARROW:
                    screen_row(
                        counts, mask, &part.tile, window.kx, window.ky, &part.bound, entering,
                        <int16_t*>part.ring, part.candidates,
                    )
                elif part.way == BROAD:
                    screen_row(
                        counts, mask, &part.tile, window.kx, window.ky, &part.bound, entering,
                        part.ring, part.candidates,
                    )
        for k in range(n):
            judge(counts, mask, parts[k].tile, parts[k].candidates, window, test, found)


cdef void judge(
    Counts counts, Mask mask, Tile tile, const uint8_t* candidates, Window* window, const Test* test, Bits found
) noexcept nogil:
    """Test the candidates of a tile, (n_rows, WIDTH), exactly."""
    cdef Py_ssize_t r, c, row, column
    cdef const uint8_t* line
    cdef const void* hit
    for r in range(tile.n_rows):
        line = candidates + r * WIDTH
        row = tile.row + r
        c = 0
        while c < tile.n_columns:
            if not line[c]:
                hit = memchr(line + c, 1, tile.n_columns - c)
                if hit == NULL:
                    break
                c = <const uint8_t*>hit - line
            column = tile.column + c
            c += 1
            if valid(counts, mask, row, column):
                look(window, counts, mask, row, column)
                if dispersed(&window.sums, test) and (
                    test.extended or bright(&window.sums, counts[row, column], test)
                ):
                    set_bit(found, row, column)


cdef inline bint outstanding(const Sums* around, int32_t count, const Test* test) noexcept nogil:
    """Whether a pixel stands out of its surroundings: c >= m + sigma sqrt(G m), c > threshold."""
    cdef double mean = <double>around.x / <double>around.n if around.n >= 2 else 0.0
    return count > test.threshold and count >= mean + test.sigma * sqrt(test.gain * mean)


cdef Py_ssize_t harvest(
    Counts counts, Mask mask, Py_ssize_t first, Py_ssize_t last, Bits marked, Window* around, const Test* test,
    Py_ssize_t[::1] found, Py_ssize_t n_found,
) noexcept nogil:
    """List the marked pixels of some rows, those of them that stand out (extended); gives how many in all."""
    cdef Py_ssize_t row, column, k
    cdef uint64_t word
    for row in range(first, last):
        for k in range(marked.per_row):
            word = word_of(marked, row, 64 * k)[0]
            while word:
                column = 64 * k + lowest_bit(word)
                word &= word - 1
                if test.extended:
                    look(around, counts, mask, row, column)
                    if not outstanding(&around.sums, counts[row, column], test):
                        continue
                found[n_found] = row * counts.shape[1] + column
                n_found += 1
    return n_found


def find(
    Counts counts, Mask mask, Py_ssize_t kx, Py_ssize_t ky, double gain, double sigma_strong,
    Py_ssize_t min_local, double threshold, bint extended, bint masked_flagged, double least,
    const double[::1] needed, uint64_t[:, :, ::1] bits, int64_t[:, :, ::1] columns, int32_t[::1] ring,
    uint8_t[::1] candidates, Py_ssize_t[::1] found,
):
    """List the strong pixels of a frame in ``found``; gives how many.

    ``bits`` (2, slow, words) start at zero and take the dispersed pixels and the foreground; ``columns`` is
    (2, fast, 4).
    """
    cdef Test test = Test(
        gain, sigma_strong, threshold, least, &needed[0], min_local, extended, masked_flagged
    )
    cdef Scratch scratch = Scratch(&ring[0], &candidates[0])
    cdef Bits flagged = bits_of(bits[0]), core = bits_of(bits[1])
    cdef Window window, around
    cdef Py_ssize_t n = counts.shape[0], reach = min(kx, ky) - 1
    # How many rows are through with each part of the work.
    cdef Py_ssize_t scanned = 0, worn_down = 0, listed = 0, upto, n_found = 0
    with nogil:
        start(&window, kx, ky, Bits(NULL, 0), columns[0])
        start(&around, kx + 2, ky + 2, core, columns[1])
        while listed < n:
            upto = min(scanned + HEIGHT, n)
            scan(counts, mask, scanned, upto, &window, &test, scratch, flagged)
            scanned = upto
            if extended:
                upto = n if scanned == n else max(scanned - reach, worn_down)
                wear_down(counts, mask, worn_down, upto, reach, masked_flagged, flagged, core)
                worn_down = upto
                upto = n if worn_down == n else max(worn_down - ky - 2, listed)
            n_found = harvest(
                counts, mask, listed, upto, core if extended else flagged, &around, &test, found, n_found
            )
            listed = upto
    return n_found
