r"""Where reflections of a still crystal are seen, how far they are from the Ewald sphere, and derivatives.

A point q = A h of a crystal that does not turn is hardly ever on the Ewald sphere; that it is seen shows
that part of it is. It is put there by the shortest turn, about the axis across the incident beam u and q.
All of this happens in the plane of u and c, the direction of q across u:

    t = q.u,   n c = q - t u (|c| = 1),   e = u x c,   a = lambda |q|^2 / 2,   b = sqrt(|q|^2 - a^2)
    s1 = s0 - a u + b c,        DeltaPsi = atan2(-a, b) - atan2(t, n)

so that no rotation is needed and derivatives are plain. With g = d(X or Y)/ds1 and dq, ds0 resolved along
u, c and e,

    d/dq  = q (g.c (1 - a lambda) / b - lambda g.u) + e (b / n) g.e
    d/ds0 = u (g.u (1 + a lambda) + g.c lambda a^2 / b) + c (g.c (1 - a lambda) - g.u lambda b)
            + e g.e (1 - a lambda - lambda b t / n)
    dDeltaPsi/dq = (t c - n u - (a / b) q) / |q|^2,      dDeltaPsi/ds0 = lambda ((a / b) u - c)

DeltaPsi is the signed angle of that turn as DIALS defines it (Brewster et al. 2018, Acta Cryst. D74, 877).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["StillPlane", "still_beams"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class StillPlane:
    """The planes of N points and their incident beams.

    Attributes
    ----------
    q : (N, 3) 1/Angstrom
    u, c, e : (N, 3)
        Along the beam, across it towards q, and the normal of the plane.
    wavelength : (N,) Angstrom
    t, n, a, b : (N,) 1/Angstrom
        Place of q along u and c, and of the point on the sphere along -u and c; b is nan where q is too
        long to diffract or lies along the beam.
    """

    q: Array
    u: Array
    c: Array
    e: Array
    wavelength: Array
    t: Array
    n: Array
    a: Array
    b: Array

    @classmethod
    def of(cls, q: Array, s0: Array) -> StillPlane:
        """Span them by q and s0, (N, 3) 1/Angstrom."""
        wavelength = 1.0 / np.linalg.norm(s0, axis=1)
        u = s0 * wavelength[:, None]
        t = np.einsum("ni,ni->n", q, u)
        across = q - t[:, None] * u
        n = np.linalg.norm(across, axis=1)
        square = np.einsum("ni,ni->n", q, q)
        a = 0.5 * wavelength * square
        with np.errstate(divide="ignore", invalid="ignore"):
            c = across / n[:, None]
            b = np.sqrt(np.where((square > a**2) & (n > 0.0), square - a**2, np.nan))
        return cls(q, u, c, np.cross(u, c), wavelength, t, n, a, b)

    @property
    def delta_psi(self) -> Array:
        """Signed angle from q to the sphere, (N,) rad."""
        return np.asarray(np.arctan2(-self.a, self.b) - np.arctan2(self.t, self.n))

    @property
    def s1(self) -> Array:
        """Diffracted beams, (N, 3) 1/Angstrom."""
        along = 1.0 / self.wavelength - self.a
        return np.asarray(along[:, None] * self.u + self.b[:, None] * self.c)

    def by_q(self, g: Array) -> Array:
        """Turn derivatives by s1 (N, K, 3) into derivatives by q."""
        along_u, along_c, along_e = self._resolved(g)
        ratio = (self.wavelength * self.a)[:, None]
        b, n = self.b[:, None], self.n[:, None]
        radial = along_c * (1.0 - ratio) / b - self.wavelength[:, None] * along_u
        return np.asarray(
            radial[..., None] * self.q[:, None] + (along_e * b / n)[..., None] * self.e[:, None]
        )

    def by_s0(self, g: Array) -> Array:
        """Turn derivatives by s1 (N, K, 3) into derivatives by s0."""
        along_u, along_c, along_e = self._resolved(g)
        wavelength, a, b = self.wavelength[:, None], self.a[:, None], self.b[:, None]
        ratio = wavelength * a
        u = along_u * (1.0 + ratio) + along_c * ratio * a / b
        c = along_c * (1.0 - ratio) - along_u * wavelength * b
        e = along_e * (1.0 - ratio - wavelength * b * (self.t / self.n)[:, None])
        parts = ((u, self.u), (c, self.c), (e, self.e))
        return np.asarray(sum(value[..., None] * axis[:, None] for value, axis in parts))

    @property
    def delta_psi_by_q(self) -> Array:
        """Derivatives of DeltaPsi by q, (N, 3) rad Angstrom."""
        turned = self.t[:, None] * self.c - self.n[:, None] * self.u - (self.a / self.b)[:, None] * self.q
        return np.asarray(turned / np.einsum("ni,ni->n", self.q, self.q)[:, None])

    @property
    def delta_psi_by_s0(self) -> Array:
        """Derivatives of DeltaPsi by s0, (N, 3) rad Angstrom."""
        return np.asarray(self.wavelength[:, None] * ((self.a / self.b)[:, None] * self.u - self.c))

    def _resolved(self, g: Array) -> tuple[Array, Array, Array]:
        u, c, e = (np.einsum("nki,ni->nk", g, axis) for axis in (self.u, self.c, self.e))
        return u, c, e


def still_beams(q: Array, s0: Array) -> tuple[Array, Array]:
    """Give s1 (N, 3) 1/Angstrom and DeltaPsi (N,) rad of points q (N, 3), for s0 (3,) or (N, 3).

    nan where a point cannot diffract.
    """
    plane = StillPlane.of(np.asarray(q, dtype=float), np.broadcast_to(s0, np.shape(q)))
    return plane.s1, plane.delta_psi
