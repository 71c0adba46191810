"""Back substitution: how sure crystals are, once it is known how sure is what they share.

The error of the parameters is H^-1 s to first order, with s the sum of the scores and H the normal matrix.
With H an arrow and W_k = H_kk^-1 H_ks this is, block by block,

    e_s = S^-1 ( s_s - sum_k W_k^T s_k ),     e_k = H_kk^-1 s_k - W_k e_s,

so that with M, an arrow too, the covariance of the scores, and C that of the shared parameters

    C    = S^-1 Q S^-1,     Q = M_ss - sum_k ( M_sk W_k + W_k^T M_ks - W_k^T M_kk W_k )
    C_kk = H_kk^-1 M_kk H_kk^-1 + W_k C W_k^T - ( H_kk^-1 X_k W_k^T + transpose )
    X_k  = ( M_ks - M_kk W_k ) S^-1 .

Where M = H the last term is nothing, Q = S, and these are the blocks of H^-1.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from smalti.steps.refining.problem.arrows import Arrow, held_arrow, pieces_of
from smalti.steps.refining.problem.eliminating import roots_of
from smalti.steps.refining.problem.partition import Partition
from smalti.steps.refining.problem.source import RotationSource

__all__ = ["gathered", "own_covariances", "own_inverses", "scatter_of_shared"]

Array = NDArray[np.float64]

UNKNOWN = 1e14
"""Variance, in units of what the diagonal alone would give, of what nothing determines."""


def scatter_of_shared(H: Arrow, M: Arrow) -> tuple[Array, Array]:
    """Give S and Q (g, g), as far as the crystals of these arrows add to them."""
    W = _following(H)
    flat, k = W.reshape(-1, W.shape[2]), H.cross.reshape(-1, W.shape[2])
    both = M.cross.reshape(-1, W.shape[2]).T @ flat
    inner = flat.T @ (M.own @ W).reshape(flat.shape)
    return H.shared - k.T @ flat, M.shared - both - both.T + inner


def own_covariances(H: Arrow, M: Arrow, inverse: Array, covariance: Array) -> Array:
    """Give C_kk (K, m, m) of crystals from S^-1 and C (g, g) of what they share."""
    root = roots_of(H.own, UNKNOWN)
    A, W = root @ root.transpose(0, 2, 1), _following(H)
    back = W.transpose(0, 2, 1)
    mixed = A @ ((M.cross - M.own @ W) @ inverse) @ back
    out = A + A @ (M.own - H.own) @ A + W @ covariance @ back - mixed - mixed.transpose(0, 2, 1)
    return np.asarray(0.5 * (out + out.transpose(0, 2, 1)))


def own_inverses(source: RotationSource, partition: Partition, p: Array, inverse: Array) -> Array:
    """Give the blocks (K, m, m) of the inverse normal matrix at p (n,) from S^-1 (g, g)."""
    held, _, _ = held_arrow(source, partition, p)
    arrows = (
        (piece.crystals, piece.arrow.plus(held.of(piece.crystals)))
        for piece in pieces_of(source, partition, p)
    )
    return gathered(partition, ((k, own_covariances(H, H, inverse, inverse)) for k, H in arrows))


def gathered(partition: Partition, parts: Iterable[tuple[NDArray[np.intp], Array]]) -> Array:
    """Put blocks of crystals in their places, (K, m, m), without what a crystal does not have."""
    count, m = partition.own.shape
    out = np.zeros((count, m, m))
    for crystals, blocks in parts:
        out[crystals] = blocks
    there = partition.own >= 0
    out[~(there[:, :, None] & there[:, None, :])] = 0.0
    return out


def _following(H: Arrow) -> Array:
    """W_k (K, m, g): by how much less a crystal moves for each shared parameter; nothing where it is free."""
    root = roots_of(H.own)
    return np.asarray(root @ (root.transpose(0, 2, 1) @ H.cross))
