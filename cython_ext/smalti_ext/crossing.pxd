"""One reflection of a rotating crystal: where and when it crosses the Ewald sphere, and derivatives.

For the kernels that go over reflections; the NumPy twin is smalti.geometry.derivatives.
"""

from libc.math cimport NAN, acos, atan2, cos, fabs, rint, sin, sqrt

cdef enum:
    N_LOCAL = 24  # panel frame 9, s0 3, F A 9, setting rotation 3
    N_PANEL = 9


cdef struct Crossing:
    double x
    double y
    double phi
    double s1[3]
    double w


cdef inline double dot(const double* a, const double* b) noexcept nogil:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


cdef inline void cross(const double* a, const double* b, double* out) noexcept nogil:
    out[0] = a[1] * b[2] - a[2] * b[1]
    out[1] = a[2] * b[0] - a[0] * b[2]
    out[2] = a[0] * b[1] - a[1] * b[0]


cdef inline void apply(const double* M, const double* v, double* out) noexcept nogil:
    out[0] = dot(M, v)
    out[1] = dot(M + 3, v)
    out[2] = dot(M + 6, v)


cdef inline void apply_transposed(const double* M, const double* v, double* out) noexcept nogil:
    cdef int k
    for k in range(3):
        out[k] = M[k] * v[0] + M[3 + k] * v[1] + M[6 + k] * v[2]


cdef inline Crossing find_crossing(
    const double* h, bint entering, double near, const double* FA, const double* S, const double* axis,
    const double* s0, const double* D,
) noexcept nogil:
    """Where and when a reflection crosses the Ewald sphere; x is nan where it does not."""
    cdef Crossing out
    cdef double q[3]
    cdef double beam[3]
    cdef double flat[3]
    cdef double across[3]
    cdef double turned[3]
    cdef double uvw[3]
    cdef double along, a, b, c, radius, half, phi, cosine, sine
    cdef double turn = 6.283185307179586
    cdef int k
    out.x = NAN
    apply(FA, h, q)
    apply_transposed(S, s0, beam)
    along = dot(q, axis)
    cross(axis, q, across)
    for k in range(3):
        flat[k] = q[k] - along * axis[k]
    a = dot(flat, beam)
    b = dot(across, beam)
    c = -0.5 * dot(q, q) - along * dot(axis, beam)
    radius = sqrt(a * a + b * b)
    if not fabs(c) <= radius or radius == 0.0:
        return out
    half = acos(c / radius)
    phi = atan2(b, a) + (half if entering else -half)
    phi = phi - turn * rint((phi - near) / turn)
    cosine = cos(phi)
    sine = sin(phi)
    for k in range(3):
        turned[k] = along * axis[k] + cosine * flat[k] + sine * across[k]
    apply(S, turned, out.s1)
    for k in range(3):
        out.s1[k] += s0[k]
    apply(D, out.s1, uvw)
    if uvw[2] <= 0.0:
        return out
    out.w = uvw[2]
    out.x = uvw[0] / uvw[2]
    out.y = uvw[1] / uvw[2]
    out.phi = phi
    return out


cdef inline void differentiate(
    const Crossing* at, const double* h, const double* S, const double* axis, const double* s0,
    const double* D, double* rows,
) noexcept nogil:
    """Derivatives of X, Y, phi by the local coordinates: rows (3, 24)."""
    cdef double r[3]
    cdef double spindle[3]
    cdef double tangent[3]
    cdef double G[3]
    cdef double by_r[3]
    cdef double turned[3]
    cdef double unit[3]
    cdef double across[3]
    cdef double V, value, slope, cosine, sine, along
    cdef double* row
    cdef int k, i, j
    cosine = cos(at.phi)
    sine = sin(at.phi)
    for k in range(3):
        r[k] = at.s1[k] - s0[k]
    apply(S, axis, spindle)
    cross(spindle, r, tangent)
    V = dot(tangent, s0)
    for k in range(3):
        row = rows + k * N_LOCAL
        if k == 2:
            for i in range(N_PANEL):
                row[i] = 0.0
            for i in range(3):
                by_r[i] = -at.s1[i] / V
                row[9 + i] = -r[i] / V
        else:
            value = at.x if k == 0 else at.y
            for i in range(3):
                G[i] = D[3 * k + i] - value * D[6 + i]
                row[i] = -at.x * G[i]
                row[3 + i] = -at.y * G[i]
                row[6 + i] = -G[i]
            slope = dot(G, tangent) / (at.w * V)
            for i in range(3):
                by_r[i] = G[i] / at.w - slope * at.s1[i]
                row[9 + i] = G[i] / at.w - slope * r[i]
        # dr = S R dM h: by_r is turned back through S and R (about -phi).
        apply_transposed(S, by_r, unit)
        along = dot(unit, axis)
        cross(axis, unit, across)
        for i in range(3):
            turned[i] = along * axis[i] + cosine * (unit[i] - along * axis[i]) - sine * across[i]
            for j in range(3):
                row[12 + 3 * i + j] = turned[i] * h[j]
        cross(r, by_r, row + 21)
