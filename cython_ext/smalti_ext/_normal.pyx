"""One pass over rotation data: prediction, residuals, derivatives, normal equations in local blocks."""

from cython.parallel cimport prange
from libc.math cimport NAN, isnan

from smalti_ext.crossing cimport N_LOCAL, Crossing, differentiate, find_crossing


cdef void accumulate_chunk(
    Py_ssize_t begin, Py_ssize_t end, const double[:, ::1] h, const unsigned char[::1] entering,
    const double[:, ::1] observed, const double[:, ::1] weights, const double* FA, const double* S,
    const double* axis, const double* s0, const double* D, double* matrix, double* gradient, double* sums,
) noexcept nogil:
    cdef double rows[3 * N_LOCAL]
    cdef double weighted[3]
    cdef double residual[3]
    cdef Crossing at
    cdef Py_ssize_t n
    cdef int i, j, k
    cdef double a, b, c
    for n in range(begin, end):
        if weights[n, 0] == 0.0 and weights[n, 1] == 0.0 and weights[n, 2] == 0.0:
            continue
        at = find_crossing(&h[n, 0], entering[n], observed[n, 2], FA, S, axis, s0, D)
        if isnan(at.x):
            sums[5] += 1.0
            continue
        differentiate(&at, &h[n, 0], S, axis, s0, D, rows)
        residual[0] = at.x - observed[n, 0]
        residual[1] = at.y - observed[n, 1]
        residual[2] = at.phi - observed[n, 2]
        for k in range(3):
            weighted[k] = weights[n, k] * residual[k]
            sums[0] += 0.5 * weighted[k] * residual[k]
            sums[1 + k] += residual[k] * residual[k]
        sums[4] += 1.0
        for i in range(N_LOCAL):
            gradient[i] += (
                weighted[0] * rows[i] + weighted[1] * rows[N_LOCAL + i] + weighted[2] * rows[2 * N_LOCAL + i]
            )
            a = weights[n, 0] * rows[i]
            b = weights[n, 1] * rows[N_LOCAL + i]
            c = weights[n, 2] * rows[2 * N_LOCAL + i]
            for j in range(i, N_LOCAL):
                matrix[i * N_LOCAL + j] += (
                    a * rows[j] + b * rows[N_LOCAL + j] + c * rows[2 * N_LOCAL + j]
                )
    for i in range(N_LOCAL):
        for j in range(i):
            matrix[i * N_LOCAL + j] = matrix[j * N_LOCAL + i]


def accumulate(
    const double[:, ::1] h, const unsigned char[::1] entering, const double[:, ::1] observed,
    const double[:, ::1] weights, const long long[::1] chunks, const long long[::1] experiment,
    const long long[::1] panel, const double[:, :, ::1] FA, const double[:, :, ::1] S,
    const double[:, ::1] axis, const double[:, ::1] s0, const double[:, :, ::1] D,
    double[:, :, ::1] matrix, double[:, ::1] gradient, double[:, ::1] sums, int n_threads,
):
    cdef Py_ssize_t n_chunks = chunks.shape[0] - 1
    cdef Py_ssize_t k, e, p
    # Every chunk has its own sums: they do not depend on which thread does it, nor in which order.
    for k in prange(n_chunks, nogil=True, schedule="dynamic", num_threads=n_threads):
        e = experiment[k]
        p = panel[k]
        accumulate_chunk(
            chunks[k], chunks[k + 1], h, entering, observed, weights, &FA[e, 0, 0], &S[e, 0, 0],
            &axis[e, 0], &s0[e, 0], &D[p, 0, 0], &matrix[k, 0, 0], &gradient[k, 0], &sums[k, 0],
        )


cdef void predict_chunk(
    Py_ssize_t begin, Py_ssize_t end, const double[:, ::1] h, const unsigned char[::1] entering,
    const double[::1] angle, const double* FA, const double* S, const double* axis, const double* s0,
    const double* D, double[:, ::1] xyz,
) noexcept nogil:
    cdef Crossing at
    cdef Py_ssize_t n
    for n in range(begin, end):
        at = find_crossing(&h[n, 0], entering[n], angle[n], FA, S, axis, s0, D)
        if isnan(at.x):
            xyz[n, 0] = xyz[n, 1] = xyz[n, 2] = NAN
        else:
            xyz[n, 0] = at.x
            xyz[n, 1] = at.y
            xyz[n, 2] = at.phi


def predict(
    const double[:, ::1] h, const unsigned char[::1] entering, const double[::1] angle,
    const long long[::1] chunks, const long long[::1] experiment, const long long[::1] panel,
    const double[:, :, ::1] FA, const double[:, :, ::1] S, const double[:, ::1] axis,
    const double[:, ::1] s0, const double[:, :, ::1] D, double[:, ::1] xyz, int n_threads,
):
    cdef Py_ssize_t n_chunks = chunks.shape[0] - 1
    cdef Py_ssize_t k, e, p
    for k in prange(n_chunks, nogil=True, schedule="dynamic", num_threads=n_threads):
        e = experiment[k]
        p = panel[k]
        predict_chunk(
            chunks[k], chunks[k + 1], h, entering, angle, &FA[e, 0, 0], &S[e, 0, 0], &axis[e, 0],
            &s0[e, 0], &D[p, 0, 0], xyz,
        )
