"""Connected groups of strong pixels, by union-find over sorted lists; and the background beside them."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint64_t

from smalti_ext.bits cimport Bits, bits_of, set_stretch
from smalti_ext.windows cimport Counts, Mask, Window, look, start

# What may be beside a strong pixel: the end of its panel or a masked pixel, and one above the trusted range.
cdef enum:
    CUT = 1
    OVERLOADED = 2


cdef inline int64_t root_of(int64_t[::1] parent, int64_t k) noexcept nogil:
    """Find the first pixel of a group, halving the path on the way."""
    while parent[k] != k:
        parent[k] = parent[parent[k]]
        k = parent[k]
    return k


cdef inline void join(int64_t[::1] parent, int64_t a, int64_t b) noexcept nogil:
    """Join two groups under the earlier of their first pixels."""
    a = root_of(parent, a)
    b = root_of(parent, b)
    if a < b:
        parent[b] = a
    else:
        parent[a] = b


def label(
    const int64_t[::1] starts, const uint8_t[::1] linked, const int32_t[::1] index,
    const int16_t[::1] panel, int64_t n_fast, int64_t[::1] parent,
):
    """Number the groups in the order of their first pixels; gives how many.

    ``starts`` (F + 1,) delimits the list of each frame in ``index``, ascending within a frame;
    ``linked`` (F,) tells whether a frame continues the one before. ``parent`` takes the numbers.
    """
    cdef Py_ssize_t frame
    cdef int64_t k, above, before, before_end, here, n_groups = 0
    with nogil:
        for k in range(index.shape[0]):
            parent[k] = k
        for frame in range(linked.shape[0]):
            above = starts[frame]
            before = before_end = 0
            if linked[frame]:
                before = starts[frame - 1]
                before_end = starts[frame]
            for k in range(starts[frame], starts[frame + 1]):
                here = index[k]
                if k > starts[frame] and index[k - 1] == here - 1 and here % n_fast != 0:
                    if panel[k - 1] == panel[k]:
                        join(parent, k - 1, k)
                while index[above] < here - n_fast:
                    above += 1
                if index[above] == here - n_fast and panel[above] == panel[k]:
                    join(parent, above, k)
                while before < before_end and index[before] < here:
                    before += 1
                if before < before_end and index[before] == here and panel[before] == panel[k]:
                    join(parent, before, k)
        # A root comes before all others of its group, so one pass renumbers: the place of a root then
        # holds a number, marked by its sign, and every later pixel finds it through its root.
        for k in range(index.shape[0]):
            if parent[k] == k:
                parent[k] = -1 - n_groups
                n_groups += 1
            else:
                here = parent[k]
                while parent[here] >= 0:
                    here = parent[here]
                parent[k] = parent[here]
        for k in range(index.shape[0]):
            parent[k] = -1 - parent[k]
    return n_groups


def by_group(const int64_t[::1] group, int64_t[::1] starts, int64_t[::1] order):
    """List the pixels of each group, in their own order; ``starts`` (G + 1,) begins at zero [counting sort]."""
    cdef Py_ssize_t k
    cdef int64_t g, n = 0, count
    with nogil:
        for k in range(group.shape[0]):
            starts[group[k]] += 1
        for g in range(starts.shape[0]):
            count = starts[g]
            starts[g] = n
            n += count
        for k in range(group.shape[0]):
            order[starts[group[k]]] = k
            starts[group[k]] += 1
        # Each start now is where its group ends.
        for g in range(starts.shape[0] - 1, 0, -1):
            starts[g] = starts[g - 1]
        starts[0] = 0


def surroundings(
    Counts counts, Mask mask, const int32_t[::1] index, Py_ssize_t guard, Py_ssize_t reach,
    uint64_t[:, ::1] bits, int64_t[:, ::1] columns, int64_t[::1] total, int32_t[::1] pixels,
):
    """Sum the usable pixels around each strong one that are more than ``guard`` from any strong one.

    ``bits`` (slow, words) start at zero and take the strong pixels and their rims; ``columns`` is (fast, 4).
    """
    cdef Py_ssize_t n_slow = counts.shape[0], n_fast = counts.shape[1]
    cdef Py_ssize_t k, row, column, r, c, first, last
    cdef Bits taken = bits_of(bits)
    cdef Window window
    with nogil:
        start(&window, reach, reach, taken, columns)
        for k in range(index.shape[0]):
            row = index[k] // n_fast
            column = index[k] - row * n_fast
            first = max(column - guard, 0)
            last = min(column + guard + 1, n_fast)
            for r in range(max(row - guard, 0), min(row + guard + 1, n_slow)):
                for c in range(first, last, 63):
                    set_stretch(taken, r, c, min(last - c, 63))
        for k in range(index.shape[0]):
            row = index[k] // n_fast
            look(&window, counts, mask, row, index[k] - row * n_fast)
            total[k] = window.sums.x
            pixels[k] = <int32_t>window.sums.n


def beside(
    Counts counts, Mask usable, Mask good, const int16_t[:, ::1] panels, const int32_t[::1] index,
    const int32_t[::1] highest, uint8_t[::1] out,
):
    """Tell what the four neighbours of each strong pixel are: CUT and OVERLOADED in ``out``.

    ``highest`` (panels,) are the highest trusted counts.
    """
    cdef Py_ssize_t n_slow = counts.shape[0], n_fast = counts.shape[1]
    cdef Py_ssize_t k, row, column, r, c, way
    cdef int16_t panel
    cdef uint8_t found
    with nogil:
        for k in range(index.shape[0]):
            row = index[k] // n_fast
            column = index[k] - row * n_fast
            panel = panels[row, column]
            found = 0
            for way in range(4):
                r = row + (way == 0) - (way == 1)
                c = column + (way == 2) - (way == 3)
                if r < 0 or r >= n_slow or c < 0 or c >= n_fast or panels[r, c] != panel:
                    found |= CUT
                elif not usable[r, c]:
                    if good[r, c] and counts[r, c] > highest[panel]:
                        found |= OVERLOADED
                    else:
                        found |= CUT
            out[k] = found
