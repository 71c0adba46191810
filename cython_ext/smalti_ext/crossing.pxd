"""One reflection of a rotating crystal: where and when it crosses the Ewald sphere, and derivatives.

For the kernels that go over reflections; the NumPy twin is smalti.geometry.derivatives.
"""

from libc.math cimport NAN, atan2, fabs, rint, sqrt

cdef enum:
    N_LOCAL = 24  # panel frame 9, s0 3, F A 9, setting rotation 3
    N_PANEL = 9


cdef struct Crossing:
    double x
    double y
    double phi
    double cosine
    double sine
    double s1[3]
    double w


cdef struct Slopes:
    # What derivatives of X, Y and phi (rows) are made of: all but those of phi by the panel's frame and
    # products with Miller indices and positions.
    double by_d[2][3]
    double by_s0[3][3]
    double by_FA[3][3]
    double by_turn[3][3]


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
    cdef double along, a, b, c, radius, half_cosine, half_sine, cosine, sine, phi
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
    # phi = atan2(b, a) +- acos(c / radius), by cosines and sines: one trigonometric function for five.
    a /= radius
    b /= radius
    half_cosine = c / radius
    half_sine = sqrt((radius - c) * (radius + c)) / radius
    half_sine = half_sine if entering else -half_sine
    cosine = a * half_cosine - b * half_sine
    sine = b * half_cosine + a * half_sine
    phi = atan2(sine, cosine)
    phi = phi - turn * rint((phi - near) / turn)
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
    out.cosine = cosine
    out.sine = sine
    return out


cdef inline void find_slopes(
    const Crossing* at, const double* S, const double* axis, const double* s0, const double* D, Slopes* out
) noexcept nogil:
    """Derivatives of X, Y, phi by one more factor of origin, by s0, F A h and a rotation vector of S."""
    cdef double r[3]
    cdef double spindle[3]
    cdef double tangent[3]
    cdef double by_r[3]
    cdef double unit[3]
    cdef double across[3]
    cdef double V, W, value, slope, along
    cdef int k, i
    for k in range(3):
        r[k] = at.s1[k] - s0[k]
    apply(S, axis, spindle)
    cross(spindle, r, tangent)
    V = 1.0 / dot(tangent, s0)
    W = 1.0 / at.w
    for k in range(3):
        if k == 2:
            for i in range(3):
                by_r[i] = -at.s1[i] * V
                out.by_s0[k][i] = -r[i] * V
        else:
            value = at.x if k == 0 else at.y
            for i in range(3):
                out.by_d[k][i] = D[3 * k + i] - value * D[6 + i]
            slope = dot(out.by_d[k], tangent) * W * V
            for i in range(3):
                by_r[i] = out.by_d[k][i] * W - slope * at.s1[i]
                out.by_s0[k][i] = out.by_d[k][i] * W - slope * r[i]
                out.by_d[k][i] = -out.by_d[k][i]
        # dr = S R dM h: by_r is turned back through S and R (about -phi).
        apply_transposed(S, by_r, unit)
        along = dot(unit, axis)
        cross(axis, unit, across)
        for i in range(3):
            out.by_FA[k][i] = (
                along * axis[i] + at.cosine * (unit[i] - along * axis[i]) - at.sine * across[i]
            )
        cross(r, by_r, out.by_turn[k])


cdef inline void fill_rows(
    const Crossing* at, const double* h, const Slopes* slopes, double* rows
) noexcept nogil:
    """Derivatives of X, Y, phi by the local coordinates: rows (3, 24)."""
    cdef double* row
    cdef int k, i, j
    for k in range(3):
        row = rows + k * N_LOCAL
        for i in range(3):
            row[i] = at.x * slopes.by_d[k][i] if k < 2 else 0.0
            row[3 + i] = at.y * slopes.by_d[k][i] if k < 2 else 0.0
            row[6 + i] = slopes.by_d[k][i] if k < 2 else 0.0
            row[9 + i] = slopes.by_s0[k][i]
            for j in range(3):
                row[12 + 3 * i + j] = slopes.by_FA[k][i] * h[j]
            row[21 + i] = slopes.by_turn[k][i]
