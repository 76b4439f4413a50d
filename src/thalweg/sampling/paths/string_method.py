r"""The string method at zero temperature, simplified [e2007]: images go downhill and are spread evenly again.

.. math::  x_i \leftarrow x_i + h\,F_\perp(x_i), \qquad
           x_i \leftarrow x\big(\alpha_i\big),\ \ \alpha_i = \tfrac{i}{n}\,L \text{ along a cubic spline}

At rest the string lies where the force points along it. The force along the string would only slide images, which
spreading undoes: it is left out, which changes no string at rest and allows longer steps. The step h follows the
largest curvature that the images meet. From the highest image a dimer climbs to the saddle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from thalweg.labeling.level import LabelFailed
from thalweg.sampling.paths.dimer import Dimer
from thalweg.sampling.paths.elastic_band import FirstPath, NudgedElasticBand, PathObserver
from thalweg.sampling.paths.ends import Arrangement, Order
from thalweg.sampling.paths.reaction_path import ReactionPath
from thalweg.sampling.paths.reparametrization import spread_evenly, string_tangents
from thalweg.sampling.paths.rigid_motion import Freedom
from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration
from thalweg.units import Count, KilojoulesPerMolePerNanometer

FIRST_CURVATURE = 1e6
"""Assumed before the first move [kJ/mol/nm^2]."""

FORGOTTEN = 0.99
"""What is left, after a move, of the largest curvature met before."""

CAREFUL = 0.5
"""``h`` in inverse largest curvatures: images circle where a string bends in a steep place, and must not spiral out."""

NAME = "string method"
"""What found a path."""


@dataclass(frozen=True)
class StringMethod:
    """A path of least energy by a string of images.

    Parameters
    ----------
    images : ends included
    tolerance : largest force on an atom across the string and at the saddle [kJ/mol/nm]; if None, as for
        `NudgedElasticBand`
    guess, ends, order, fixed : as for `NudgedElasticBand`
    iterations : moves at most
    saddle : whether a dimer climbs from the highest image to the saddle, which then takes its place

    Notes
    -----
    A string asks for many more forces than a band, each as cheap as the energy is: soft molecules of stiff bonds take
    thousands of moves. It has no springs to choose and no kinks.

    Examples
    --------
    >>> from thalweg.testsystems.muller_brown import MullerBrown
    >>> path = StringMethod(images=15).connect(MullerBrown(), [-0.558, 1.442], [-0.05, 0.467])
    >>> path.converged, round(float(path.energies.max()), 1)
    (True, -40.7)
    """

    images: Count = 21
    tolerance: KilojoulesPerMolePerNanometer | None = None
    guess: Literal["idpp", "straight"] = "idpp"
    ends: Literal["relax", "keep"] = "relax"
    order: Order = "check"
    fixed: tuple[int, ...] = ()
    iterations: Count = 5000
    saddle: bool = True

    @property
    def _band(self) -> NudgedElasticBand:
        """The band that prepares the same ends."""
        return NudgedElasticBand(
            self.images,
            tolerance=self.tolerance,
            guess=self.guess,
            ends=self.ends,
            order=self.order,
            fixed=self.fixed,
        )

    def connect(
        self, energy: Any, start: Arrangement, end: Arrangement, observers: Sequence[PathObserver] = ()
    ) -> ReactionPath:
        """The path from ``start`` to ``end``; arguments and refusals are those of `NudgedElasticBand`."""
        return self._relaxed(energy, self._band.prepare(energy, start, end), observers)

    def relax(
        self,
        energy: Any,
        images: ReactionPath | Sequence[Arrangement] | Shaped[np.ndarray, "images atoms dims"],
        observers: Sequence[PathObserver] = (),
    ) -> ReactionPath:
        """The path nearest to given images, whose ends stay where they are; goes on with one that was not done."""
        return self._relaxed(energy, self._band.follow(energy, images), observers)

    def _relaxed(self, energy: Any, first: FirstPath, observers: Sequence[PathObserver]) -> ReactionPath:
        surface, like, freedom = first.surface, first.like, Freedom.of(first.like, self.fixed)
        x, calls, goal = spread_evenly(first.positions), first.calls + 2, first.tolerance
        energies, forces = np.zeros(len(x)), np.zeros(x.shape)
        for k in (0, -1):
            (energies[k],), (forces[k],) = surface(x[k][None])
        stiffest, before, trouble, iteration, residual = FIRST_CURVATURE, None, "", 0, np.inf
        longest = first.descent.longest if hasattr(first.descent, "longest") else 0.02
        good = x, energies, forces
        for iteration in range(self.iterations + 1):
            try:
                energies[1:-1], forces[1:-1] = surface(x[1:-1])
            except LabelFailed as failure:
                trouble = f"stopped after {iteration} moves, where the level failed: {failure}"
                x, energies, forces = good
                break
            calls += len(x) - 2
            force = freedom.projected(forces[1:-1], x[1:-1])
            tangents = freedom.projected(string_tangents(x)[1:-1], x[1:-1])
            tangents /= np.linalg.norm(tangents, axis=(1, 2), keepdims=True)
            across = force - (force * tangents).sum((1, 2), keepdims=True) * tangents
            residual = float(np.linalg.norm(across, axis=-1).max())
            good = x.copy(), energies.copy(), forces.copy()
            for observer in observers:
                observer(
                    ReactionPath.of_atoms(NAME, like, *good, residual, False, iteration, calls, first.notes)
                )
            if residual < goal or iteration == self.iterations:
                break
            stiffest = _stiffest(stiffest, before, x[1:-1], across)
            before = x[1:-1].copy(), across
            move = across * (CAREFUL / stiffest)
            move *= np.minimum(1.0, longest / np.maximum(np.linalg.norm(move, axis=-1).max(1), 1e-300))[
                :, None, None
            ]
            x = x.copy()
            x[1:-1] += move
            x = spread_evenly(x)
        notes = [*first.notes, *([trouble] if trouble else [])]
        at_rest = residual < goal and not trouble
        if not at_rest and not trouble:
            notes.append(
                f"not converged: the largest force across the string is {residual:.3g} kJ/mol/nm after {iteration} "
                f"moves, asked for is {goal:.3g}; go on with `relax` from this path"
            )
        path = ReactionPath.of_atoms(
            NAME, like, x, energies, forces, residual, at_rest, iteration, calls, tuple(notes)
        )
        return self._with_saddle(energy, path, first.tolerance, longest) if self.saddle and at_rest else path

    def _with_saddle(self, energy: Any, path: ReactionPath, tolerance: float, longest: float) -> ReactionPath:
        """The path with the saddle in place of its highest image."""
        top, x = path.highest, path.positions
        if top in (0, len(x) - 1):
            note = "no image lies above both ends: there is no barrier on this path, or images are too few to see it"
            return replace(path, notes=(*path.notes, note))
        frame = Configuration(path.numbers, x[top], path.box, path.periodic)
        dimer = Dimer(tolerance, longest=0.5 * longest, fixed=self.fixed)
        found = dimer.climb(energy, frame, mode=string_tangents(x)[top])
        calls = path.calls + found.calls
        spacing = path.lengths[-1] / (len(x) - 1)
        apart = np.linalg.norm(found.positions - x[top])
        if not found.converged or apart > 1.5 * spacing:
            why = "; ".join(found.notes) or f"it ended {apart:.3g} nm from the highest image"
            note = f"no saddle was found from the highest image: {why}; give more images, or use a band that climbs"
            return replace(path, converged=False, calls=calls, notes=(*path.notes, note))
        positions, energies, forces = x.copy(), path.energies.copy(), path.forces.copy()
        positions[top], energies[top], forces[top] = found.positions, found.energy, found.forces
        residual = max(path.residual, found.residual)
        return replace(
            path, positions=positions, energies=energies, forces=forces, residual=residual, calls=calls
        )


def _stiffest(known: float, before: tuple | None, x: np.ndarray, across: np.ndarray) -> float:
    """The largest curvature that images met between two moves, forgotten slowly."""
    if before is None:
        return known
    turned = np.linalg.norm(across - before[1], axis=(1, 2))
    moved = np.linalg.norm(x - before[0], axis=(1, 2))
    return max(
        FORGOTTEN * known if known < FIRST_CURVATURE else 0.0,
        float((turned / np.maximum(moved, 1e-12)).max()),
    )
