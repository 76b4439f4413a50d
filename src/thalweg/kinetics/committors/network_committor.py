r"""Committors by networks: trained on trajectories, swarms of shots or weighted frames, with an error at every frame.

The network holds the boundary values exactly (`LogitNetwork`), and what it is trained for is one of three losses
(`thalweg.kinetics.committors.losses`). Several are trained, each from other weights and on blocks of data drawn with
replacement; the blocks it was not given choose its epoch. Their mean is the committor, and their spread its standard
error: that of the training and that of the data at once [breiman1996].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.bases.linear_map import function_values
from thalweg.collective_variables.neural.encoder import SCALES, Scale, Scales
from thalweg.collective_variables.neural.learned_basis import Training
from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.losses import CommittorLoss, ExamplePool
from thalweg.kinetics.committors.stopped_pairs import effective_number, frames_between
from thalweg.kinetics.reactions.regions import Region
from thalweg.learning.models import Model, Transforming
from thalweg.machine.surviving import surviving
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import TrajectoryData, as_trajectories

FEWEST = 200
"""Effective number of pairs or frames below which it is told."""

JUDGES = 8
"""Batches at most that judge an epoch."""

SHOWN = 2000
"""Frames at most that a model keeps for its figure."""

ASIDE = 5.0
"""How many usual deviations above the median the loss of a member is that is left out."""

STEEPEST = 25.0
"""Largest logit that is told: beyond it lies a committor of 1e-11."""


@dataclass(frozen=True, eq=False)
class CommittorModel(Model):
    """The committor of features, and how well it is known.

    Attributes
    ----------
    members : networks, each of other data and weights
    losses : (restarts,) of each on blocks it was not given; NaN for those that failed
    examples : effective number of pairs or frames between the sets
    shown : (frames, features), some of the fit, for its figure
    features : their names
    notes : what one should know
    """

    members: tuple[LogitNetwork, ...]
    losses: Shaped[np.ndarray, " restarts"]
    examples: float
    shown: Shaped[np.ndarray, "frames features"]
    features: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, object]:
        """What it rests on."""
        return {"networks": len(self.members), "effective examples": round(self.examples)}

    @property
    def names(self) -> tuple[str, ...]:
        """Of the one value."""
        return ("committor",)

    def __call__(self, frames: Any) -> Any:
        return sum(member(frames) for member in self.members) / len(self.members)

    def transform(self, data: Any) -> Any:
        """Committor ``(frames, 1)`` of an array, NumPy or JAX, or of every trajectory."""
        return function_values(data, self)

    def error(self, frames: Shaped[np.ndarray, "frames features"]) -> np.ndarray:
        """Standard error ``(frames,)`` at each frame: spread of the members; NaN for a single one."""
        if len(self.members) < 2:
            return np.full(len(frames), np.nan)
        return np.std([member(np.asarray(frames))[:, 0] for member in self.members], axis=0, ddof=1)

    @property
    def logit(self) -> CommittorLogit:
        """The same as a variable that does not saturate, such as a bias acts on."""
        return CommittorLogit(self)

    def __str__(self) -> str:
        known = ", ".join(f"{loss:.4g}" for loss in self.losses)
        text = f"committor by {len(self.members)} networks from {self.examples:.0f} effective examples; losses {known}"
        return "\n".join([text, *self.notes])


@dataclass(frozen=True, eq=False)
class CommittorLogit(Model):
    r""":math:`\ln q/(1 - q)`, mean over the members, held where it passes `STEEPEST` in size.

    Attributes
    ----------
    model : of the committor
    """

    model: CommittorModel

    @property
    def names(self) -> tuple[str, ...]:
        """Of the one value."""
        return ("logit of the committor",)

    def __call__(self, frames: Any) -> Any:
        given = jnp.asarray(frames, jnp.float32)
        logits = sum(member.logits(given) for member in self.model.members) / len(self.model.members)
        values = jnp.clip(logits, -STEEPEST, STEEPEST)[:, None]
        return np.asarray(values, float) if isinstance(frames, np.ndarray) else values

    def transform(self, data: Any) -> Any:
        """Logits ``(frames, 1)`` of an array, NumPy or JAX, or of every trajectory."""
        return function_values(data, self)


@dataclass(frozen=True)
class NetworkCommittor(Transforming):
    """A committor by networks.

    Parameters
    ----------
    a, b : the sets; the committor is the probability to reach B before A
    loss : `SemigroupLoss`, `ReversibleLoss` or `DirichletLoss`, according to the data
    training : how; its ``restarts`` are the members, its ``held_out`` is not used, as each member is judged by what it
        was not given
    scales : of the features that networks see

    Examples
    --------
    >>> from thalweg.kinetics.reactions.regions import Intervals
    >>> from thalweg.kinetics.committors.losses import SemigroupLoss
    >>> walks = [np.cumsum(np.random.default_rng(k).choice([-0.1, 0.1], (400, 1)), axis=0) for k in range(20)]
    >>> low, high = Intervals((-np.inf,), (-0.95,)), Intervals((0.95,), (np.inf,))
    >>> quick = Training(hidden=(16,), steps=300, restarts=1)
    >>> committor = NetworkCommittor(low, high, SemigroupLoss(20), quick).fit(walks)
    >>> bool(abs(committor.transform(np.array([[0.0]]))[0, 0] - 0.5) < 0.1)
    True
    """

    a: Region
    b: Region
    loss: CommittorLoss
    training: Training = field(default_factory=lambda: Training(steps=2000, restarts=4))
    scales: Scales = "deviations"

    def fit(self, data: TrajectoryData, metric: Any = None) -> CommittorModel:
        """The committor of the features of ``data``.

        Parameters
        ----------
        data : trajectories, swarms (one trajectory for each shot, those of a frame all beginning with it) or frames;
            frame weights count
        metric : for `DirichletLoss`, ``G`` of every frame: for each trajectory an array ``(frames, features,
            features)``, or one ``(features, features)`` for all; see `thalweg.geometry.metric_tensors`

        Raises
        ------
        ValueError
            If the sets overlap or one is empty, nothing lies between them, weights leave next to nothing, there is
            no pair, or all members fail.
        """
        for name, region in (("A", self.a), ("B", self.b)):
            if not isinstance(region, Region):
                raise ValueError(
                    f"set {name} is given by masks, which say nothing about other frames; give a region, such as "
                    "Ellipsoid or Intervals"
                )
        trajectories = as_trajectories(data)
        scaling = SCALES[self.scales].of(trajectories)
        pool = self.loss.pool(frames_between(trajectories, self.a, self.b), metric)
        left = surviving(
            range(self.training.restarts),
            lambda k: self._member(pool, scaling, k),
            "networks of the committor",
        )
        losses = np.full(self.training.restarts, np.nan)
        losses[list(left.members)] = [each.loss for each in left.results]
        kept, aside = _agreeing([each.loss for each in left.results])
        effective = effective_number(pool.weights)
        notes = [left.told, aside, *(note for each in left.results for note in each.notes)]
        if pool.ends is not None and trajectories.weights is not None and trajectories.log_path is None:
            notes.append(
                "weights say which frames count, not how they move: the committor is that of the dynamics of these "
                "trajectories, bias included"
            )
        if effective < FEWEST:
            notes.append(f"only {effective:.0f} effective examples between A and B; errors may be too small")
        return CommittorModel(
            tuple(left.results[k].network for k in kept),
            losses,
            effective,
            trajectories.strided(SHOWN),
            tuple(map(trajectories.name, range(trajectories.n_features))),
            tuple(dict.fromkeys(note for note in notes if note)),
        )

    def _member(self, pool: ExamplePool, scaling: Scale, k: int) -> _Member:
        """One network, of blocks drawn with replacement, judged by the others."""
        training, random = self.training, np.random.default_rng([self.training.seed, k])
        shown, judging = _drawn(pool, random)
        size = min(training.batch, len(shown))

        def batches(generator: np.random.Generator):
            order = generator.permutation(shown)
            for start in range(0, len(order) - size + 1, size):
                yield pool.examples(order[start : start + size])

        judges = np.array_split(random.permutation(judging), -(-len(judging) // training.batch))
        width = min(len(part) for part in judges)
        trained = training.trainer(max(len(shown) // size, 1)).fit(
            LogitNetwork.init(
                scaling, training.hidden, self.a, self.b, jax.random.key(int(random.integers(2**31)))
            ),
            self.loss,
            batches,
            held_out=[pool.examples(part[:width], judged=True) for part in judges[:JUDGES]],
            seed=training.seed + k,
            checkpoint=None if training.checkpoint is None else Path(training.checkpoint) / f"member_{k}.npz",
            progress=training.reported(k),
        )
        finite = trained.history.held_out[np.isfinite(trained.history.held_out)]
        return _Member(trained.model, float(finite.min()) if len(finite) else np.nan, trained.history.notes)


class _Member(NamedTuple):
    network: LogitNetwork
    loss: float
    notes: tuple[str, ...]


def _drawn(pool: ExamplePool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Examples of blocks drawn with replacement, and those of all other blocks."""
    count = int(pool.data.blocks.max()) + 1
    for _ in range(100):
        times = random.multinomial(count, np.full(count, 1 / count))
        shown, judging = pool.of_blocks(times), pool.of_blocks((times == 0).astype(int))
        if len(shown) and len(judging):
            return shown, judging
    raise ValueError(
        f"{len(pool)} examples in {count} blocks of data cannot be divided in two; give longer or more trajectories"
    )


def _agreeing(losses: Sequence[float]) -> tuple[list[int], str]:
    """Members whose loss is not far above that of the others, and a sentence about those left out."""
    values = np.asarray(losses)
    middle = np.nanmedian(values)
    usual = 1.4826 * np.nanmedian(np.abs(values - middle))
    good = values <= middle + ASIDE * usual + 1e-3 * abs(middle) if len(values) > 2 else np.isfinite(values)
    kept = [int(k) for k in np.flatnonzero(good)] or [int(np.nanargmin(values))]
    dropped = len(values) - len(kept)
    if not dropped:
        return kept, ""
    return kept, (
        f"{dropped} of {len(values)} networks are left out: their held-out losses are far above the median of "
        f"{middle:.4g}"
    )
