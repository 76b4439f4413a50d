"""Energies and forces of many arrangements of the same atoms at once, from whatever knows an energy.

Bands, strings and dimers ask for forces of all their images and for nothing else. What they may ask: an energy of
positions in JAX (a model potential, a force field, ``potential.bind(...)``), in 64 bits and all images together; a
learned potential or another term, likewise; a level of theory, image after image.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.labeling.known_potential import KnownPotential
from thalweg.labeling.level import LabelFailed, Level
from thalweg.learned_potentials.terms.term import Term
from thalweg.potentials.energy import energy_and_forces
from thalweg.shapes import Shaped
from thalweg.systems.configuration import Configuration

Surface = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Energies ``(images,)`` [kJ/mol] and forces ``(images, atoms, dims)`` [kJ/mol/nm] of positions [nm]."""


def surface_of(energy: Any, like: Configuration) -> Surface:
    """What is asked for energies and forces of arrangements of the atoms of ``like``, in its cell.

    Parameters
    ----------
    energy : a function of positions ``(atoms, dims, *replicas)`` and box, a `Term`, or a `Level`
    like : the atoms; elements may be zero where only positions matter

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If it does not know the elements.

    Examples
    --------
    >>> from thalweg.testsystems.wells import DoubleWell
    >>> surface = surface_of(DoubleWell(barrier=5.0), Configuration(np.zeros(1, int), np.zeros((1, 1))))
    >>> energies, forces = surface(np.array([[[0.0]], [[0.5]]]))
    >>> energies.tolist(), forces.ravel().tolist()
    ([5.0, 2.8125], [0.0, 7.5])
    """
    if isinstance(energy, Level) and not isinstance(energy, KnownPotential):
        energy.check(like)
        return _of_level(energy, like)
    term = energy.term if isinstance(energy, KnownPotential) else energy
    if isinstance(term, Term):
        return _of_term(term, like)
    if not callable(energy):
        raise TypeError(
            f"a {type(energy).__name__} gives no energy of positions here; give an energy in JAX, a learned potential, "
            "or a level of theory (a calculator of ASE becomes one by `CalculatorLevel`)"
        )
    return _of_function(energy, like)


def _of_function(energy: Callable, like: Configuration) -> Surface:
    box = None if like.box is None or not any(like.periodic) else np.asarray(like.box, float)
    evaluate = eqx.filter_jit(energy_and_forces)

    def surface(images: Shaped[np.ndarray, "images atoms dims"]) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64(True):
            positions = jnp.asarray(np.moveaxis(np.asarray(images, float), 0, -1))
            here = energy.refreshed(positions, box) if hasattr(energy, "refreshed") else energy
            energies, forces = evaluate(here, positions, box)
            return np.array(energies, float), np.moveaxis(np.array(forces, float), -1, 0)

    return surface


def _of_term(term: Term, like: Configuration) -> Surface:
    def surface(images: Shaped[np.ndarray, "images atoms dims"]) -> tuple[np.ndarray, np.ndarray]:
        labels = term.evaluate([replace(like.unlabeled, positions=positions) for positions in images])
        return np.array(labels.energies, float), np.stack(labels.forces).astype(float)

    return surface


def _of_level(level: Level, like: Configuration) -> Surface:
    def surface(images: Shaped[np.ndarray, "images atoms dims"]) -> tuple[np.ndarray, np.ndarray]:
        labeled = [level.label(replace(like.unlabeled, positions=positions)) for positions in images]
        if any(frame.forces is None for frame in labeled):
            raise LabelFailed(f"{level.name} gives no forces, which paths are made of")
        return np.array([frame.energy for frame in labeled]), np.stack([frame.forces for frame in labeled])

    return surface
