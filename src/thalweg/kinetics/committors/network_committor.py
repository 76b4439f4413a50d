r"""Committors by networks: trained on trajectories, swarms of shots or weighted frames, with an error at every frame.

The network holds the boundary values exactly (`LogitNetwork`), and what it is trained for is one of three losses
(`thalweg.kinetics.committors.losses`). Several are trained, each from other weights and on blocks of data drawn with
replacement; the blocks it was not given choose its epoch. Their mean is the committor, and their spread its standard
error: that of the training and that of the data at once [breiman1996].

Then all is done again with the features turned and stretched to where the committor changes [radhakrishnan2024],

.. math::  z = M^{1/2} x, \qquad M = \langle \nabla q\, \nabla q^T \rangle ,

so that of many features those that do not matter are hardly seen, and little is learned by heart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables.bases.linear_map import function_values
from thalweg.collective_variables.neural.encoder import SCALES, Scale, Scales, WhitenedFeatures
from thalweg.collective_variables.neural.learned_basis import Interrupted, Training
from thalweg.kinetics.committors.logit_network import LogitNetwork
from thalweg.kinetics.committors.losses import CommittorLoss, ExamplePool
from thalweg.kinetics.committors.martingale import MartingaleTest, martingale_test
from thalweg.kinetics.committors.stopped_pairs import FramesBetween, effective_number, frames_between
from thalweg.kinetics.reactions.regions import IN_A, IN_B, OUTSIDE, Region, SetOfFrames
from thalweg.learning.models import Model, Transforming
from thalweg.learning.optimizers import Adam
from thalweg.machine.surviving import Survivors, surviving
from thalweg.shapes import Shaped
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories

FEWEST = 200
"""Effective number of pairs or frames below which it is told."""

STEPS = 20
"""Steps in an epoch at least: few data are walked over several times before the result is judged."""

JUDGES, JUDGED = 4, 1024
"""Batches that judge an epoch, and examples in each at most."""

SHOWN = 2000
"""Frames at most that a model keeps for its figure."""

GRADIENTS = 20_000
"""Frames at most that say where the committor changes."""

LEAST = 0.02
"""Stretch of the directions that matter least, in that of the one that matters most."""

TESTED = 2000
"""Trajectories at most by which a committor is tested."""

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
    martingale : whether pairs of the data speak against it, each as seen by networks that it was kept from where there
        are such; None for frames alone
    notes : what one should know
    """

    members: tuple[LogitNetwork, ...]
    losses: Shaped[np.ndarray, " restarts"]
    examples: float
    shown: Shaped[np.ndarray, "frames features"]
    features: tuple[str, ...]
    martingale: MartingaleTest | None = None
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
        test = [] if self.martingale is None else [str(self.martingale)]
        return "\n".join([text, *test, *self.notes])


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
    decay : how strongly weights are drawn to zero, see `Adam`
    adaptations : how often all is done again with features stretched to where the committor changes

    Examples
    --------
    >>> from thalweg.kinetics.reactions.regions import Intervals
    >>> from thalweg.kinetics.committors.losses import SemigroupLoss
    >>> walks = [np.cumsum(np.random.default_rng(k).choice([-0.1, 0.1], (200, 1)), axis=0) for k in range(200)]
    >>> low, high = Intervals((-np.inf,), (-0.95,)), Intervals((0.95,), (np.inf,))
    >>> quick = Training(hidden=(16,), steps=200, restarts=1)
    >>> committor = NetworkCommittor(low, high, SemigroupLoss(20), quick, adaptations=0).fit(walks)
    >>> bool(abs(committor.transform(np.array([[0.0]]))[0, 0] - 0.5) < 0.1)
    True
    """

    a: SetOfFrames
    b: SetOfFrames
    loss: CommittorLoss
    training: Training = field(default_factory=lambda: Training(steps=2000, restarts=4))
    scales: Scales = "deviations"
    decay: float = 0.3
    adaptations: int = 1

    def fit(self, data: TrajectoryData, metric: Any = None) -> CommittorModel:
        """The committor of the features of ``data``.

        Parameters
        ----------
        data : trajectories, swarms (one trajectory for each shot, those of a frame all beginning with it) or frames;
            frame weights count
        metric : for `DirichletLoss`, ``G`` of every frame: for each trajectory an array
            ``(frames, features, features)``, or one ``(features, features)`` for all; see
            `thalweg.geometry.metric_tensors`

        Raises
        ------
        ValueError
            If the sets overlap or one is empty, nothing lies between them, weights leave next to nothing, there is
            no pair, or all members fail.
        """
        a, b = _region(self.a, "A"), _region(self.b, "B")
        trajectories = as_trajectories(data)
        scaling = SCALES[self.scales].of(trajectories)
        pool = self.loss.pool(frames_between(trajectories, a, b), metric)
        try:
            left = self._members(pool, scaling, 0)
            for k in range(self.adaptations):
                scaling = _adapted([each.network for each in left.results], pool)
                left = self._members(pool, scaling, k + 1)
        except Interrupted as interrupted:
            raise interrupted.__cause__ or interrupted from None
        losses = np.full(self.training.restarts, np.nan)
        losses[list(left.members)] = [each.loss for each in left.results]
        kept, aside = _agreeing([each.loss for each in left.results])
        effective, test = effective_number(pool.weights), None
        notes = [left.told, aside, *(note for each in left.results for note in each.notes)]
        if pool.ends is not None and trajectories.weights is not None and trajectories.log_path is None:
            notes.append(
                "weights say which frames count, not how they move: the committor is that of the dynamics of these "
                "trajectories, bias included"
            )
        if pool.ends is not None:
            test = _tested(trajectories, pool.data, [left.results[k] for k in kept])
            if test is not None and not test.passed:
                notes.append(
                    f"the martingale test failed, by up to {test.worst:.2g}: train longer, add features, or shorten "
                    "the time between frames"
                )
        if effective < FEWEST:
            notes.append(f"only {effective:.0f} effective examples between A and B; errors may be too small")
        return CommittorModel(
            tuple(left.results[k].network for k in kept),
            losses,
            effective,
            trajectories.strided(SHOWN),
            tuple(map(trajectories.name, range(trajectories.n_features))),
            test,
            tuple(dict.fromkeys(note for note in notes if note)),
        )

    def _members(self, pool: ExamplePool, scaling: Scale, turn: int) -> Survivors[int, _Member]:
        """Networks of all restarts that do not fail."""
        return surviving(
            range(self.training.restarts),
            lambda k: self._member(pool, scaling, turn, k),
            "networks of the committor",
        )

    def _member(self, pool: ExamplePool, scaling: Scale, turn: int, k: int) -> _Member:
        """One network, of blocks drawn with replacement, judged by the others."""
        training, random = self._in_turn(turn), np.random.default_rng([self.training.seed, k, turn])
        times, shown, judging = _drawn(pool, random)
        size = min(training.batch, len(shown))
        passes = -(-STEPS // (len(shown) // size))

        def batches(generator: np.random.Generator):
            for _ in range(passes):
                order = generator.permutation(shown)
                for start in range(0, len(order) - size + 1, size):
                    yield pool.examples(order[start : start + size])

        judges = np.array_split(random.permutation(judging)[: JUDGES * JUDGED], JUDGES)
        width = min(len(part) for part in judges)
        trainer = training.trainer(passes * (len(shown) // size))
        trainer = replace(trainer, optimizer=Adam(training.learning_rate, decay=self.decay))
        sets = _region(self.a, "A"), _region(self.b, "B")
        key = jax.random.key(int(random.integers(2**31)))
        trained = trainer.fit(
            LogitNetwork.init(scaling, training.hidden, *sets, key),
            self.loss,
            batches,
            held_out=[pool.examples(part[:width], judged=True) for part in judges if width],
            seed=training.seed + k,
            checkpoint=None
            if training.checkpoint is None
            else Path(training.checkpoint) / f"member_{turn}_{k}.npz",
            progress=training.reported(k),
        )
        finite = trained.history.held_out[np.isfinite(trained.history.held_out)]
        loss = float(finite.min()) if len(finite) else np.nan
        return _Member(trained.model, loss, times, trained.history.notes)

    def _in_turn(self, turn: int) -> Training:
        """The training whose progress is that of all turns."""
        progress, turns = self.training.progress, self.adaptations + 1
        if progress is None:
            return self.training
        return replace(self.training, progress=lambda text, done: progress(text, (turn + done) / turns))


class _Member(NamedTuple):
    network: LogitNetwork
    loss: float
    times: np.ndarray
    notes: tuple[str, ...]


def _region(given: SetOfFrames, name: str) -> Region:
    """The set as something that other frames can be asked about."""
    if isinstance(given, Region):
        return given
    raise ValueError(
        f"set {name} is given by masks, which say nothing about other frames; give a region, such as Ellipsoid or "
        "Intervals"
    )


def _drawn(pool: ExamplePool, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each block is drawn, with replacement; examples of those drawn, and of all others."""
    count = int(pool.data.blocks.max()) + 1
    for _ in range(100):
        times = random.multinomial(count, np.full(count, 1 / count))
        shown, judging = pool.of_blocks(times), pool.of_blocks((times == 0).astype(int))
        if len(shown) and len(judging):
            return times, shown, judging
    raise ValueError(
        f"{len(pool)} examples in {count} blocks of data cannot be divided in two; give longer or more trajectories"
    )


def _adapted(networks: Sequence[LogitNetwork], pool: ExamplePool) -> WhitenedFeatures:
    """Features turned and stretched by the root of their mean outer product of gradients of the committor."""
    data = pool.data
    frames = data.frames[data.between]
    frames = frames[:: -(-len(frames) // GRADIENTS)]
    gradients = np.asarray(
        sum(committor_gradients(network, jnp.asarray(frames)) for network in networks), float
    )
    mean, deviation = frames.mean(axis=0, dtype=float), frames.std(axis=0, dtype=float)
    scaled = gradients * deviation
    squares, directions = np.linalg.eigh(scaled.T @ scaled)
    roots = np.sqrt(np.maximum(squares / squares.max(), LEAST**2))
    turned = (directions * roots) @ directions.T
    varies = deviation > 1e-7 * np.maximum(np.abs(mean), 1e-30)
    matrix = turned / np.where(varies, deviation, np.inf)[:, None]
    return WhitenedFeatures(mean.astype(np.float32), matrix.astype(np.float32))


@eqx.filter_jit
def committor_gradients(network: LogitNetwork, frames: jax.Array) -> jax.Array:
    """Gradients ``(frames, features)`` of a committor."""
    return jax.vmap(jax.grad(lambda x: network.probabilities(x[None])[0]))(frames)


def _tested(data: Trajectories, frames: FramesBetween, members: Sequence[_Member]) -> MartingaleTest | None:
    """The martingale test of at most `TESTED` trajectories; those kept from some members are seen by these alone.

    None if these trajectories enter one of the sets only.
    """
    chosen = np.unique(np.linspace(0, len(data) - 1, TESTED).round().astype(int))
    offsets = np.concatenate([[0], np.cumsum(data.lengths)])
    parts = [np.arange(offsets[k], offsets[k + 1]) for k in chosen]
    rows, owner = np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    values = np.array([each.network(frames.frames[rows])[:, 0] for each in members])
    # how many frames of each trajectory each member was given
    given = [np.bincount(owner, each.times[frames.blocks[rows]], minlength=len(parts)) for each in members]
    apart = np.array(given) == 0
    apart[:, ~apart.any(axis=0)] = True
    mean = (values * apart[:, owner]).sum(axis=0) / apart.sum(axis=0)[owner]
    ends = np.cumsum([len(part) for part in parts])[:-1]
    columns = {} if data.weights is None else {"weights": [data.weights[k] for k in chosen]}
    columns |= {} if data.log_path is None else {"log_path": [data.log_path[k] for k in chosen]}
    seen = Trajectories(np.split(mean[:, None], ends), dt=data.dt, **columns)
    where = np.split(frames.labels[rows], ends)
    if not all((frames.labels[rows] == name).any() for name in (OUTSIDE, IN_A, IN_B)):
        return None
    in_a, in_b = ([part == name for part in where] for name in (IN_A, IN_B))
    return martingale_test(lambda q: q, seen, in_a, in_b)


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
