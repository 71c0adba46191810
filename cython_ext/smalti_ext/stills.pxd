"""One reflection of a crystal that does not turn: where it is seen, how far it is from the Ewald sphere.

For the kernels that go over reflections; the NumPy twin is smalti.geometry.stills, which has the equations.
"""

from libc.math cimport NAN, atan2, sqrt

from smalti_ext.crossing cimport Crossing, Slopes, apply, cross, dot


cdef struct Plane:
    # The plane of the incident beam and a reciprocal-lattice point q: everything happens in it.
    double u[3]  # along the incident beam
    double c[3]  # across it, towards q
    double e[3]  # normal to both
    double wavelength
    double t  # q along u
    double n  # q along c
    double square  # |q|^2
    double a  # how far against u the point is once it is on the sphere ...
    double b  # ... and how far along c


cdef inline bint span_plane(const double* q, const double* s0, Plane* out) noexcept nogil:
    """Tell whether the point can be turned onto the Ewald sphere, in the plane it has with the beam."""
    cdef double length = sqrt(dot(s0, s0))
    cdef double rest
    cdef int k
    out.wavelength = 1.0 / length
    for k in range(3):
        out.u[k] = s0[k] / length
    out.t = dot(q, out.u)
    for k in range(3):
        out.c[k] = q[k] - out.t * out.u[k]
    out.n = sqrt(dot(out.c, out.c))
    out.square = dot(q, q)
    out.a = 0.5 * out.wavelength * out.square
    rest = out.square - out.a * out.a
    if not rest > 0.0 or not out.n > 0.0:
        return False
    out.b = sqrt(rest)
    for k in range(3):
        out.c[k] /= out.n
    cross(out.u, out.c, out.e)
    return True


cdef inline Crossing find_still(
    const double* h, const double* A, const double* s0, const double* D
) noexcept nogil:
    """Where a reflection is seen; phi holds DeltaPsi. x is nan where it cannot be."""
    cdef Crossing out
    cdef Plane plane
    cdef double q[3]
    cdef double uvw[3]
    cdef int k
    out.x = NAN
    apply(A, h, q)
    if not span_plane(q, s0, &plane):
        return out
    for k in range(3):
        out.s1[k] = s0[k] - plane.a * plane.u[k] + plane.b * plane.c[k]
    apply(D, out.s1, uvw)
    if uvw[2] <= 0.0:
        return out
    out.w = uvw[2]
    out.x = uvw[0] / uvw[2]
    out.y = uvw[1] / uvw[2]
    out.phi = atan2(-plane.a, plane.b) - atan2(plane.t, plane.n)
    out.cosine = 1.0
    out.sine = 0.0
    return out


cdef inline void find_still_slopes(
    const Crossing* at, const double* h, const double* A, const double* s0, const double* D, Slopes* out
) noexcept nogil:
    """Derivatives of X, Y, DeltaPsi by one more factor of origin, by s0, A h and a rotation vector (none)."""
    cdef Plane plane
    cdef double q[3]
    cdef double along_u, along_c, along_e, by_q, by_u, by_c, by_e, ratio, W, value
    cdef int k, i
    apply(A, h, q)
    span_plane(q, s0, &plane)
    W = 1.0 / at.w
    ratio = plane.wavelength * plane.a
    for k in range(2):
        value = at.x if k == 0 else at.y
        for i in range(3):
            out.by_d[k][i] = D[3 * k + i] - value * D[6 + i]
        along_u = dot(out.by_d[k], plane.u) * W
        along_c = dot(out.by_d[k], plane.c) * W
        along_e = dot(out.by_d[k], plane.e) * W
        by_q = along_c * (1.0 - ratio) / plane.b - plane.wavelength * along_u
        by_u = along_u * (1.0 + ratio) + along_c * ratio * plane.a / plane.b
        by_c = along_c * (1.0 - ratio) - along_u * plane.wavelength * plane.b
        by_e = along_e * (1.0 - ratio - plane.wavelength * plane.b * plane.t / plane.n)
        for i in range(3):
            out.by_FA[k][i] = by_q * q[i] + along_e * plane.b / plane.n * plane.e[i]
            out.by_s0[k][i] = by_u * plane.u[i] + by_c * plane.c[i] + by_e * plane.e[i]
            out.by_d[k][i] = -out.by_d[k][i]
            out.by_turn[k][i] = 0.0
    for i in range(3):
        out.by_FA[2][i] = (
            plane.t * plane.c[i] - plane.n * plane.u[i] - plane.a / plane.b * q[i]
        ) / plane.square
        out.by_s0[2][i] = plane.wavelength * (plane.a / plane.b * plane.u[i] - plane.c[i])
        out.by_turn[2][i] = 0.0
