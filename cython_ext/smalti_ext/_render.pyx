"""Photon counts of simulated frames: Poisson background and Poisson spots.

Every row of a background and every spot has a random stream of its own, that depends on the seed and on
where it is, not on the order in which frames, rows or spots are drawn: any number of threads gives the
same frame.
"""

from libc.math cimport erf, exp, fabs, floor, lgamma, log, sqrt
from libc.stdint cimport int32_t, int64_t, uint64_t

# Above this mean, inversion by sequential search loses to transformed rejection.
cdef double LARGE_MEAN = 12.0
cdef double SQRT_HALF = 0.7071067811865476
# A spot reaches this many standard deviations: 6e-7 of a gaussian lies outside.
cdef double REACH = 5.0
cdef enum:
    WIDEST = 256


cdef inline uint64_t mix(uint64_t x) noexcept nogil:
    """Scramble a word: the finaliser of SplitMix64 [Steele, Lea & Flood 2014, OOPSLA, 453]."""
    x = (x ^ (x >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * <uint64_t>0x94D049BB133111EB
    return x ^ (x >> 31)


cdef inline double uniform(uint64_t* state) noexcept nogil:
    """Draw from [0, 1) with 53 random bits (SplitMix64)."""
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    return <double>(mix(state[0]) >> 11) * 1.1102230246251565e-16


cdef inline uint64_t stream(uint64_t seed, uint64_t kind, uint64_t frame, uint64_t item) noexcept nogil:
    """Start the random stream of one item of one frame."""
    return mix(mix(mix(mix(seed) ^ kind) ^ frame) ^ item)


cdef inline int32_t search(double mean, double at_zero, uint64_t* state) noexcept nogil:
    """Draw from a Poisson distribution by inverting its sum; ``at_zero`` is exp(-mean)."""
    cdef double u = uniform(state), p = at_zero, total = at_zero
    cdef int32_t k = 0
    while u >= total:
        k += 1
        p *= mean / k
        total += p
        # Rounding may leave the sum short of 1; past here nothing more would ever be added.
        if p < 1e-18 and k > mean:
            break
    return k


cdef int32_t reject(double mean, uint64_t* state) noexcept nogil:
    """Draw from a Poisson distribution of mean >= 10: PTRS [Hoermann 1993, Insur. Math. Econ. 12, 39]."""
    cdef double b = 0.931 + 2.53 * sqrt(mean)
    cdef double a = -0.059 + 0.02483 * b
    cdef double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    cdef double squeeze = 0.9277 - 3.6224 / (b - 2.0)
    cdef double u, v, us, k
    while True:
        u = uniform(state) - 0.5
        v = uniform(state)
        us = 0.5 - fabs(u)
        if us <= 0.0 or v <= 0.0:
            continue
        k = floor((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= squeeze:
            return <int32_t>k
        if k < 0.0 or (us < 0.013 and v > us):
            continue
        if log(v * inverse_alpha / (a / (us * us) + b)) <= k * log(mean) - mean - lgamma(k + 1.0):
            return <int32_t>k


cdef inline int32_t poisson(double mean, uint64_t* state) noexcept nogil:
    if mean >= LARGE_MEAN:
        return reject(mean, state)
    return search(mean, exp(-mean), state)


def background(const float[:, ::1] mean, const float[:, ::1] at_zero, uint64_t seed, uint64_t frame,
               int32_t[:, ::1] out):
    """Fill a frame with Poisson counts; negative means are written as they are."""
    cdef Py_ssize_t i, j
    cdef uint64_t state
    cdef float m
    with nogil:
        for i in range(out.shape[0]):
            state = stream(seed, 1, frame, <uint64_t>i)
            for j in range(out.shape[1]):
                m = mean[i, j]
                if m < 0.0:
                    out[i, j] = <int32_t>m
                elif m >= LARGE_MEAN:
                    out[i, j] = reject(m, &state)
                else:
                    out[i, j] = search(m, at_zero[i, j], &state)


cdef inline void profile(double centre, double scale, Py_ssize_t first, Py_ssize_t n,
                         double* out) noexcept nogil:
    """Integrate a gaussian over pixels first, first + 1, ...; ``scale`` is 1 / (sigma sqrt 2)."""
    cdef double left = erf((first - centre) * scale), right
    cdef Py_ssize_t k
    for k in range(n):
        right = erf((first + k + 1 - centre) * scale)
        out[k] = 0.5 * (right - left)
        left = right


def spots(const double[:, ::1] centres, const double[::1] counts, const int32_t[:, ::1] windows,
          double sigma, const float[:, ::1] transmission, uint64_t seed, uint64_t frame, int32_t ceiling,
          int32_t[:, ::1] out):
    """Add spots to a frame: each a gaussian of ``counts`` photons, cut at the window of its panel."""
    cdef double[WIDEST] across
    cdef double[WIDEST] down
    cdef double scale = SQRT_HALF / sigma, reach = REACH * sigma
    cdef Py_ssize_t n, i, j, x0, x1, y0, y1
    cdef uint64_t state
    cdef int64_t total
    with nogil:
        for n in range(centres.shape[0]):
            x0 = max(<Py_ssize_t>floor(centres[n, 0] - reach), windows[n, 0])
            x1 = min(<Py_ssize_t>floor(centres[n, 0] + reach) + 1, windows[n, 1])
            y0 = max(<Py_ssize_t>floor(centres[n, 1] - reach), windows[n, 2])
            y1 = min(<Py_ssize_t>floor(centres[n, 1] + reach) + 1, windows[n, 3])
            if x1 <= x0 or y1 <= y0:
                continue
            profile(centres[n, 0], scale, x0, x1 - x0, across)
            profile(centres[n, 1], scale, y0, y1 - y0, down)
            state = stream(seed, 2, frame, <uint64_t>n)
            for i in range(y1 - y0):
                for j in range(x1 - x0):
                    if out[y0 + i, x0 + j] >= 0:
                        total = out[y0 + i, x0 + j]
                        total += poisson(
                            counts[n] * down[i] * across[j] * transmission[y0 + i, x0 + j], &state
                        )
                        out[y0 + i, x0 + j] = <int32_t>min(total, <int64_t>ceiling)
