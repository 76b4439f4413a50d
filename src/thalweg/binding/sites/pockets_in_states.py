r"""Pockets of one protein over many structures: which are the same, how large they are, how often they are open.

Many a pocket is closed in the structure that is known and opens as the protein moves [meller2023]. Two pockets are the
same site if the residues that line them overlap,

.. math::  J = |A \cap B| \,/\, |A \cup B|

by enough. A pocket that swallows half of the protein shares the residues of every site, but little of the union: the
criterion does not reward size, as the share of a site's residues that are found (recall) would. What opens costs

.. math::  \Delta F = -k_B T \ln \frac{p_\text{open}}{1 - p_\text{open}}

where frames count by their weights, such as populations of the states of a Markov model over the frames in each. The
error is that over runs drawn anew. Walks that were started anywhere are weighed together with their error by
`thalweg.kinetics.set_free_energy`, which the open frames can be given to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.binding.sites.pockets import Pocket
from thalweg.free_energies.blocks import resamples
from thalweg.learning.models import Method, Model
from thalweg.shapes import Bool, Float, Int

CORE = 0.5
"""Residues that line a site in more than this share of its pockets are its core."""

SEEN_OFTEN = 5
"""Runs with an open frame, and with a closed one, below which a free energy is not to be trusted."""


def residue_overlap(first: Collection[str], second: Collection[str]) -> float:
    """Residues that both have over residues that either has; zero where there are none.

    Examples
    --------
    >>> residue_overlap(["A:LEU1", "A:VAL2"], ["A:VAL2", "A:ILE3", "A:PHE4"])
    0.25
    """
    own, other = set(first), set(second)
    return len(own & other) / len(own | other) if own | other else 0.0


@dataclass(frozen=True, eq=False)
class TrackedSite:
    """A site over frames.

    Attributes
    ----------
    core : residues that line most of its pockets, the most frequent first
    pockets : of each frame those that belong to it
    overlaps : (frames,) of the residues of these with the core; zero where it is closed
    """

    core: tuple[str, ...]
    pockets: tuple[tuple[Pocket, ...], ...]
    overlaps: Float[np.ndarray, " frames"]

    @property
    def volumes(self) -> Float[np.ndarray, " frames"]:
        """Of each frame, zero where it is closed [nm^3]."""
        return np.array([sum((pocket.volume for pocket in own), 0.0) for own in self.pockets])

    def is_open(self, volume: float = 0.0) -> Bool[np.ndarray, " frames"]:
        """Frames in which there is more than that volume [nm^3]."""
        return self.volumes > volume


@dataclass(frozen=True)
class PocketTracking(Method):
    """How pockets of many frames become sites.

    Parameters
    ----------
    overlap : of the residues of a pocket with the core of a site, from which on it belongs to it
    rounds : of assigning pockets to sites and taking cores anew, at most

    Examples
    --------
    >>> def pocket(*residues):
    ...     return Pocket(1.0, np.zeros((1, 3)), np.ones(1), 0.2, residues)
    >>> frames = [[pocket("A:LEU1", "A:VAL2")], [], [pocket("A:LEU1", "A:VAL2", "A:ILE3"), pocket("A:PHE9")]]
    >>> first, second = PocketTracking().fit(frames).sites
    >>> first.core, first.volumes.tolist(), second.core
    (('A:LEU1', 'A:VAL2'), [0.2, 0.0, 0.2], ('A:PHE9',))
    """

    overlap: float = 0.25
    rounds: int = 10

    def fit(self, frames: Sequence[Sequence[Pocket]]) -> TrackedPockets:
        """The sites of all frames, those in most frames first.

        A site is begun by the pocket of the highest score that belongs to none.

        Parameters
        ----------
        frames : pockets of each, as a finder gives them; none where there are none

        Raises
        ------
        ValueError
            If there are no frames, or pockets do not say which residues line them.
        """
        if not len(frames):
            raise ValueError("there are no frames; give the pockets of one or more")
        every = [(frame, pocket) for frame, own in enumerate(frames) for pocket in own]
        if any(not pocket.residues for _, pocket in every):
            raise ValueError(
                "a pocket does not say which residues line it; find pockets of atoms with labels"
            )
        every.sort(key=lambda each: -each[1].score)
        residues = [frozenset(pocket.residues) for _, pocket in every]
        cores: list[tuple[str, ...]] = []
        for own in residues:
            if max((residue_overlap(own, core) for core in cores), default=0.0) < self.overlap:
                cores.append(tuple(own))
        places = self._places(residues, cores)
        for _ in range(self.rounds):
            cores = [
                _core([residues[k] for k in np.flatnonzero(places == site)]) for site in range(len(cores))
            ]
            cores = [core for core in dict.fromkeys(cores) if core]
            before, places = places, self._places(residues, cores)
            if np.array_equal(before, places):
                break
        sites = [_site(core, every, places == site, len(frames)) for site, core in enumerate(cores)]
        return TrackedPockets(
            tuple(sorted((each for each in sites if each.is_open().any()), key=_frequency, reverse=True)),
            len(frames),
        )

    def _places(self, residues, cores):
        """The site that each pocket overlaps most, minus one where none is enough."""
        overlaps = np.array([[residue_overlap(own, core) for core in cores] for own in residues])
        if not overlaps.size:
            return np.zeros(len(residues), int)
        best = overlaps.argmax(1)
        return np.where(overlaps.max(1) >= self.overlap, best, -1)


@dataclass(frozen=True, eq=False, repr=False)
class TrackedPockets(Model):
    """The sites of many frames.

    Attributes
    ----------
    sites : those that are open in most frames first
    frames : how many
    """

    sites: tuple[TrackedSite, ...]
    frames: int

    def best_match(self, residues: Collection[str]) -> tuple[TrackedSite, float]:
        """The site whose core overlaps most with some ``residues``, and by how much.

        Raises
        ------
        ValueError
            If no frame has a pocket.
        """
        if not self.sites:
            raise ValueError("there is no pocket in any frame")
        overlaps = [residue_overlap(site.core, residues) for site in self.sites]
        best = int(np.argmax(overlaps))
        return self.sites[best], overlaps[best]


def overlapping_volumes(
    frames: Sequence[Sequence[Pocket]], residues: Collection[str], overlap: float = 0.25
) -> Float[np.ndarray, " frames"]:
    """Volume of the pocket of each frame that overlaps most with a known site, zero where none does enough [nm^3].

    Parameters
    ----------
    residues : labels of those that line the site
    overlap : least overlap of residues
    """
    volumes = np.zeros(len(frames))
    for frame, own in enumerate(frames):
        overlaps = [residue_overlap(pocket.residues, residues) for pocket in own]
        if overlaps and max(overlaps) >= overlap:
            volumes[frame] = own[int(np.argmax(overlaps))].volume
    return volumes


@dataclass(frozen=True)
class OpeningFreeEnergy:
    """``value`` and its standard ``error`` [in units of kT given], and what speaks against them.

    Attributes
    ----------
    open_runs, closed_runs : runs with an open frame, and with a closed one
    probability : of being open
    """

    value: float
    error: float
    open_runs: int
    closed_runs: int
    probability: float

    @property
    def shortcomings(self) -> tuple[str, ...]:
        """What is missing for the number to be trusted; empty if nothing."""
        return tuple(
            f"{count} runs have {name} frame, {SEEN_OFTEN} are needed for an error that means something"
            for name, count in (("an open", self.open_runs), ("a closed", self.closed_runs))
            if count < SEEN_OFTEN
        )


def opening_free_energy(
    is_open: Sequence[Bool[np.ndarray, " _"]],
    kT: float,
    weights: Sequence[Float[np.ndarray, " _"]] | None = None,
    samples: int = 200,
    seed: int = 0,
) -> OpeningFreeEnergy:
    """Free energy of the open frames less that of the closed ones, infinite where one kind was never seen.

    Parameters
    ----------
    is_open : of each run, whether a frame is open
    kT : in the unit wanted, such as kJ/mol
    weights : of each run, of frames; all alike unless given
    samples : replicates of runs for the error
    seed : of the draws

    Raises
    ------
    ValueError
        If there are no runs, or weights do not fit, are negative or no numbers.

    Examples
    --------
    >>> runs = [np.arange(100) % 4 == 0] * 20
    >>> found = opening_free_energy(runs, kT=1.0)
    >>> round(found.value, 3), found.shortcomings
    (1.099, ())
    """
    given = [np.ones(len(run)) for run in is_open] if weights is None else [np.asarray(w) for w in weights]
    if not len(is_open) or [len(run) for run in is_open] != [len(w) for w in given]:
        raise ValueError(
            f"{len(is_open)} runs and weights of {len(given)} do not fit: give one or more runs, and a weight of each "
            "frame"
        )
    if any(not np.isfinite(w).all() or (w < 0).any() for w in given):
        raise ValueError("weights must be numbers that are not negative")
    opened = np.array([w[run].sum() for run, w in zip(is_open, given)])
    closed = np.array([w[~run].sum() for run, w in zip(is_open, given)])
    draws = resamples(len(opened), samples, seed)
    replicates = _difference(draws @ opened, draws @ closed, kT)
    finite = np.isfinite(replicates)
    return OpeningFreeEnergy(
        float(_difference(opened.sum(), closed.sum(), kT)),
        float(replicates[finite].std()) if finite.sum() > 1 else float("inf"),
        int((opened > 0).sum()),
        int((closed > 0).sum()),
        float(opened.sum() / max(opened.sum() + closed.sum(), 1e-300)),
    )


def docking_frames(
    volumes: Float[np.ndarray, " frames"],
    states: Int[np.ndarray, " frames"] | None = None,
    each: int = 2,
    volume: float = 0.0,
) -> Int[np.ndarray, " chosen"]:
    """Frames of each state to dock to: open ones whose volumes are evenly spread among those of the state's open ones.

    Parameters
    ----------
    volumes : of one site [nm^3]
    states : of frames; all one unless given
    each : frames of a state
    volume : above which a frame is open [nm^3]

    Examples
    --------
    >>> docking_frames(np.array([0.0, 0.1, 0.5, 0.3, 0.2]), np.array([0, 0, 0, 1, 1]), each=1).tolist()
    [1, 4]
    """
    own = np.zeros(len(volumes), int) if states is None else np.asarray(states)
    chosen: list[int] = []
    for state in np.unique(own):
        members = np.flatnonzero((own == state) & (volumes > volume))
        order = members[np.argsort(volumes[members], kind="stable")]
        places = np.floor((np.arange(each) + 0.5) / each * len(order) - 1e-9).astype(int)
        chosen += order[np.unique(places)].tolist() if len(order) else []
    return np.array(sorted(chosen), int)


def _core(pockets):
    """Residues that line most of some pockets, the most frequent first."""
    counts = Counter(residue for own in pockets for residue in own)
    kept = [residue for residue, count in counts.items() if count > CORE * len(pockets)]
    return tuple(sorted(kept, key=lambda residue: (-counts[residue], residue)))


def _site(core, every, members, frames):
    """Pockets of a site frame by frame, the highest score first."""
    own: list[list[Pocket]] = [[] for _ in range(frames)]
    for (frame, pocket), belongs in zip(every, members):
        if belongs:
            own[frame].append(pocket)
    overlaps = [
        residue_overlap([residue for pocket in each for residue in pocket.residues], core) for each in own
    ]
    return TrackedSite(core, tuple(map(tuple, own)), np.array(overlaps, float))


def _frequency(site):
    return int(site.is_open().sum()), float(site.volumes.sum())


def _difference(opened, closed, kT):
    """``-kT ln(open / closed)``, infinite where one is empty."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = -kT * np.log(np.asarray(opened, float) / np.asarray(closed, float))
    return np.where((np.asarray(opened) > 0) & (np.asarray(closed) > 0), found, np.inf)
