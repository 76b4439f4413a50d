r"""The nudged elastic band with a climbing image [henkelman2000a] and the improved tangent [henkelman2000b].

Images between two minima feel the force across the path and springs along it; the highest one feels no spring, and
the force along the path turned round, so that it climbs to the saddle:

.. math::

   f_i = F_i - (F_i \cdot \tau_i)\,\tau_i + k\,(|R_{i+1}-R_i| - |R_i-R_{i-1}|)\,\tau_i, \qquad
   f_\text{top} = F - 2\,(F \cdot \tau)\,\tau

The tangent points to the higher neighbor, or at an extremum to both, weighted by how high they are; taken halfway
between the neighbors, as bands once did, it makes kinks where the path bends.

Example::

    path = NudgedElasticBand().connect(level, reactant, product)
    print(path)                 # barriers both ways, converged or why not
    path.save("path.tree")      # NudgedElasticBand().relax(level, ReactionPath.load("path.tree")) goes on
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from scipy.optimize import minimize

from thalweg.labeling.level import LabelFailed
from thalweg.sampling.paths.ends import Arrangement, Order, arrangement, matched_ends
from thalweg.sampling.paths.initial_path import bent_where_atoms_meet, pair_potential, straight_path
from thalweg.sampling.paths.optimizers import Descent, QuasiNewton
from thalweg.sampling.paths.reaction_path import ReactionPath
from thalweg.sampling.paths.rigid_motion import Freedom
from thalweg.sampling.paths.surface import Surface, surface_of
from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration
from thalweg.units import Count, KilojoulesPerMolePerNanometer

CLIMBS_BELOW = 10.0
"""The highest image begins to climb when forces are below so many tolerances."""

BAND = 5.0
"""Forces on images that do not climb may be so many times larger: where they lie changes no barrier."""

SLIDE = 0.15
"""An end that moves further than this while it is relaxed has gone elsewhere [nm]."""

PathObserver = Callable[[ReactionPath], None]
"""Sees the path after every move: to keep it, to show it."""


class FirstPath(NamedTuple):
    """What bands and strings begin with.

    Attributes
    ----------
    surface : what is asked for energies and forces
    like : the atoms and their cell
    positions : (images, atoms, dims) [nm]
    tolerance : force to be left at most [kJ/mol/nm]
    descent : how images move
    notes : what was done to the ends
    calls : arrangements asked about so far
    """

    surface: Surface
    like: Configuration
    positions: Shaped[np.ndarray, "images atoms dims"]
    tolerance: float
    descent: Descent
    notes: tuple[str, ...]
    calls: int


NAME = "nudged elastic band"
"""What found a path."""


@dataclass(frozen=True)
class NudgedElasticBand:
    """A path of least energy and its saddle, by images on a band.

    Parameters
    ----------
    images : ends included
    spring : stiffness between images [kJ/mol/nm^2]; where images lie hangs on it, where the path goes does not
    tolerance : largest force on an atom that is left on the climbing image [kJ/mol/nm], five times as much on the
        others; if none climbs, on all. If None, 10 (0.01 eV/Å) for atoms, and for model systems a hundredth of the
        largest force on a straight line between the ends
    climbing : whether the highest image climbs to the saddle
    guess : path to begin with, ``"idpp"`` by interatomic distances or ``"straight"``; model potentials go straight
    ends : ``"relax"`` them to their minima where they are not yet there, or ``"keep"`` them as they are
    order : what to do where atoms seem exchanged between the ends, see `matched_ends`
    fixed : atoms that do not move
    descent : how the images move; if None, `QuasiNewton` by steps of at most 0.02 nm for atoms, and of a fifth of the
        distance of images for model systems
    iterations : moves at most

    Raises
    ------
    ValueError
        If there are fewer than three images, or a number is not positive.

    Notes
    -----
    The path found is the one nearest to the guess, and not the lowest of all; the start may be given through frames
    in between (`relax`). A saddle is one where the curvature along the path alone is negative, which `Dimer` proves.

    Examples
    --------
    >>> from thalweg.testsystems.muller_brown import MullerBrown
    >>> band = NudgedElasticBand(images=9, tolerance=0.5)
    >>> path = band.connect(MullerBrown(), [-0.558, 1.442], [-0.05, 0.467])
    >>> path.converged, path.saddle.round(2).tolist(), round(float(path.energies.max()), 1)
    (True, [[-0.82, 0.62]], -40.7)
    """

    images: Count = 11
    spring: float = 1000.0
    tolerance: KilojoulesPerMolePerNanometer | None = None
    climbing: bool = True
    guess: Literal["idpp", "straight"] = "idpp"
    ends: Literal["relax", "keep"] = "relax"
    order: Order = "check"
    fixed: tuple[int, ...] = ()
    descent: Descent | None = None
    iterations: Count = 500

    def __post_init__(self):
        if self.images < 3:
            raise ValueError(f"images = {self.images} leave none between the ends; give at least 3")
        for name, value in (("spring", self.spring), ("tolerance", self.tolerance)):
            if value is not None and not value > 0:
                raise ValueError(f"{name} = {value:g} must be positive")

    def connect(
        self, energy: Any, start: Arrangement, end: Arrangement, observers: Sequence[PathObserver] = ()
    ) -> ReactionPath:
        """The path from ``start`` to ``end``.

        Parameters
        ----------
        energy : an energy in JAX, a learned potential or a level of theory, see `surface_of`
        start, end : frames, or positions of model systems; of bare positions nothing is assumed, so nothing is turned
        observers : see the path after every move

        Raises
        ------
        ValueError
            If the ends do not fit each other, or relax to the same minimum.
        LabelFailed
            If a level gives no label for an end.
        """
        first = self.prepare(energy, start, end)
        band = replace(self, tolerance=first.tolerance, descent=first.descent)
        return band._relaxed(first.surface, first.like, first.positions, first.notes, first.calls, observers)

    def prepare(self, energy: Any, start: Arrangement, end: Arrangement) -> FirstPath:
        """What the band begins with: the ends at rest and in one frame of reference, and the first guess between.

        Raises
        ------
        ValueError
            If the ends do not fit each other, or relax to the same minimum.
        LabelFailed
            If a level gives no label for an end.
        """
        first = arrangement(start)
        surface = surface_of(energy, first)
        first, last, notes = matched_ends(start, end, self.order, self.fixed)
        band, calls = self._settled(
            surface, first, straight_path(first.positions, last.positions, self.images)
        )
        moved = []
        for name, frame in (("start", first), ("end", last)):
            positions, told, asked = band._at_minimum(surface, frame, name)
            moved.append(replace(frame, positions=positions))
            notes, calls = notes + told, calls + asked
        # relaxing may have turned the ends
        first, last, more = matched_ends(moved[0], moved[1], "given", self.fixed)
        guess = band._guess(first, last)
        return FirstPath(surface, first, guess, band.tolerance, band.descent, notes + more, calls)

    def follow(
        self,
        energy: Any,
        images: ReactionPath | Sequence[Arrangement] | Shaped[np.ndarray, "images atoms dims"],
    ) -> FirstPath:
        """`prepare` from given images, whose ends stay where they are.

        Raises
        ------
        ValueError
            If there are fewer than three, or neighbors are not of the same atoms in the same order.
        """
        frames = images.frames() if isinstance(images, ReactionPath) else list(images)
        if len(frames) < 3:
            raise ValueError(f"{len(frames)} images leave none between the ends; give at least 3")
        like, positions, notes = _followed(frames, self.order, self.fixed)
        surface = surface_of(energy, like)
        band, calls = self._settled(surface, like, positions)
        return FirstPath(surface, like, positions, band.tolerance, band.descent, notes, calls)

    def relax(
        self,
        energy: Any,
        images: ReactionPath | Sequence[Arrangement] | Shaped[np.ndarray, "images atoms dims"],
        observers: Sequence[PathObserver] = (),
    ) -> ReactionPath:
        """The path nearest to given images, whose ends stay where they are; goes on with one that was not done.

        Parameters
        ----------
        energy : as for `connect`
        images : a path, frames from a file, or positions; as many as there are, at least three
        observers : see the path after every move

        Raises
        ------
        ValueError
            If there are fewer than three, or neighbors are not of the same atoms in the same order.
        """
        first = self.follow(energy, images)
        band = replace(self, tolerance=first.tolerance, descent=first.descent)
        return band._relaxed(first.surface, first.like, first.positions, first.notes, first.calls, observers)

    def _settled(
        self, surface: Surface, like: Configuration, line: np.ndarray
    ) -> tuple[NudgedElasticBand, int]:
        """This band with what was left open, and how many arrangements had to be asked about."""
        atoms, calls, tolerance = bool(np.any(like.numbers)), 0, self.tolerance
        if tolerance is None and not atoms:
            tolerance, calls = 0.01 * _largest(surface(line)[1]), len(line)
        spacing = np.linalg.norm(np.diff(line, axis=0), axis=(1, 2)).mean()
        descent = self.descent or QuasiNewton(longest=0.02 if atoms else float(spacing) / 5)
        return replace(self, tolerance=tolerance or 10.0, descent=descent), calls

    def _at_minimum(
        self, surface: Surface, frame: Configuration, name: str
    ) -> tuple[np.ndarray, tuple[str, ...], int]:
        """Where an end is at rest, what to say of it, and how many arrangements were asked about."""
        freedom = Freedom.of(frame, self.fixed)
        energies, forces = surface(frame.positions[None])
        largest = np.linalg.norm(freedom.projected(forces, frame.positions[None]), axis=-1).max()
        if largest <= self.tolerance:
            return frame.positions, (), 1
        if self.ends == "keep":
            note = f"the {name} is no minimum: its largest force is {largest:.3g} kJ/mol/nm; barriers count from there"
            return frame.positions, (note,), 1
        positions, energy, left, calls = _descended(surface, frame, freedom, self.tolerance)
        shift = np.linalg.norm(positions - frame.positions, axis=-1).max()
        note = f"the {name} was relaxed: {energies[0] - energy:.4g} kJ/mol lower, atoms moved by up to {shift:.3g} nm"
        if np.any(frame.numbers) and shift > SLIDE:
            note += ", which is far: look whether it still is what was meant"
        if left > self.tolerance:
            note += f"; its largest force is still {left:.3g} kJ/mol/nm"
        return positions, (note,), calls + 1

    def _guess(self, first: Configuration, last: Configuration) -> np.ndarray:
        """The first path."""
        line = straight_path(first.positions, last.positions, self.images)
        if not np.any(first.numbers) or len(first) == 1:
            return line
        line = bent_where_atoms_meet(line, first, self.fixed)
        if self.guess == "straight":
            return line
        # a band on the pair potential; in its units 1000 and 100 are ASE's 0.1/Å^4 and 0.1/Å^3
        loose = NudgedElasticBand(
            self.images,
            1000.0,
            100.0,
            climbing=False,
            fixed=self.fixed,
            descent=QuasiNewton(),
            iterations=200,
        )
        between = loose._relaxed(pair_potential(line, first), first, line, (), 0, (), ends=np.zeros(2))
        return between.positions

    def _relaxed(
        self,
        surface: Surface,
        like: Configuration,
        x: np.ndarray,
        notes: tuple[str, ...],
        calls: int,
        observers: Sequence[PathObserver],
        ends: np.ndarray | None = None,
    ) -> ReactionPath:
        """The band from images ``x`` on; energies of the ends are asked for unless given."""
        x, freedom = np.array(x, float), Freedom.of(like, self.fixed)
        energies, forces = np.zeros(len(x)), np.zeros(x.shape)
        if ends is None:
            for k in (0, -1):
                (energies[k],), (forces[k],) = surface(x[k][None])
            calls += 2
        state, climbs, residual, iteration, trouble = self.descent.init(), False, np.inf, 0, ""
        good = x, energies, forces
        for iteration in range(self.iterations + 1):
            try:
                energies[1:-1], forces[1:-1] = surface(x[1:-1])
            except LabelFailed as failure:
                trouble = f"stopped after {iteration} moves, where the level failed: {failure}"
                x, energies, forces = good
                break
            calls += len(x) - 2
            force = _band_forces(x, energies, forces, self.spring, freedom, climbs)
            residual = _residual(force, energies, climbs)
            if self.climbing and not climbs and residual < CLIMBS_BELOW * self.tolerance:
                climbs, state = True, self.descent.init()
                force = _band_forces(x, energies, forces, self.spring, freedom, climbs)
                residual = _residual(force, energies, climbs)
            good = x.copy(), energies.copy(), forces.copy()
            path = ReactionPath.of_atoms(
                NAME, like, *good, residual, residual < self.tolerance, iteration, calls, notes
            )
            for observer in observers:
                observer(path)
            if path.converged or iteration == self.iterations:
                break
            move, state = self.descent.step(state, x[1:-1], force)
            x = x.copy()
            x[1:-1] += move
        converged = residual < self.tolerance and not trouble
        why = trouble or (
            "" if converged else _why_not(residual, self.tolerance, self.iterations, self.images)
        )
        path = ReactionPath.of_atoms(
            NAME, like, x, energies, forces, residual, converged, iteration, calls, notes
        )
        return replace(path, notes=(*notes, *([why] if why else []), *_findings(path)))


def _band_forces(
    x: Shaped[np.ndarray, "images atoms dims"],
    energies: Shaped[np.ndarray, " images"],
    forces: Shaped[np.ndarray, "images atoms dims"],
    spring: float,
    freedom: Freedom,
    climbs: bool,
) -> Shaped[np.ndarray, "between atoms dims"]:
    """Forces on the images between the ends [kJ/mol/nm]: nudged, with the highest one climbing if it ``climbs``."""
    middle = x[1:-1]
    # steps to the neighbors, without what only turns or shifts
    after = freedom.projected(x[2:] - middle, middle)
    before = freedom.projected(middle - x[:-2], middle)
    tangents = improved_tangents(after, before, energies)
    true = freedom.projected(forces[1:-1], middle)
    along = (true * tangents).sum((1, 2), keepdims=True)
    uneven = np.linalg.norm(after, axis=(1, 2)) - np.linalg.norm(before, axis=(1, 2))
    nudged = true - along * tangents + spring * uneven[:, None, None] * tangents
    top = int(np.argmax(energies[1:-1]))
    if climbs and energies[1:-1][top] > max(energies[0], energies[-1]):
        nudged[top] = true[top] - 2 * along[top] * tangents[top]
    return freedom.projected(nudged, middle)


def improved_tangents(
    after: Shaped[np.ndarray, "between atoms dims"],
    before: Shaped[np.ndarray, "between atoms dims"],
    energies: Shaped[np.ndarray, " images"],
) -> Shaped[np.ndarray, "between atoms dims"]:
    """Unit tangents of the images between the ends [henkelman2000b].

    Parameters
    ----------
    after, before : steps to the next image and from the one before
    energies : of all images, ends included
    """
    here, higher, lower = energies[1:-1], energies[2:], energies[:-2]
    most = np.maximum(abs(higher - here), abs(lower - here))
    least = np.minimum(abs(higher - here), abs(lower - here))
    up = higher > lower
    uphill, downhill = (higher > here) & (here > lower), (higher < here) & (here < lower)
    forward = np.where(uphill, 1.0, np.where(downhill, 0.0, np.where(up, most, least)))
    backward = np.where(uphill, 0.0, np.where(downhill, 1.0, np.where(up, least, most)))
    flat = forward + backward <= 0
    forward, backward = np.where(flat, 1.0, forward), np.where(flat, 1.0, backward)
    mixed = forward[:, None, None] * after + backward[:, None, None] * before
    return mixed / np.maximum(np.linalg.norm(mixed, axis=(1, 2), keepdims=True), 1e-300)


def _followed(
    frames: Sequence[Arrangement], order: Order, fixed: Sequence[int]
) -> tuple[Configuration, np.ndarray, tuple[str, ...]]:
    """Positions of given images, each in the images and turned as the one before."""
    like, notes = arrangement(frames[0]), []
    chain = [like]
    for number, frame in enumerate(frames[1:], start=1):
        try:
            step = matched_ends(chain[-1], frame, order, fixed)
        except ValueError as error:
            raise ValueError(f"images {number - 1} and {number}: {error}") from None
        chain.append(step.end)
        notes += [f"image {number}: {note}" for note in step.notes]
    return like, np.stack([frame.positions for frame in chain]), tuple(notes)


def _descended(
    surface: Surface, frame: Configuration, freedom: Freedom, tolerance: float
) -> tuple[np.ndarray, float, float, int]:
    """A minimum near a frame by L-BFGS: positions, energy, largest force on an atom, arrangements asked about."""
    start, scale = frame.positions, 0.01
    first = surface(start[None])[0][0]

    def objective(moved: np.ndarray) -> tuple[float, np.ndarray]:
        x = start + scale * moved.reshape(start.shape)
        (energy,), forces = surface(x[None])
        return energy - first, -scale * freedom.projected(forces, x[None]).ravel()

    goal = scale * tolerance / np.sqrt(start.shape[1])
    options = {"gtol": 0.5 * goal, "ftol": 1e-16, "maxiter": 500, "maxfun": 1000, "maxls": 40}
    found = minimize(objective, np.zeros(start.size), jac=True, method="L-BFGS-B", options=options)
    left = np.linalg.norm(found.jac.reshape(start.shape) / scale, axis=-1).max()
    return start + scale * found.x.reshape(start.shape), float(found.fun + first), float(left), found.nfev + 1


def _largest(forces: np.ndarray) -> float:
    """Of the forces on single atoms."""
    return float(np.linalg.norm(forces, axis=-1).max())


def _residual(force: np.ndarray, energies: np.ndarray, climbs: bool) -> float:
    """What is to be below the tolerance: of the climbing image all, of the others a part."""
    largest = np.linalg.norm(force, axis=-1).max(1)
    if climbs:
        top = int(np.argmax(energies[1:-1]))
        largest = np.where(np.arange(len(largest)) == top, largest, largest / BAND)
    return float(largest.max())


def _why_not(residual: float, tolerance: float, iterations: int, images: int) -> str:
    return (
        f"not converged: the largest force is {residual:.3g} kJ/mol/nm after {iterations} moves, asked for is "
        f"{tolerance:g}; go on with `relax` from this path, give more than {images} images where the path bends, or "
        "another descent (FIRE)"
    )


def _findings(path: ReactionPath) -> list[str]:
    """What the profile shows."""
    found = []
    if path.highest in (0, len(path.energies) - 1):
        found.append(
            "no image lies above both ends: there is no barrier on this path, or images are too few to see it"
        )
    if path.minima:
        found.append(
            f"images {', '.join(map(str, path.minima))} are minima between the ends: the reaction has several steps; "
            "connect each pair of minima by itself for all barriers"
        )
    return found
