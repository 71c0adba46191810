"""Selection by rank, which several kernels need."""

cdef inline double select(double* a, Py_ssize_t low, Py_ssize_t high, Py_ssize_t rank) noexcept nogil:
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
