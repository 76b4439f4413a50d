"""Potentials of a bead's whole surroundings, fitted to forces: kernels [john2017] and networks [zhang2018].

    U(x) = U_prior(x) + sum_i e( what bead i sees within a cutoff ),

where ``e`` is whatever a learner of `thalweg.learned_potentials` makes of a representation: kernels at chosen
environments are the coarse-grained Gaussian approximation potential, networks the deep one. The prior, such as the pair
potential of `ForceMatching`, keeps beads apart where there are no frames.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from thalweg.coarse_graining.bead_frames import BeadFrames
from thalweg.coarse_graining.fitting.force_matching import forces_of
from thalweg.learned_potentials.terms.learner import Learner
from thalweg.learned_potentials.terms.term import Term, Weights
from thalweg.learning.models import Method, Model
from thalweg.potentials.energy import Energy, Sum
from thalweg.shapes import Int


@dataclass(frozen=True)
class EnvironmentCoarseModel(Model):
    """A prior and a sum over beads of what each sees.

    Attributes
    ----------
    prior : what was known before, or None
    term : the learned part
    kinds : (beads,) of the frames
    periodic : whether beads stand in a box
    info : how the fit went
    """

    prior: Energy | None
    term: Term
    kinds: Int[np.ndarray, " beads"]
    periodic: bool
    info: Mapping[str, Any]

    def headline(self) -> Mapping[str, Any]:
        return {"beads": len(self.kinds), **self.info}

    def energy(self) -> Energy:
        """The energy of the beads, to run in an engine."""
        learned = self.term.bind(np.asarray(self.kinds), periodic=(self.periodic,) * 3)
        return learned if self.prior is None else Sum((self.prior, learned))


@dataclass(frozen=True)
class EnvironmentForceMatching(Method):
    """Lets a learner of potentials explain what forces a prior leaves.

    Parameters
    ----------
    learner : such as ``SparseKernel(SymmetryFunctions(0.45), kernel=GaussianKernel())`` or ``Network(...)``
    prior : an energy known before
    seed : of what the learner draws
    progress : called with a message and the fraction done

    Examples
    --------
    >>> from thalweg.learned_potentials import GaussianKernel, SparseKernel
    >>> from thalweg.representations import SymmetryFunctions
    >>> rng = np.random.default_rng(0)
    >>> box = np.broadcast_to(np.eye(3), (4, 3, 3))
    >>> frames = BeadFrames(rng.uniform(0, 1, (4, 8, 3)), 2.5, rng.normal(size=(4, 8, 3)), box, kinds=np.ones(8, int))
    >>> kernels = SparseKernel(SymmetryFunctions(0.4, ((20.0, 0.2),), (), ()), 2, GaussianKernel(), folds=2)
    >>> EnvironmentForceMatching(kernels).fit(frames).info["frames"]
    4
    """

    learner: Learner
    prior: Energy | None = None
    seed: int = 0
    progress: Callable[[str, float], None] | None = field(default=None, compare=False, repr=False)

    def fit(self, frames: BeadFrames) -> EnvironmentCoarseModel:
        """The model for ``frames``.

        Raises
        ------
        ValueError
            If frames have no forces, or weights, which learners do not know.
        """
        if frames.weights is not None:
            raise ValueError(
                "learners of environments count frames alike; draw frames by their weights first"
            )
        labels = np.array(frames.needed_forces(), float)
        if self.prior is not None:
            labels -= forces_of(self.prior, frames)
        scale = float(np.sqrt(np.mean(labels**2)))
        term, fit = self.learner.fit(
            replace(frames, forces=labels).configurations(),
            weights=Weights(force=scale),
            seed=self.seed,
            progress=self.progress,
        )
        info = {"frames": len(frames), "root mean square force to explain [kJ/mol/nm]": scale, **fit.chosen}
        return EnvironmentCoarseModel(
            self.prior, term, np.asarray(frames.kinds), frames.boxes is not None, info
        )
