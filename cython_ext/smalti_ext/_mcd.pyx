"""Centre and covariance that outliers cannot spoil, of many strata at once."""

from cython.parallel cimport prange
from libc.math cimport fabs, sqrt, tanh
from libc.string cimport memcpy, memset

from smalti_ext.selecting cimport select

cdef enum:
    MAX_K = 6
    MAX_KK = 36
    N_STARTS = 4
    FIRST_STEPS = 2  # concentration steps for every start, before only the best go on
    BEST = 2  # starts that go on to convergence
    MAX_STEPS = 100
    REWEIGHTINGS = 3

cdef double LEAST_VARIANCE = 1e-6
cdef double NORMAL = 1.4826
cdef double INFINITE = 1e300


cdef struct Estimate:
    double centre[MAX_K]
    double covariance[MAX_KK]
    double determinant


cdef double median(double* a, Py_ssize_t n) noexcept nogil:
    cdef double upper = select(a, 0, n - 1, n // 2), lower
    cdef Py_ssize_t i
    if n % 2:
        return upper
    lower = a[0]
    for i in range(1, n // 2):
        lower = a[i] if a[i] > lower else lower
    return 0.5 * (lower + upper)


cdef double whitening(const double* covariance, int k, double* W) noexcept nogil:
    """Inverse of the Cholesky factor (lower triangle of W); gives the determinant."""
    cdef double L[MAX_KK]
    cdef double total, determinant = 1.0
    cdef int i, j, m
    for i in range(k):
        for j in range(i + 1):
            total = covariance[i * k + j]
            for m in range(j):
                total -= L[i * k + m] * L[j * k + m]
            if i == j:
                total = total if total > 0.0 else LEAST_VARIANCE  # rounding of a nearly singular one
                determinant *= total
                L[i * k + i] = sqrt(total)
            else:
                L[i * k + j] = total / L[j * k + j]
    for j in range(k):
        W[j * k + j] = 1.0 / L[j * k + j]
        for i in range(j + 1, k):
            total = 0.0
            for m in range(j, i):
                total -= L[i * k + m] * W[m * k + j]
            W[i * k + j] = total / L[i * k + i]
    return determinant


cdef inline void distances(
    const double* values, Py_ssize_t n, int k, const double* centre, const double* W, double* out
) noexcept nogil:
    """Squared lengths of whitened deviations."""
    cdef Py_ssize_t row
    cdef double x, y, z, total, part
    cdef int i, j
    if k == 3:  # the case that is met: written out, it becomes vector instructions
        for row in range(n):
            x = values[3 * row] - centre[0]
            y = values[3 * row + 1] - centre[1]
            z = values[3 * row + 2] - centre[2]
            z = W[6] * x + W[7] * y + W[8] * z
            y = W[3] * x + W[4] * y
            x = W[0] * x
            out[row] = x * x + y * y + z * z
        return
    for row in range(n):
        total = 0.0
        for i in range(k):
            part = 0.0
            for j in range(i + 1):
                part += W[i * k + j] * (values[row * k + j] - centre[j])
            total += part * part
        out[row] = total


cdef inline Py_ssize_t moments(
    const double* values, const double* distance, Py_ssize_t n, int k, double limit, Py_ssize_t most,
    Estimate* found,
) noexcept nogil:
    """Move an estimate to the mean and covariance of what is within a limit.

    Of values exactly at the limit the first are taken, up to ``most`` altogether.
    """
    cdef double first[MAX_K]
    cdef double second[MAX_KK]
    cdef double x[MAX_K]
    cdef Py_ssize_t row, count = 0, at_limit = most
    cdef int i, j
    memset(first, 0, sizeof(first))
    memset(second, 0, sizeof(second))
    for row in range(n):
        if distance[row] < limit:
            at_limit -= 1
    for row in range(n):
        if distance[row] > limit:
            continue
        if distance[row] == limit:
            if at_limit <= 0:
                continue
            at_limit -= 1
        count += 1
        # Deviations from a point that is near: the mean of squares less the square of the mean is safe.
        for i in range(k):
            x[i] = values[row * k + i] - found.centre[i]
            first[i] += x[i]
            for j in range(i + 1):
                second[i * k + j] += x[i] * x[j]
    if count == 0:
        return 0
    for i in range(k):
        first[i] /= count
        for j in range(i + 1):
            second[i * k + j] = second[i * k + j] / count - first[i] * first[j]
            found.covariance[i * k + j] = found.covariance[j * k + i] = second[i * k + j]
        found.covariance[i * k + i] += LEAST_VARIANCE
    for i in range(k):
        found.centre[i] += first[i]
    return count


cdef void concentrate(
    const double* values, Py_ssize_t n, int k, Py_ssize_t h, int steps, double* distance, double* scratch,
    Estimate* found,
) noexcept nogil:
    """Move to the mean and covariance of the h nearest until the determinant settles.

    It cannot grow [theorem 1 of Rousseeuw & Van Driessen 1999, Technometrics 41, 212].
    """
    cdef double W[MAX_KK]
    cdef double before
    cdef int step
    found.determinant = INFINITE
    whitening(found.covariance, k, W)
    for step in range(steps):
        distances(values, n, k, found.centre, W, distance)
        memcpy(scratch, distance, n * sizeof(double))
        moments(values, distance, n, k, select(scratch, 0, n - 1, h - 1), h, found)
        before = found.determinant
        found.determinant = whitening(found.covariance, k, W)
        if found.determinant >= before * (1.0 - 1e-9):
            break


cdef void correlate(double* matrix, int k, double count) noexcept nogil:
    """Turn sums of products (lower triangle) into a correlation that can be inverted."""
    cdef double width[MAX_K]
    cdef int i, j
    for i in range(k):
        width[i] = sqrt(matrix[i * k + i] / count if matrix[i * k + i] > 1e-12 * count else 1e-12)
    for i in range(k):
        for j in range(i + 1):
            matrix[i * k + j] /= count * width[i] * width[j]
        matrix[i * k + i] += 1e-6


cdef void starts(
    const double* values, Py_ssize_t n, int k, Py_ssize_t h, double* distance, double* scratch,
    Estimate* trials,
) noexcept nogil:
    """Rough estimates that need no luck: each resists outliers of another kind.

    Unit matrix, correlations of tanh of the standardised values and of their directions, covariance of
    the half nearest to the median [Hubert, Rousseeuw & Verdonck 2012, J. Comput. Graph. Stat. 21, 618].
    """
    cdef double spread[MAX_K]
    cdef double z[MAX_K]
    cdef double bounded[MAX_K]
    cdef Estimate inner
    cdef double W[MAX_KK]
    cdef double radius, square
    cdef Py_ssize_t row
    cdef int i, j, m
    for m in range(N_STARTS):
        memset(trials[m].covariance, 0, sizeof(trials[m].covariance))
    memset(inner.covariance, 0, sizeof(inner.covariance))
    for i in range(k):
        for row in range(n):
            scratch[row] = values[row * k + i]
        inner.centre[i] = median(scratch, n)
        for row in range(n):
            scratch[row] = fabs(values[row * k + i] - inner.centre[i])
        spread[i] = NORMAL * median(scratch, n)
        spread[i] = spread[i] if spread[i] > sqrt(LEAST_VARIANCE) else sqrt(LEAST_VARIANCE)
        inner.covariance[i * k + i] = spread[i] * spread[i]
        for m in range(N_STARTS):
            trials[m].centre[i] = inner.centre[i]
    whitening(inner.covariance, k, W)
    distances(values, n, k, inner.centre, W, distance)
    for row in range(n):
        radius = sqrt(distance[row])
        square = distance[row] if radius > 1e-12 else 1e-24
        for i in range(k):
            z[i] = (values[row * k + i] - inner.centre[i]) / spread[i]
            bounded[i] = tanh(z[i])
            for j in range(i + 1):
                trials[1].covariance[i * k + j] += bounded[i] * bounded[j]
                trials[2].covariance[i * k + j] += z[i] * z[j] / square
    correlate(trials[1].covariance, k, n)
    correlate(trials[2].covariance, k, n)
    memcpy(scratch, distance, n * sizeof(double))
    moments(values, distance, n, k, select(scratch, 0, n - 1, h - 1), h, &inner)
    for i in range(k):
        trials[0].covariance[i * k + i] = spread[i] * spread[i] + LEAST_VARIANCE
        for j in range(i + 1):
            for m in range(1, 3):
                trials[m].covariance[i * k + j] *= spread[i] * spread[j]
            trials[3].covariance[i * k + j] = inner.covariance[i * k + j]
        for m in range(1, 3):
            trials[m].covariance[i * k + i] += LEAST_VARIANCE


cdef void estimate(
    const double* values, Py_ssize_t n, int k, Py_ssize_t h, double widening, double limit, double refining,
    double* distance, double* scratch, double* centre, double* covariance,
) noexcept nogil:
    """The reweighted minimum covariance determinant of one stratum."""
    cdef Estimate trials[N_STARTS]
    cdef Estimate held
    cdef double W[MAX_KK]
    cdef int i, j, m, step
    starts(values, n, k, h, distance, scratch, trials)
    for m in range(N_STARTS):
        concentrate(values, n, k, h, FIRST_STEPS, distance, scratch, &trials[m])
    for i in range(1, N_STARTS):  # a stable sort by determinant
        held = trials[i]
        j = i
        while j > 0 and trials[j - 1].determinant > held.determinant:
            trials[j] = trials[j - 1]
            j -= 1
        trials[j] = held
    for m in range(BEST):
        concentrate(values, n, k, h, MAX_STEPS, distance, scratch, &trials[m])
    m = 1 if trials[1].determinant < trials[0].determinant else 0
    for i in range(k * k):
        trials[m].covariance[i] *= widening
    for step in range(REWEIGHTINGS):
        held = trials[m]
        whitening(held.covariance, k, W)
        distances(values, n, k, held.centre, W, distance)
        if moments(values, distance, n, k, limit, n, &held) <= k:
            break
        for i in range(k * k):
            held.covariance[i] *= refining
        trials[m] = held
    memcpy(centre, trials[m].centre, k * sizeof(double))
    memcpy(covariance, trials[m].covariance, k * k * sizeof(double))


def robust_scatter(
    const double[:, ::1] values, const long long[::1] bounds, const long long[::1] inner,
    const double[::1] widening, double limit, double refining, double[::1] distance, double[::1] scratch,
    double[:, ::1] centre, double[:, :, ::1] covariance, int n_threads,
):
    cdef Py_ssize_t s, a
    for s in prange(bounds.shape[0] - 1, nogil=True, schedule="dynamic", num_threads=n_threads):
        a = bounds[s]
        estimate(
            &values[a, 0], bounds[s + 1] - a, values.shape[1], inner[s], widening[s], limit, refining,
            &distance[a], &scratch[a], &centre[s, 0], &covariance[s, 0, 0],
        )


cdef void measure(
    const double* values, Py_ssize_t n, int k, const double* centre, const double* covariance, double* out
) noexcept nogil:
    cdef double W[MAX_KK]
    whitening(covariance, k, W)
    distances(values, n, k, centre, W, out)


def squared_distances(
    const double[:, ::1] values, const long long[::1] bounds, const double[:, ::1] centre,
    const double[:, :, ::1] covariance, double[::1] out, int n_threads,
):
    cdef Py_ssize_t s, a
    for s in prange(bounds.shape[0] - 1, nogil=True, schedule="dynamic", num_threads=n_threads):
        a = bounds[s]
        measure(
            &values[a, 0], bounds[s + 1] - a, values.shape[1], &centre[s, 0], &covariance[s, 0, 0], &out[a]
        )
