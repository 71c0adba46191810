"""One pass over rotation data and stills: prediction, residuals, derivatives, normal equations in local blocks."""

from cython.parallel cimport prange
from libc.math cimport NAN, isnan
from libc.string cimport memset

from smalti_ext.crossing cimport N_LOCAL, Crossing, Slopes, find_crossing, find_slopes
from smalti_ext.stills cimport find_still, find_still_slopes


cdef struct Moments:
    # Sums of w J^T J and w J^T r of one chunk. The derivatives of a reflection are outer products,
    #     panel u x by_d with u = (X, Y, 1),   F A by_FA x h,   s0 and setting plain,
    # and so are the products of any two: sums over them take a third of the arithmetic of a matrix.
    double panel[6][6]      # u u x by_d by_d
    double crystal[6][6]    # h h x by_FA by_FA
    double mixed[9][9]      # u h x by_d by_FA
    double by_u[3][21]      # u x (by_d by_s0, by_d r, by_d by_turn)
    double by_h[3][21]      # h x (by_s0 by_FA, by_FA r, by_turn by_FA)
    double plain[27]        # s0 s0 9, s0 turn 9, turn turn 9
    double slope[6]         # s0 r, turn r


cdef inline void products(
    const double (*a)[3], const double (*b)[3], const double* w, int n, double* out
) noexcept nogil:
    """Sum over n residuals of w a_i b_j, (3, 3)."""
    cdef int i, j
    for i in range(3):
        for j in range(3):
            out[3 * i + j] = w[0] * a[0][i] * b[0][j] + w[1] * a[1][i] * b[1][j]
            if n == 3:
                out[3 * i + j] += w[2] * a[2][i] * b[2][j]


cdef inline double along(const double (*a)[3], const double* weighted, int i) noexcept nogil:
    return weighted[0] * a[0][i] + weighted[1] * a[1][i] + weighted[2] * a[2][i]


cdef inline void symmetric(const double* square, double* out) noexcept nogil:
    out[0] = square[0]
    out[1] = square[1]
    out[2] = square[2]
    out[3] = square[4]
    out[4] = square[5]
    out[5] = square[8]


cdef inline void squares(const double* v, double* out) noexcept nogil:
    out[0] = v[0] * v[0]
    out[1] = v[0] * v[1]
    out[2] = v[0] * v[2]
    out[3] = v[1] * v[1]
    out[4] = v[1] * v[2]
    out[5] = v[2] * v[2]


cdef inline void add_reflection(
    const Crossing* at, const Slopes* slopes, const double* h, const double* weights, const double* weighted,
    bint setting, Moments* to,
) noexcept nogil:
    cdef double u[3]
    cdef double uu[6]
    cdef double hh[6]
    cdef double square[9]
    cdef double unique[6]
    cdef double by_u[21]
    cdef double by_h[21]
    cdef double mixed[9]
    cdef double factor
    cdef int i, j, n
    u[0] = at.x
    u[1] = at.y
    u[2] = 1.0
    squares(u, uu)
    squares(h, hh)
    products(slopes.by_d, slopes.by_d, weights, 2, square)
    symmetric(square, unique)
    for i in range(6):
        for j in range(6):
            to.panel[i][j] += uu[i] * unique[j]
    products(slopes.by_FA, slopes.by_FA, weights, 3, square)
    symmetric(square, unique)
    for i in range(6):
        for j in range(6):
            to.crystal[i][j] += hh[i] * unique[j]
    products(slopes.by_d, slopes.by_FA, weights, 2, mixed)
    for i in range(3):
        for j in range(3):
            factor = u[i] * h[j]
            for n in range(9):
                to.mixed[3 * i + j][n] += factor * mixed[n]
    products(slopes.by_d, slopes.by_s0, weights, 2, by_u)
    products(slopes.by_s0, slopes.by_FA, weights, 3, by_h)
    products(slopes.by_s0, slopes.by_s0, weights, 3, square)
    for i in range(9):
        to.plain[i] += square[i]
    for i in range(3):
        by_u[9 + i] = weighted[0] * slopes.by_d[0][i] + weighted[1] * slopes.by_d[1][i]
        by_h[9 + i] = along(slopes.by_FA, weighted, i)
        to.slope[i] += along(slopes.by_s0, weighted, i)
    for i in range(3):
        for j in range(12):
            to.by_u[i][j] += u[i] * by_u[j]
            to.by_h[i][j] += h[i] * by_h[j]
    if not setting:
        return
    products(slopes.by_d, slopes.by_turn, weights, 2, by_u)
    products(slopes.by_turn, slopes.by_FA, weights, 3, by_h)
    for i in range(3):
        for j in range(9):
            to.by_u[i][12 + j] += u[i] * by_u[j]
            to.by_h[i][12 + j] += h[i] * by_h[j]
        to.slope[3 + i] += along(slopes.by_turn, weighted, i)
    products(slopes.by_s0, slopes.by_turn, weights, 3, square)
    for i in range(9):
        to.plain[9 + i] += square[i]
    products(slopes.by_turn, slopes.by_turn, weights, 3, square)
    for i in range(9):
        to.plain[18 + i] += square[i]


cdef void expand(const Moments* sums, double* matrix, double* gradient) noexcept nogil:
    """Put sums over products in their places among the local coordinates."""
    cdef int unique[3][3]
    cdef int a, b, i, j, n = 0
    for a in range(3):
        for b in range(a, 3):
            unique[a][b] = unique[b][a] = n
            n += 1
    for a in range(3):
        for b in range(3):
            gradient[3 * a + b] = sums.by_u[a][9 + b]
            gradient[12 + 3 * b + a] = sums.by_h[a][9 + b]
            matrix[(9 + a) * N_LOCAL + 9 + b] = sums.plain[3 * a + b]
            matrix[(9 + a) * N_LOCAL + 21 + b] = sums.plain[9 + 3 * a + b]
            matrix[(21 + a) * N_LOCAL + 21 + b] = sums.plain[18 + 3 * a + b]
            for i in range(3):
                matrix[(3 * a + b) * N_LOCAL + 9 + i] = sums.by_u[a][3 * b + i]
                matrix[(3 * a + b) * N_LOCAL + 21 + i] = sums.by_u[a][12 + 3 * b + i]
                matrix[(9 + b) * N_LOCAL + 12 + 3 * i + a] = sums.by_h[a][3 * b + i]
                matrix[(12 + 3 * i + a) * N_LOCAL + 21 + b] = sums.by_h[a][12 + 3 * b + i]
                for j in range(3):
                    matrix[(3 * a + i) * N_LOCAL + 3 * b + j] = sums.panel[unique[a][b]][unique[i][j]]
                    matrix[(12 + 3 * i + a) * N_LOCAL + 12 + 3 * j + b] = (
                        sums.crystal[unique[a][b]][unique[i][j]]
                    )
                    matrix[(3 * a + i) * N_LOCAL + 12 + 3 * j + b] = sums.mixed[3 * a + b][3 * i + j]
        gradient[9 + a] = sums.slope[a]
        gradient[21 + a] = sums.slope[3 + a]
    for i in range(N_LOCAL):
        for j in range(i):
            matrix[i * N_LOCAL + j] = matrix[j * N_LOCAL + i]


cdef void accumulate_chunk(
    Py_ssize_t begin, Py_ssize_t end, const double[:, ::1] h, const unsigned char[::1] entering,
    const double[:, ::1] observed, const double[:, ::1] weights, const double* FA, const double* S,
    const double* axis, const double* s0, const double* D, bint still, bint setting, double* matrix,
    double* gradient, double* sums,
) noexcept nogil:
    cdef Moments moments
    cdef double weighted[3]
    cdef double residual[3]
    cdef Crossing at
    cdef Slopes slopes
    cdef Py_ssize_t n
    cdef int k
    memset(&moments, 0, sizeof(moments))
    for n in range(begin, end):
        if weights[n, 0] == 0.0 and weights[n, 1] == 0.0 and weights[n, 2] == 0.0:
            continue
        if still:
            at = find_still(&h[n, 0], FA, s0, D)
        else:
            at = find_crossing(&h[n, 0], entering[n], observed[n, 2], FA, S, axis, s0, D)
        if isnan(at.x):
            sums[5] += 1.0
            continue
        if still:
            find_still_slopes(&at, &h[n, 0], FA, s0, D, &slopes)
        else:
            find_slopes(&at, S, axis, s0, D, &slopes)
        residual[0] = at.x - observed[n, 0]
        residual[1] = at.y - observed[n, 1]
        residual[2] = at.phi - observed[n, 2]
        for k in range(3):
            weighted[k] = weights[n, k] * residual[k]
            sums[0] += 0.5 * weighted[k] * residual[k]
            sums[1 + k] += residual[k] * residual[k]
        sums[4] += 1.0
        add_reflection(&at, &slopes, &h[n, 0], &weights[n, 0], weighted, setting, &moments)
    expand(&moments, matrix, gradient)


def accumulate(
    const double[:, ::1] h, const unsigned char[::1] entering, const double[:, ::1] observed,
    const double[:, ::1] weights, const long long[::1] chunks, const long long[::1] experiment,
    const long long[::1] panel, const double[:, :, ::1] FA, const double[:, :, ::1] S,
    const double[:, ::1] axis, const double[:, ::1] s0, const double[:, :, ::1] D,
    const unsigned char[::1] still, double[:, :, ::1] matrix, double[:, ::1] gradient, double[:, ::1] sums,
    bint setting, int n_threads,
):
    cdef Py_ssize_t n_chunks = chunks.shape[0] - 1
    cdef Py_ssize_t k, e, p
    # Every chunk has its own sums: they do not depend on which thread does it, nor in which order.
    for k in prange(n_chunks, nogil=True, schedule="dynamic", num_threads=n_threads):
        e = experiment[k]
        p = panel[k]
        accumulate_chunk(
            chunks[k], chunks[k + 1], h, entering, observed, weights, &FA[e, 0, 0], &S[e, 0, 0],
            &axis[e, 0], &s0[e, 0], &D[p, 0, 0], still[e], setting, &matrix[k, 0, 0], &gradient[k, 0],
            &sums[k, 0],
        )


cdef void predict_chunk(
    Py_ssize_t begin, Py_ssize_t end, const double[:, ::1] h, const unsigned char[::1] entering,
    const double[::1] angle, const double* FA, const double* S, const double* axis, const double* s0,
    const double* D, bint still, double[:, ::1] xyz,
) noexcept nogil:
    cdef Crossing at
    cdef Py_ssize_t n
    for n in range(begin, end):
        if still:
            at = find_still(&h[n, 0], FA, s0, D)
        else:
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
    const double[:, ::1] s0, const double[:, :, ::1] D, const unsigned char[::1] still,
    double[:, ::1] xyz, int n_threads,
):
    cdef Py_ssize_t n_chunks = chunks.shape[0] - 1
    cdef Py_ssize_t k, e, p
    for k in prange(n_chunks, nogil=True, schedule="dynamic", num_threads=n_threads):
        e = experiment[k]
        p = panel[k]
        predict_chunk(
            chunks[k], chunks[k + 1], h, entering, angle, &FA[e, 0, 0], &S[e, 0, 0], &axis[e, 0],
            &s0[e, 0], &D[p, 0, 0], still[e], xyz,
        )
