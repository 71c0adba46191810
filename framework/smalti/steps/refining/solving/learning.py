"""How wide priors should be, told by the data: restricted maximum likelihood from normal equations.

Parameters q of one group are draws from N(0, s^2). With the data's part of the normal equations, H and
b, and D the precisions of the priors, the parameters integrate out of the likelihood of the widths:

    log L(s) = -1/2 log |H + D(s)| + 1/2 log |D(s)| + 1/2 b^T (H + D(s))^-1 b

Parameters of no group (the detector as a whole, beam, crystals) are integrated out under their own weak
priors, which makes this the restricted likelihood of mixed models: Patterson & Thompson (1971), Biometrika
58, 545; empirical Bayes in the words of others. Widths are sought as factors exp(t) on those that the
parameterisation states, with log(3) as standard deviation of t and a mean such that the mean of s^2 is the
square of the stated width. The width taken is the root of the mean of s^2 once the data have been seen, for
a log-normal distribution about the maximum: few data do not make priors narrow by chance, and where they
tell nothing the stated widths stand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from smalti.solution import NormalEquations, Prior

__all__ = ["Learnt", "learn", "settled"]

Array = NDArray[np.float64]

BELIEF = math.log(3.0)
"""How far stated widths may be off: one standard deviation of the logarithm."""

_MOST_STEPS = 40
_LONGEST = 1.0  # of a step, in the logarithm of a width


@dataclass(frozen=True)
class Learnt:
    """The widths of the groups of a prior.

    Attributes
    ----------
    names : tuple of str
    factor : (g,)
        Learnt over stated width.
    esd : (g,)
        Standard deviation of the logarithm of the factor.
    prior : Prior
        With the learnt widths.
    """

    names: tuple[str, ...]
    factor: Array
    esd: Array
    prior: Prior


def learn(equations: NormalEquations, held: Prior, stated: Prior) -> Learnt:
    """Find the widths that make the data most likely.

    Parameters
    ----------
    equations : NormalEquations
        At the minimum, with the prior ``held`` in them.
    held, stated : Prior
        The prior of the minimisation, and the one that the parameterisation states.
    """
    names = tuple(dict.fromkeys(group for group in stated.groups if group))
    none = Learnt(names, np.ones(len(names)), np.full(len(names), BELIEF), stated)
    if not names or not stated.learn:
        return none
    group = np.array([names.index(name) if name else -1 for name in stated.groups])
    # In units of the stated widths; what has no prior keeps its own unit.
    unit = np.where(stated.precision > 0.0, stated.precision, 1.0) ** -0.5
    here = equations.parameters - held.mean
    H = (equations.matrix - np.diag(held.precision)) * np.outer(unit, unit)
    b = H @ (here / unit) - (equations.gradient - held.precision * here) * unit
    fixed = np.where(group < 0, stated.precision * unit**2, 0.0)
    problem = _Restricted(H, b, fixed, group, len(names))
    try:
        t, curvature = problem.maximise()
    except linalg.LinAlgError:  # something that neither data nor priors hold
        return none
    esd = np.sqrt(np.diag(linalg.inv(curvature)))
    factor = np.exp(t + esd**2)  # the root of the mean of exp(2 t)
    precision = stated.precision / np.where(group >= 0, factor[group], 1.0) ** 2
    return Learnt(names, factor, esd, replace(stated, precision=precision))


def settled(old: Prior, new: Prior) -> bool:
    """Whether no width differs by more than 5 % between two priors."""
    held = new.precision > 0.0
    return bool(np.all(np.abs(np.log(new.precision[held] / old.precision[held])) < 0.1))


@dataclass(frozen=True)
class _Restricted:
    """The restricted likelihood of the logarithms t (g,) of the widths of groups.

    Attributes
    ----------
    H, b : (n, n), (n,)
        The data's part of the normal equations.
    fixed : (n,)
        Precisions of what is in no group.
    group : (n,)
        Number of the group, or -1.
    """

    H: Array
    b: Array
    fixed: Array
    group: NDArray[np.intp]
    n_groups: int

    def maximise(self) -> tuple[Array, Array]:
        """Give the maximum (g,) and the information there (g, g), by Fisher's scoring with halved steps."""
        t = np.zeros(self.n_groups)
        value, score, information = self.at(t)
        for _ in range(_MOST_STEPS):
            step = linalg.solve(information, score, assume_a="pos")
            step *= min(1.0, _LONGEST / max(float(np.abs(step).max()), 1e-300))
            while True:
                trial = self.at(t + step)
                if trial[0] >= value or np.abs(step).max() < 1e-4:
                    break
                step = step / 2.0
            t, (value, score, information) = t + step, trial
            if np.abs(step).max() < 1e-3:
                break
        return t, information

    def at(self, t: Array) -> tuple[float, Array, Array]:
        """Give log posterior, its gradient (g,) and the expected information (g, g)."""
        inside = self.group >= 0
        precision = np.where(inside, np.exp(-2.0 * t)[self.group], self.fixed)
        factor = linalg.cholesky(self.H + np.diag(precision), lower=True)
        half = linalg.solve_triangular(factor, np.eye(len(self.b)), lower=True)
        C = half.T @ half
        m = C @ self.b
        counts = np.bincount(self.group[inside], minlength=self.n_groups)
        value = 0.5 * float(self.b @ m) - float(np.log(np.diag(factor)).sum()) - float(counts @ t)
        member = np.zeros((self.n_groups, len(self.b)))
        member[self.group[inside], np.flatnonzero(inside)] = precision[inside]
        share = member @ np.diag(C)
        score = member @ m**2 - counts + share
        information = 2.0 * (np.diag(counts - 2.0 * share) + member @ C**2 @ member.T)
        belief, off = BELIEF**-2.0, t + BELIEF**2  # so that the mean of exp(2 t) is 1
        return (
            value - 0.5 * belief * float(off @ off),
            score - belief * off,
            information + belief * np.eye(self.n_groups),
        )
