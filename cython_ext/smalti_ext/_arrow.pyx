"""Normal equations of many crystals out of sums by chunk: every crystal's own, and what all share."""

from cython.parallel cimport prange

cdef enum:
    N_LOCAL = 24
    N_PANEL = 9  # local coordinates of a panel come first,
    N_EXPERIMENT = 15  # those of an experiment follow


cdef inline double dot(const double* a, const double* b, Py_ssize_t n) noexcept nogil:
    cdef double total = 0.0
    cdef Py_ssize_t i
    for i in range(n):
        total += a[i] * b[i]
    return total


cdef void add_panel(
    const double* matrix, const double[:, ::1] by_panel, const long long[::1] columns,
    const double[:, ::1] own, double[:, ::1] cross,
) noexcept nogil:
    """Add the products of a crystal's own parameters and those of the panel of one chunk."""
    cdef double product[N_EXPERIMENT]
    cdef Py_ssize_t i, j, r
    for j in range(columns.shape[0]):
        if columns[j] < 0:
            continue
        for r in range(N_EXPERIMENT):
            product[r] = dot(matrix + (N_PANEL + r) * N_LOCAL, &by_panel[j, 0], N_PANEL)
        for i in range(own.shape[0]):
            cross[i, columns[j]] += dot(&own[i, 0], product, N_EXPERIMENT)


cdef void add_experiment(
    const double* sums, const double* slope, const double[:, ::1] own, const double[:, ::1] shared,
    const long long[::1] columns, double[:, ::1] matrix, double[::1] gradient, double[:, ::1] cross,
) noexcept nogil:
    """Add what one experiment tells of its crystal's own parameters, and of these with what it shares."""
    cdef double product[N_EXPERIMENT]
    cdef Py_ssize_t i, j, r
    for j in range(own.shape[0]):
        for r in range(N_EXPERIMENT):
            product[r] = dot(sums + r * N_EXPERIMENT, &own[j, 0], N_EXPERIMENT)
        for i in range(own.shape[0]):
            matrix[i, j] += dot(&own[i, 0], product, N_EXPERIMENT)
        gradient[j] += dot(&own[j, 0], slope, N_EXPERIMENT)
    for j in range(columns.shape[0]):
        if columns[j] < 0:
            continue
        for r in range(N_EXPERIMENT):
            product[r] = dot(sums + r * N_EXPERIMENT, &shared[j, 0], N_EXPERIMENT)
        for i in range(own.shape[0]):
            cross[i, columns[j]] += dot(&own[i, 0], product, N_EXPERIMENT)


cdef void add_crystal(
    Py_ssize_t begin, Py_ssize_t end, const double[:, :, ::1] matrix, const double[:, ::1] gradient,
    const long long[::1] experiment, const long long[::1] panel, const double[:, :, ::1] own,
    const double[:, :, ::1] shared, const long long[:, ::1] shared_columns,
    const double[:, :, ::1] by_panel, const long long[:, ::1] panel_columns, bint with_cross,
    double[:, ::1] block, double[::1] slope, double[:, ::1] cross,
) noexcept nogil:
    cdef double sums[N_EXPERIMENT * N_EXPERIMENT]
    cdef double right[N_EXPERIMENT]
    cdef Py_ssize_t c, e, i, j
    c = begin
    while c < end:
        e = experiment[c]
        for i in range(N_EXPERIMENT * N_EXPERIMENT):
            sums[i] = 0.0
        for i in range(N_EXPERIMENT):
            right[i] = 0.0
        while c < end and experiment[c] == e:
            for i in range(N_EXPERIMENT):
                right[i] += gradient[c, N_PANEL + i]
                for j in range(N_EXPERIMENT):
                    sums[i * N_EXPERIMENT + j] += matrix[c, N_PANEL + i, N_PANEL + j]
            if with_cross:
                add_panel(&matrix[c, 0, 0], by_panel[panel[c]], panel_columns[panel[c]], own[e], cross)
            c += 1
        add_experiment(
            sums, right, own[e], shared[e], shared_columns[e][: shared_columns.shape[1] * with_cross],
            block, slope, cross,
        )


def by_crystal(
    const double[:, :, ::1] matrix, const double[:, ::1] gradient, const long long[::1] bounds,
    const long long[::1] experiment, const long long[::1] panel, const double[:, :, ::1] own,
    const double[:, :, ::1] shared, const long long[:, ::1] shared_columns,
    const double[:, :, ::1] by_panel, const long long[:, ::1] panel_columns, bint with_cross,
    double[:, :, ::1] blocks, double[:, ::1] slopes, double[:, :, ::1] cross, int n_threads,
):
    cdef Py_ssize_t k
    # A crystal's chunks are added by one thread, in order: sums do not depend on the number of threads.
    for k in prange(bounds.shape[0] - 1, nogil=True, schedule="dynamic", num_threads=n_threads):
        add_crystal(
            bounds[k], bounds[k + 1], matrix, gradient, experiment, panel, own, shared, shared_columns,
            by_panel, panel_columns, with_cross, blocks[k], slopes[k], cross[k * with_cross],
        )


cdef void add_chunks(
    Py_ssize_t begin, Py_ssize_t end, const long long[::1] order, const double[:, :, ::1] matrix,
    const double[:, ::1] gradient, const long long[::1] experiment, const double[:, :, ::1] shared,
    const long long[:, ::1] shared_columns, double[:, ::1] block, double[::1] slope, double[:, ::1] cross,
) noexcept nogil:
    cdef Py_ssize_t a, b, c, j, k, column
    for k in range(begin, end):
        c = order[k]
        for a in range(N_PANEL):
            slope[a] += gradient[c, a]
            for b in range(N_PANEL):
                block[a, b] += matrix[c, a, b]
        for j in range(shared_columns.shape[1]):
            column = shared_columns[experiment[c], j]
            if column < 0:
                continue
            for a in range(N_PANEL):
                cross[a, column] += dot(&matrix[c, a, N_PANEL], &shared[experiment[c], j, 0], N_EXPERIMENT)


def by_panel(
    const double[:, :, ::1] matrix, const double[:, ::1] gradient, const long long[::1] order,
    const long long[::1] bounds, const long long[::1] experiment, const double[:, :, ::1] shared,
    const long long[:, ::1] shared_columns, double[:, :, ::1] blocks, double[:, ::1] slopes,
    double[:, :, ::1] cross, int n_threads,
):
    cdef Py_ssize_t p
    for p in prange(bounds.shape[0] - 1, nogil=True, schedule="dynamic", num_threads=n_threads):
        add_chunks(
            bounds[p], bounds[p + 1], order, matrix, gradient, experiment, shared, shared_columns,
            blocks[p], slopes[p], cross[p],
        )
