"""Quantiles of every stratum of a long list, by selection."""

from libc.math cimport floor

from smalti_ext.selecting cimport select


def quantiles(
    const double[:, ::1] values, const long long[::1] bounds, const double[::1] levels, double[::1] scratch,
    double[:, :, ::1] out,
):
    """Linearly interpolated quantiles into ``out`` (L, S, k); levels ascend, and no stratum is empty."""
    cdef Py_ssize_t s, row, n, first, rank, above, done, level
    cdef int column
    cdef double place, value, upper
    with nogil:
        for s in range(bounds.shape[0] - 1):
            first = bounds[s]
            n = bounds[s + 1] - first
            for column in range(values.shape[1]):
                for row in range(n):
                    scratch[row] = values[first + row, column]
                done = 0
                for level in range(levels.shape[0]):
                    place = levels[level] * (n - 1)
                    rank = <Py_ssize_t>floor(place)
                    # What came before is smaller already: later levels look only beyond it.
                    value = select(&scratch[0], done, n - 1, rank)
                    done = rank
                    if place > rank:
                        upper = scratch[rank + 1]
                        for above in range(rank + 2, n):
                            if scratch[above] < upper:
                                upper = scratch[above]
                        value += (place - rank) * (upper - value)
                    out[level, s, column] = value
