"""Rotation data of crystals that vary over the scan, in one pass: the sums of _normal by samples of the crystal."""

from cython.parallel cimport prange
from libc.math cimport NAN, isnan

from smalti_ext.crossing cimport N_LOCAL, Crossing, Slopes, fill_rows, find_crossing, find_slopes
from smalti_ext.stills cimport find_still, find_still_slopes

cdef enum:
    N_FIXED = 15  # panel frame 9, s0 3, setting rotation 3
    N_CRYSTAL = 9  # parameters of a crystal at most: 3 of its orientation, 6 of its cell
    FIRST_FA = 12  # where F A is among the local coordinates


cdef inline void reduce_rows(
    const double* rows, const double* slopes, Py_ssize_t c, double* fixed, double* crystal
) noexcept nogil:
    """Split derivatives (3, 24) into those by what does not vary (3, 15) and by crystal parameters (3, c)."""
    cdef Py_ssize_t i, j, k
    cdef double total
    for k in range(3):
        for i in range(FIRST_FA):
            fixed[k * N_FIXED + i] = rows[k * N_LOCAL + i]
        for i in range(3):
            fixed[k * N_FIXED + FIRST_FA + i] = rows[k * N_LOCAL + FIRST_FA + 9 + i]
        for j in range(c):
            total = 0.0
            for i in range(9):
                total += rows[k * N_LOCAL + FIRST_FA + i] * slopes[9 * j + i]
            crystal[k * N_CRYSTAL + j] = total


cdef inline void add_products(
    const double* fixed, const double* crystal, const double* blend, const double* weight,
    const double* weighted, Py_ssize_t c, double* matrix, double* gradient,
) noexcept nogil:
    """Add w J^T J (its upper triangle) and w J^T r of one reflection.

    The derivative by sample s of crystal parameter j is blend[s] times that by the parameter itself, so
    that every product of two derivatives is worked out once for all samples.
    """
    cdef Py_ssize_t size = N_FIXED + 3 * c
    cdef Py_ssize_t i, j, s, t
    cdef double x, y, z, value
    cdef double* row
    for i in range(N_FIXED):
        x = weight[0] * fixed[i]
        y = weight[1] * fixed[N_FIXED + i]
        z = weight[2] * fixed[2 * N_FIXED + i]
        row = matrix + i * size
        gradient[i] += (
            weighted[0] * fixed[i] + weighted[1] * fixed[N_FIXED + i] + weighted[2] * fixed[2 * N_FIXED + i]
        )
        for j in range(i, N_FIXED):
            row[j] += x * fixed[j] + y * fixed[N_FIXED + j] + z * fixed[2 * N_FIXED + j]
        for j in range(c):
            value = x * crystal[j] + y * crystal[N_CRYSTAL + j] + z * crystal[2 * N_CRYSTAL + j]
            for s in range(3):
                row[N_FIXED + s * c + j] += blend[s] * value
    for i in range(c):
        x = weight[0] * crystal[i]
        y = weight[1] * crystal[N_CRYSTAL + i]
        z = weight[2] * crystal[2 * N_CRYSTAL + i]
        value = (
            weighted[0] * crystal[i] + weighted[1] * crystal[N_CRYSTAL + i]
            + weighted[2] * crystal[2 * N_CRYSTAL + i]
        )
        for s in range(3):
            gradient[N_FIXED + s * c + i] += blend[s] * value
        for j in range(c):
            value = x * crystal[j] + y * crystal[N_CRYSTAL + j] + z * crystal[2 * N_CRYSTAL + j]
            for s in range(3):
                row = matrix + (N_FIXED + s * c + i) * size + N_FIXED
                for t in range(s, 3):
                    row[t * c + j] += blend[s] * blend[t] * value


cdef void accumulate_chunk(
    Py_ssize_t begin, Py_ssize_t end, const double[:, ::1] h, const unsigned char[::1] entering,
    const double[:, ::1] observed, const double[:, ::1] weights, const long long[::1] image,
    const double[:, :, ::1] FA, const double[:, :, :, ::1] slopes, const double[:, ::1] blend,
    const double* S, const double* axis, const double* s0, const double* D, bint still,
    double* matrix, double* gradient, double* sums,
) noexcept nogil:
    cdef double rows[3 * N_LOCAL]
    cdef double fixed[3 * N_FIXED]
    cdef double crystal[3 * N_CRYSTAL]
    cdef double weighted[3]
    cdef double residual[3]
    cdef Crossing at
    cdef Slopes found
    cdef Py_ssize_t c = slopes.shape[1]
    cdef Py_ssize_t size = N_FIXED + 3 * c
    cdef Py_ssize_t n, i, j, k, m
    for n in range(begin, end):
        if weights[n, 0] == 0.0 and weights[n, 1] == 0.0 and weights[n, 2] == 0.0:
            continue
        m = image[n]
        if still:
            at = find_still(&h[n, 0], &FA[m, 0, 0], s0, D)
        else:
            at = find_crossing(&h[n, 0], entering[n], observed[n, 2], &FA[m, 0, 0], S, axis, s0, D)
        if isnan(at.x):
            sums[5] += 1.0
            continue
        if still:
            find_still_slopes(&at, &h[n, 0], &FA[m, 0, 0], s0, D, &found)
        else:
            find_slopes(&at, S, axis, s0, D, &found)
        fill_rows(&at, &h[n, 0], &found, rows)
        residual[0] = at.x - observed[n, 0]
        residual[1] = at.y - observed[n, 1]
        residual[2] = at.phi - observed[n, 2]
        for k in range(3):
            weighted[k] = weights[n, k] * residual[k]
            sums[0] += 0.5 * weighted[k] * residual[k]
            sums[1 + k] += residual[k] * residual[k]
        sums[4] += 1.0
        reduce_rows(rows, &slopes[m, 0, 0, 0], c, fixed, crystal)
        add_products(fixed, crystal, &blend[m, 0], &weights[n, 0], weighted, c, matrix, gradient)
    for i in range(size):
        for j in range(i):
            matrix[i * size + j] = matrix[j * size + i]


def accumulate(
    const double[:, ::1] h, const unsigned char[::1] entering, const double[:, ::1] observed,
    const double[:, ::1] weights, const long long[::1] image, const long long[::1] chunks,
    const long long[::1] experiment, const long long[::1] panel, const double[:, :, ::1] FA,
    const double[:, :, :, ::1] slopes, const double[:, ::1] blend, const double[:, :, ::1] S,
    const double[:, ::1] axis, const double[:, ::1] s0, const double[:, :, ::1] D,
    const unsigned char[::1] still, double[:, :, ::1] matrix, double[:, ::1] gradient, double[:, ::1] sums, int n_threads,
):
    cdef Py_ssize_t n_chunks = chunks.shape[0] - 1
    cdef Py_ssize_t k, e, p
    # Every chunk has its own sums: they do not depend on which thread does it, nor in which order.
    for k in prange(n_chunks, nogil=True, schedule="dynamic", num_threads=n_threads):
        e = experiment[k]
        p = panel[k]
        accumulate_chunk(
            chunks[k], chunks[k + 1], h, entering, observed, weights, image, FA, slopes, blend,
            &S[e, 0, 0], &axis[e, 0], &s0[e, 0], &D[p, 0, 0], still[e], &matrix[k, 0, 0],
            &gradient[k, 0], &sums[k, 0],
        )


cdef void predict_chunk(
    Py_ssize_t begin, Py_ssize_t end, const double[:, ::1] h, const unsigned char[::1] entering,
    const double[::1] angle, const long long[::1] image, const double[:, :, ::1] FA, const double* S,
    const double* axis, const double* s0, const double* D, bint still, double[:, ::1] xyz,
) noexcept nogil:
    cdef Crossing at
    cdef Py_ssize_t n
    for n in range(begin, end):
        if still:
            at = find_still(&h[n, 0], &FA[image[n], 0, 0], s0, D)
        else:
            at = find_crossing(&h[n, 0], entering[n], angle[n], &FA[image[n], 0, 0], S, axis, s0, D)
        if isnan(at.x):
            xyz[n, 0] = xyz[n, 1] = xyz[n, 2] = NAN
        else:
            xyz[n, 0] = at.x
            xyz[n, 1] = at.y
            xyz[n, 2] = at.phi


def predict(
    const double[:, ::1] h, const unsigned char[::1] entering, const double[::1] angle,
    const long long[::1] image, const long long[::1] chunks, const long long[::1] experiment,
    const long long[::1] panel, const double[:, :, ::1] FA, const double[:, :, ::1] S,
    const double[:, ::1] axis, const double[:, ::1] s0, const double[:, :, ::1] D,
    const unsigned char[::1] still, double[:, ::1] xyz, int n_threads,
):
    cdef Py_ssize_t n_chunks = chunks.shape[0] - 1
    cdef Py_ssize_t k, e, p
    for k in prange(n_chunks, nogil=True, schedule="dynamic", num_threads=n_threads):
        e = experiment[k]
        p = panel[k]
        predict_chunk(
            chunks[k], chunks[k + 1], h, entering, angle, image, FA, &S[e, 0, 0], &axis[e, 0],
            &s0[e, 0], &D[p, 0, 0], still[e], xyz,
        )
