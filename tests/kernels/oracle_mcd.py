"""The minimum covariance determinant in plain NumPy: the twin of the kernel.

Rousseeuw & Van Driessen 1999, Technometrics 41, 212; Hubert, Rousseeuw & Verdonck 2012, J. Comput. Graph.
Stat. 21, 618; consistency after Croux & Haesbroeck 1999, J. Multivar. Anal. 71, 161.
"""

import numpy as np
from scipy.stats import chi2

LEAST_VARIANCE, FIRST_STEPS, BEST, MAX_STEPS, REWEIGHTING, REWEIGHTINGS = 1e-6, 2, 2, 100, 0.975, 3


def squared_distances(values, centre, covariance):
    return np.einsum("nk,kl,nl->n", values - centre, np.linalg.inv(covariance), values - centre)


def consistency(fraction, k):
    return fraction / chi2.cdf(chi2.ppf(fraction, k), k + 2) if fraction < 1.0 else 1.0


def robust_covariance(values, support=0.5):
    n, k = values.shape
    h = min(n, max((n + k + 1) // 2, int(np.ceil(support * n))))
    trials = [_concentrate(values, *start, h, FIRST_STEPS) for start in _starts(values, h)]
    trials.sort(key=lambda trial: trial[2])
    ends = [_concentrate(values, trial[0], trial[1], h, MAX_STEPS) for trial in trials[:BEST]]
    centre, covariance, _ = min(ends, key=lambda end: end[2])
    return _reweighted(values, centre, covariance * consistency(h / n, k))


def _starts(values, h):
    k = values.shape[1]
    centre = np.median(values, axis=0)
    spread = np.maximum(1.4826 * np.median(np.abs(values - centre), axis=0), np.sqrt(LEAST_VARIANCE))
    z = (values - centre) / spread
    radius = np.sqrt((z**2).sum(axis=1))
    signs = z / np.maximum(radius, 1e-12)[:, None]
    scatters = [np.eye(k), _correlation(np.tanh(z)), _correlation(signs)]
    starts = [(centre, m * np.outer(spread, spread) + LEAST_VARIANCE * np.eye(k)) for m in scatters]
    inner = values[np.argsort(radius, kind="stable")[:h]]
    return [*starts, (centre, _moments(inner)[1])]


def _correlation(values):
    covariance = values.T @ values / len(values)
    width = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
    return covariance / np.outer(width, width) + 1e-6 * np.eye(len(width))


def _concentrate(values, centre, covariance, h, steps):
    determinant = np.inf
    for _ in range(steps):
        nearest = np.argsort(squared_distances(values, centre, covariance), kind="stable")[:h]
        centre, covariance = _moments(values[nearest])
        previous, determinant = determinant, np.linalg.det(covariance)
        if determinant >= previous * (1.0 - 1e-9):
            break
    return centre, covariance, determinant


def _moments(values):
    centred = values - values.mean(axis=0)
    return values.mean(axis=0), centred.T @ centred / len(values) + LEAST_VARIANCE * np.eye(values.shape[1])


def _reweighted(values, centre, covariance):
    k = values.shape[1]
    for _ in range(REWEIGHTINGS):
        near = squared_distances(values, centre, covariance) <= chi2.ppf(REWEIGHTING, k)
        if near.sum() <= k:
            break
        centre, covariance = _moments(values[near])
        covariance *= consistency(REWEIGHTING, k)
    return centre, covariance
