"""Covariances of energies and forces when each site's energy is a Gaussian process of its features.

Sites of one element have the covariance ``k(q)``, ``q = |f - g|^2 / width^2``; others have none. Energies are sums of
them and forces linear in their derivatives (`site_observations`): between frames, with ``P`` and ``R`` the pulls of
sites ``i`` of the first and ``j`` of the second, and ``d = f_i - g_j``,

    cov(F, F') = sum_ij  -4 k'' / width^4 (P_i d)(R_j d)^T - 2 k' / width^2 P_i R_j^T,
    cov(E, F') = sum_ij  -2 k' / width^2 (R_j d)^T,      cov(E, E') = sum_ij k.

Like atoms are alike by construction. Summing ``k' P_i`` over the first's sites before multiplying by ``R_j`` makes the
work of a pair of frames proportional to their sites, not to pairs of sites; all of it is products of matrices.

Source: kernels of environments summed over sites [bartok2010], their derivatives at all frames [christensen2020].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from thalweg.learned_potentials.gradient_domain.hessian_kernel import CHUNK, Covariance
from thalweg.learned_potentials.gradient_domain.site_observations import ObservedFrame, SiteObservations


@dataclass(frozen=True)
class SitePrior:
    """What is believed of energies before any label is seen.

    Attributes
    ----------
    covariance : of a site's energy, as a function of squared distances
    width : of the kernel, in units of the features
    """

    covariance: Covariance
    width: float

    def joint_covariance(self, first: SiteObservations, second: SiteObservations) -> np.ndarray:
        """Covariances of all that is observed of ``first``, forces before energies, with what is of ``second``.

        Where ``first`` is ``second`` only what is on and below the diagonal means anything.
        """
        matrix = np.zeros((first.count, second.count))
        top, left = first.components, second.components
        for chosen in _alike(second):
            together = _AlikeFrames(self, [second.frames[k] for k in chosen])
            for a, frame in enumerate(first.frames):
                if first is second and a < chosen[0]:
                    continue
                forces, ours, theirs, energies = together.covariances(frame)
                rows = slice(first.starts[a], first.starts[a + 1])
                for b, block in zip(chosen, forces):
                    matrix[rows, second.starts[b] : second.starts[b + 1]] = block
                if first.energies:
                    for b, row in zip(chosen, theirs):
                        matrix[top + a, second.starts[b] : second.starts[b + 1]] = row
                if first.energies and second.energies:
                    matrix[top + a, left + chosen] = energies
                if second.energies and first is second:
                    matrix[left + chosen, rows] = ours
                    matrix[left + chosen, top + a] = energies
                elif second.energies:
                    matrix[rows, left + chosen] = ours.T
        return matrix

    def variances(self, observed: SiteObservations) -> np.ndarray:
        """Variances of all labels before any data, (labels,)."""
        variances = np.zeros(observed.count)
        for k, frame in enumerate(observed.frames):
            forces, _, _, energies = _AlikeFrames(self, [frame]).covariances(frame)
            variances[observed.starts[k] : observed.starts[k + 1]] = np.diag(forces[0])
            if observed.energies:
                variances[observed.components + k] = energies[0]
        return variances


class _AlikeFrames:
    """Frames with as many sites of each element and as many directions each."""

    def __init__(self, prior: SitePrior, frames: list[ObservedFrame]):
        self.prior, self.count, self.size = prior, len(frames), frames[0].size
        self.kinds = []
        for kind in range(len(frames[0].features)):
            sites = np.stack([frame.features[kind] for frame in frames])
            pulls = np.stack([frame.pulls[kind] for frame in frames])
            self.kinds.append((sites, (sites * sites).sum(2).ravel(), pulls, (pulls * sites[:, None]).sum(3)))

    def covariances(self, frame: ObservedFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of forces of ``frame`` with forces (frames, directions, directions) and energies (frames, directions) of
        these; of its energy with their forces (frames, directions) and energies (frames,).

        Of one element after the other, sites ``i`` of ``frame`` and ``j`` of all these frames:

        =======================================  =======================================================================
        ``f_i, g_j``                             ``sites`` (i, combinations), ``flat`` (frames j, combinations)
        ``P_i, R_j``                             ``pulls`` (directions, i, combinations), ``their_pulls``
        ``|f_i - g_j|^2``                        ``squares`` (i, frames j)
        ``k, -2 k' / width^2, 4 k'' / width^4``  ``value, slope, curve`` (i, frames j)
        ``P_i d, R_j d``                         ``here`` (directions, i, frames j), ``there`` (frames, directions, j i)
        ``sum_i -2 k' / width^2 P_i``            ``summed`` (frames, directions, j combinations)
        =======================================  =======================================================================
        """
        forces = np.zeros((self.count, frame.size, self.size))
        ours, theirs = np.zeros((self.count, frame.size)), np.zeros((self.count, self.size))
        energies = np.zeros(self.count)
        for sites, pulls, (others, norms, their_pulls, along) in zip(frame.features, frame.pulls, self.kinds):
            count, size = len(sites), others.shape[2]
            each = others.shape[1]
            if not count or not each:
                continue
            flat = others.reshape(-1, size)
            squares = (sites * sites).sum(1)[:, None] + norms - 2 * sites @ flat.T
            value, slope, curve = self.prior.covariance.derivatives(
                np.maximum(squares, 0) / self.prior.width**2
            )
            slope, curve = -2 / self.prior.width**2 * slope, 4 / self.prior.width**4 * curve
            # P_i d = P_i f_i - P_i g_j and R_j d = R_j f_i - R_j g_j, the latter first as (frames, directions, j, i)
            here = (pulls * sites).sum(2)[:, :, None] - (pulls.reshape(-1, size) @ flat.T).reshape(
                frame.size, count, len(flat)
            )
            there = (their_pulls.reshape(-1, size) @ sites.T).reshape(self.count, self.size, each, count)
            there -= along[..., None]
            there = there.reshape(self.count, self.size, each * count)
            summed = (slope.T @ pulls).reshape(frame.size, self.count, each * size).transpose(1, 0, 2)
            # cov(F, F'): -2 k' / width^2 P_i R_j^T, summed over i first, then -4 k'' / width^4 (P_i d)(R_j d)^T
            forces += summed @ their_pulls.reshape(self.count, self.size, each * size).swapaxes(1, 2)
            forces -= self._by_frame(here * curve, each) @ there.swapaxes(1, 2)
            # cov(F, E'), cov(E, F') and cov(E, E')
            ours -= self._by_frame(here * slope, each).sum(2)
            theirs += (there @ self._by_frame(slope[None], each).swapaxes(1, 2))[..., 0]
            energies += value.reshape(count, self.count, each).sum((0, 2))
        return forces, ours, theirs, energies

    def _by_frame(self, array, each):
        """(directions, i, frames j) as (frames, directions, j i), ``each`` the number of sites ``j`` of a frame."""
        directions, count = array.shape[:2]
        split = array.reshape(directions, count, self.count, each).transpose(2, 0, 3, 1)
        return split.reshape(self.count, directions, each * count)


def _alike(observed: SiteObservations) -> Iterator[np.ndarray]:
    """Numbers of frames that can be worked on together, in chunks."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for k, frame in enumerate(observed.frames):
        groups.setdefault(frame.signature, []).append(k)
    for members in groups.values():
        for start in range(0, len(members), CHUNK):
            yield np.array(members[start : start + CHUNK])
