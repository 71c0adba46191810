"""Sums over the pixels of spots, from which centroids and their variances are made."""

from libc.stdint cimport int32_t, int64_t


cdef inline double square(double x) noexcept nogil:
    return x * x


def moments(
    const int64_t[::1] starts, const int32_t[::1] index, const int32_t[::1] frame, const double[::1] weight,
    const double[::1] noise, int64_t n_fast, double[:, ::1] sums, double[:, :, ::1] out,
):
    """Sum over each spot: ``sums`` (S, 2) are those of w and w^2, ``out`` (S, 3, 3) see the wrapper."""
    cdef Py_ssize_t spot, k, axis
    cdef double total
    cdef double place[3]
    cdef double first[3]
    with nogil:
        for spot in range(starts.shape[0] - 1):
            total = 0.0
            for axis in range(3):
                out[spot, axis, 0] = out[spot, axis, 1] = out[spot, axis, 2] = 0.0
            sums[spot, 0] = sums[spot, 1] = 0.0
            # Relative to the first pixel no digit is lost to the size of the frame.
            locate(index[starts[spot]], frame[starts[spot]], n_fast, first)
            for k in range(starts[spot], starts[spot + 1]):
                locate(index[k], frame[k], n_fast, place)
                sums[spot, 0] += weight[k]
                sums[spot, 1] += square(weight[k])
                for axis in range(3):
                    out[spot, axis, 0] += weight[k] * (place[axis] - first[axis])
            total = sums[spot, 0]
            for axis in range(3):
                out[spot, axis, 0] = first[axis] + (out[spot, axis, 0] / total if total > 0.0 else 0.0)
            for k in range(starts[spot], starts[spot + 1]):
                locate(index[k], frame[k], n_fast, place)
                for axis in range(3):
                    total = place[axis] - out[spot, axis, 0]
                    out[spot, axis, 1] += weight[k] * square(total)
                    out[spot, axis, 2] += noise[k] * square(total)


cdef inline void locate(int64_t index, int64_t frame, int64_t n_fast, double* place) noexcept nogil:
    """Centre of a pixel: fast, slow, frame."""
    place[0] = index % n_fast + 0.5
    place[1] = index // n_fast + 0.5
    place[2] = frame + 0.5
