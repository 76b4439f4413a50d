r"""Which residues: groups of features ranked, with the spread over resampled data, and those that may be named.

A ranking alone names whatever comes first. Stability selection [meinshausen2010] draws halves of the data in
complementary pairs [shah2013], ranks in each, and names what is among the first :math:`q` in a share of at least
:math:`\pi` of them. Of :math:`p` groups, the number :math:`V` named although they have no part in it is

.. math::  \langle V \rangle \le \frac{q^2}{(2\pi - 1)\, p} ,

if those without a part are alike, and ranked no better than by chance. No more than :math:`q / \pi` can be named.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.collective_variables.interpretation.importance import SHOWN, Importance
from thalweg.learning.models import Model
from thalweg.machine.surviving import surviving
from thalweg.shapes import Shaped
from thalweg.time_series.blocks import PairRange, segments
from thalweg.time_series.cross_validation import taken
from thalweg.time_series.trajectories import Trajectories, TrajectoryData, as_trajectories


@dataclass(frozen=True, eq=False)
class Ranking(Model):
    """Groups from most to least important.

    Attributes
    ----------
    names : of the groups, such as residues
    values : (groups,), importance in all data
    spread : (groups,), standard deviation over resampled data
    stability : (groups,), share of the halves in which the group was among the first; NaN where none were drawn
    named : groups stable enough
    by_chance : groups at most that are expected among the named without a part in it; NaN where no halves were drawn
    notes : what one should know
    """

    names: tuple[str, ...]
    values: Shaped[np.ndarray, " groups"]
    spread: Shaped[np.ndarray, " groups"]
    stability: Shaped[np.ndarray, " groups"]
    named: tuple[str, ...] = ()
    by_chance: float = float("nan")
    notes: tuple[str, ...] = ()

    def headline(self) -> dict[str, object]:
        """The first groups and those named."""
        return {"groups": len(self.names), "first": ", ".join(self.names[:3]), "named": len(self.named)}

    def __str__(self) -> str:
        known = np.isfinite(self.stability).any()
        width = max(8, *(len(name) for name in self.names[:SHOWN]))
        lines = [" " * width + f"{'value':>11}{'spread':>11}" + "   stable" * bool(known)]
        for name, value, spread, stable in zip(self.names, self.values, self.spread, self.stability):
            cells = f"{value:11.4g}{spread:11.2g}" + (f"{stable:9.0%}" if known else "")
            lines.append(f"{name:{width}}{cells}")
        hidden = len(self.names) - SHOWN
        lines = lines[: SHOWN + 1] + [f"... and {hidden} more"] * (hidden > 0)
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])


def ranked(names: Sequence[Hashable], values: np.ndarray, replicates: np.ndarray) -> Ranking:
    """Groups by their values, with the spread over replicates.

    Parameters
    ----------
    names : of the groups
    values : (groups,)
    replicates : (replicates, groups)

    Examples
    --------
    >>> ranked(["ALA1", "GLY2"], np.array([1.0, 3.0]), np.array([[1.0, 2.0], [1.0, 4.0]])).names
    ('GLY2', 'ALA1')
    """
    order = np.argsort(-np.asarray(values), kind="stable")
    spread = replicates.std(axis=0, ddof=1) if len(replicates) > 1 else np.full(len(values), np.nan)
    return Ranking(
        tuple(str(names[k]) for k in order),
        np.asarray(values, float)[order],
        spread[order],
        np.full(len(values), np.nan),
    )


@dataclass(frozen=True)
class StabilitySelection:
    """Groups that are important in every half of the data.

    Parameters
    ----------
    pairs : complementary pairs of halves
    top : groups counted as the first of a half; None for as many as let one be named by chance
    threshold : share of the halves that names a group
    parts : about how many blocks the data are divided into, of which halves are made
    coordinate : of the model; None for all together
    seed : of the halves

    Raises
    ------
    ValueError
        If there is no pair, or the threshold is not above one half.

    Examples
    --------
    >>> from thalweg.collective_variables.interpretation.importance import loading_importance
    >>> from thalweg.collective_variables.linear.pca import PCA
    >>> x = np.random.default_rng(0).standard_normal((1000, 6)) * [1, 1, 9, 1, 1, 1]
    >>> def importance(part): return loading_importance(PCA(dim=1).fit(part), part)
    >>> StabilitySelection(pairs=5).rank(x, importance, [[f"ALA{k}"] for k in range(6)]).named
    ('ALA2',)
    """

    pairs: int = 10
    top: int | None = None
    threshold: float = 0.75
    parts: int = 20
    coordinate: int | None = None
    seed: int = 0

    def __post_init__(self):
        if self.pairs < 1 or not 0.5 < self.threshold <= 1:
            raise ValueError(
                f"pairs={self.pairs} must be positive, threshold={self.threshold} above 0.5 and at most 1"
            )

    def rank(
        self,
        data: TrajectoryData,
        importance: Callable[[Trajectories], Importance],
        members: Sequence[Sequence[Hashable]],
    ) -> Ranking:
        """Groups ranked by all data, and named by halves of them.

        Parameters
        ----------
        data : features
        importance : fits and weighs: from data to the importance of their features, such as
            ``lambda part: gradient_importance(method.fit(part).transform, part)``
        members : for every feature the groups it belongs to, see `Importance.grouped`

        Raises
        ------
        ValueError
            If the data cannot be divided, there are fewer than two groups, or ``top`` is not among them.
        """
        trajectories = as_trajectories(data)
        names = list(dict.fromkeys(str(group) for groups in members for group in groups))
        if len(names) < 2:
            raise ValueError(f"got {len(names)} groups; ranking needs two or more")
        top = self._top(len(names))
        whole = self._values(importance(trajectories).grouped(members), names)
        halves = self._halves(trajectories)

        def of_half(pieces: Sequence[PairRange]) -> np.ndarray:
            return self._values(importance(taken(trajectories, pieces)).grouped(members), names)

        left = surviving(halves, of_half, "halves of the data")
        drawn = np.stack(left.results)
        place = np.argsort(np.argsort(-drawn, axis=1, kind="stable"), axis=1)
        stable = (place < top).mean(axis=0)
        order = np.argsort(-whole, kind="stable")
        by_chance = top**2 / ((2 * self.threshold - 1) * len(names))
        return Ranking(
            tuple(names[k] for k in order),
            whole[order],
            drawn.std(axis=0, ddof=1)[order],
            stable[order],
            tuple(names[k] for k in order if stable[k] >= self.threshold),
            by_chance,
            tuple(note for note in (left.told, *self._notes(stable, top)) if note),
        )

    def _top(self, groups: int) -> int:
        top = self.top or int(np.clip(np.sqrt((2 * self.threshold - 1) * groups), 1, groups - 1))
        if not 1 <= top < groups:
            raise ValueError(f"top={self.top} must be less than the number of groups, {groups}")
        return top

    def _values(self, grouped: Importance, names: Sequence[str]) -> np.ndarray:
        """Shares of the groups, in the order of the names."""
        shares = grouped.shares
        column = shares.mean(axis=1) if self.coordinate is None else shares[:, self.coordinate]
        of_name = dict(zip(grouped.names, column))
        return np.array([of_name[name] for name in names])

    def _halves(self, data: Trajectories) -> list[list[PairRange]]:
        pieces = segments(data.lengths, self.parts)
        blocks = 1 + max(piece.block for piece in pieces)
        if blocks < 4:
            raise ValueError(f"{blocks} blocks of data make no halves; give longer or more trajectories")
        random = np.random.default_rng(self.seed)
        halves = []
        for _ in range(self.pairs):
            order = random.permutation(blocks)
            for half in (order[: blocks // 2], order[blocks // 2 :]):
                halves.append([piece for piece in pieces if piece.block in half])
        return halves

    def _notes(self, stable: np.ndarray, top: int) -> tuple[str, ...]:
        if not (stable >= self.threshold).any():
            return (
                f"no group is among the first {top} in {self.threshold:.0%} of the halves: importance is spread over "
                "many, or halves disagree; more data, or fewer groups",
            )
        return ()


def group_amplitudes(
    modes: Shaped[np.ndarray, "... features"], members: Sequence[Hashable]
) -> tuple[tuple[str, ...], Shaped[np.ndarray, "... groups"]]:
    r"""Root mean square length of a mode at the atoms of each group, as positions move.

    Parameters
    ----------
    modes : displacements, ``x, y, z`` of one atom after the other
    members : group of each atom, such as its residue

    Returns
    -------
    names of the groups, and lengths ``(..., groups)``

    Raises
    ------
    ValueError
        If there are not three features for each atom.

    Examples
    --------
    >>> group_amplitudes(np.array([3.0, 4.0, 0.0, 0.0, 0.0, 1.0]), ["ALA1", "GLY2"])
    (('ALA1', 'GLY2'), array([5., 1.]))
    """
    if modes.shape[-1] != 3 * len(members):
        raise ValueError(
            f"got {modes.shape[-1]} features for {len(members)} atoms; give a group for each atom, whose x, y and z "
            "follow each other"
        )
    groups = list(dict.fromkeys(members))
    squares = (modes.reshape(*modes.shape[:-1], len(members), 3) ** 2).sum(axis=-1)
    belongs = np.array([[group == member for group in groups] for member in members], float)
    return tuple(map(str, groups)), np.sqrt(squares @ belongs / belongs.sum(axis=0))
