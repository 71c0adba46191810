"""How strongly a sensor absorbs X-rays."""

from __future__ import annotations

import numpy as np

__all__ = ["HC", "MATERIALS", "attenuation_coefficient"]

HC = 12.398419843320026
"""Planck constant times speed of light, keV Angstrom (exact since the SI of 2019)."""

# Mass attenuation coefficients (total, with coherent scattering) at energies in keV, cm^2/g, and
# densities, g/cm^3: J. H. Hubbell and S. M. Seltzer, NISTIR 5632 (public domain),
# https://physics.nist.gov/xaamdi. An absorption edge is an energy that occurs twice.
_SI = (
    (1.0, 1570.0), (1.5, 535.5), (1.8389, 309.2), (1.8389, 3192.0), (2.0, 2777.0), (3.0, 978.4),
    (4.0, 452.9), (5.0, 245.0), (6.0, 147.0), (8.0, 64.68), (10.0, 33.89), (15.0, 10.34), (20.0, 4.464),
    (30.0, 1.436), (40.0, 0.7012), (50.0, 0.4385), (60.0, 0.3207), (80.0, 0.2228), (100.0, 0.1835),
    (150.0, 0.1448),
)  # fmt: skip
_CDTE = (
    (1.0, 7927.0), (1.003, 7875.0), (1.006, 7824.0), (1.006, 8014.0), (1.5, 3291.0), (2.0, 1664.0),
    (3.0, 614.6), (3.5375, 406.4), (3.5375, 778.7), (3.6310, 730.0), (3.7270, 684.0), (3.7270, 860.1),
    (4.0, 723.0), (4.018, 715.1), (4.018, 793.4), (4.177, 722.1), (4.3414, 656.2), (4.3414, 932.8),
    (4.4747, 873.9), (4.612, 813.5), (4.612, 943.8), (4.773, 870.2), (4.9392, 799.9), (4.9392, 865.3),
    (5.0, 839.2), (6.0, 528.6), (8.0, 249.2), (10.0, 138.1), (15.0, 46.57), (20.0, 21.44), (26.7112, 9.834),
    (26.7112, 29.43), (30.0, 21.82), (31.8138, 18.73), (31.8138, 34.92), (40.0, 19.3), (50.0, 10.67),
    (60.0, 6.542), (80.0, 3.019), (100.0, 1.671), (150.0, 0.6071),
)  # fmt: skip
_GAAS = (
    (1.0, 1917.0), (1.0564, 1685.0), (1.1154, 1481.0), (1.1154, 2772.0), (1.1286, 3180.0),
    (1.1423, 3532.0), (1.1423, 4372.0), (1.2180, 4130.0), (1.2977, 3657.0), (1.2977, 4066.0),
    (1.3100, 3971.0), (1.3231, 3879.0), (1.3231, 5652.0), (1.3410, 5525.0), (1.3586, 5415.0),
    (1.3586, 6266.0), (1.5, 5159.0), (1.5265, 4939.0), (1.5265, 5278.0), (2.0, 2731.0), (3.0, 970.2),
    (4.0, 453.9), (5.0, 249.5), (6.0, 152.4), (8.0, 69.6), (10.0, 37.8), (10.3671, 34.25), (10.3671, 126.0),
    (11.0916, 105.9), (11.8667, 88.99), (11.8667, 168.5), (15.0, 92.2), (20.0, 42.58), (30.0, 13.97),
    (40.0, 6.262), (50.0, 3.365), (60.0, 2.042), (80.0, 0.9587), (100.0, 0.5598), (150.0, 0.2509),
)  # fmt: skip

MATERIALS = {"Si": (2.33, _SI), "CdTe": (6.2, _CDTE), "GaAs": (5.32, _GAAS)}
"""Sensor materials: density (g/cm^3) and table of (energy keV, mass attenuation cm^2/g)."""


def attenuation_coefficient(material: str, wavelength: float) -> float:
    """Give the linear attenuation coefficient of a sensor material, 1/mm.

    Interpolates log-log between tabulated energies, within the branch between two edges.

    Parameters
    ----------
    material : str
        One of :data:`MATERIALS`.
    wavelength : float
        Angstrom; its energy must be within 1 to 150 keV.

    Returns
    -------
    float
        1/mm; 0 where material or wavelength is not in the table, which means: no correction.
    """
    if material not in MATERIALS or wavelength <= 0.0:
        return 0.0
    density, rows = MATERIALS[material]
    energies, coefficients = (np.array(column) for column in zip(*rows, strict=True))
    energy = HC / wavelength
    if not energies[0] <= energy <= energies[-1]:
        return 0.0
    # Where an edge stands twice, the interval found must not be the one of zero width.
    upper = min(int(np.searchsorted(energies, energy, side="right")), len(energies) - 1)
    x0, x1 = np.log(energies[upper - 1 : upper + 1])
    y0, y1 = np.log(coefficients[upper - 1 : upper + 1])
    mass = np.exp(y0 + (np.log(energy) - x0) * (y1 - y0) / (x1 - x0))
    return float(mass * density / 10.0)
