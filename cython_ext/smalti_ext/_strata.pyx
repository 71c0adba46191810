"""Quantiles of every stratum of a long list, by selection."""

from libc.math cimport floor


cdef double select(double* a, Py_ssize_t low, Py_ssize_t high, Py_ssize_t rank) noexcept nogil:
    """Give the value of a rank; between low and high nothing before it is larger, nothing after it smaller.

    [Hoare 1961, Comm. ACM 4, 321]
    """
    cdef Py_ssize_t i, j
    cdef double pivot, held
    while low < high:
        pivot = a[(low + high) // 2]
        i = low
        j = high
        while i <= j:
            while a[i] < pivot:
                i += 1
            while pivot < a[j]:
                j -= 1
            if i <= j:
                held = a[i]
                a[i] = a[j]
                a[j] = held
                i += 1
                j -= 1
        if rank <= j:
            high = j
        elif rank >= i:
            low = i
        else:
            break
    return a[rank]


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
