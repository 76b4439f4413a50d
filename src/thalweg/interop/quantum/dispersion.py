"""London dispersion D3 and D4 by the libraries of their authors, as a term under or beside a learned one.

    U = - sum_(i<j) s6 C6_ij f_6(r_ij) / r_ij^6 + s8 C8_ij f_8(r_ij) / r_ij^8   (and three atoms at a time in D4),

with coefficients that follow the coordination of the atoms [grimme2010], and in D4 their charges [caldeweyher2019].
Needs ``pyscf-dispersion`` (``pip install "thalweg[quantum]"``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.terms.term import Labels
from thalweg.potentials.energy import Energy
from thalweg.potentials.explicit_gradient import ExplicitGradient
from thalweg.shapes import Box, Energies, Positions
from thalweg.systems.configuration import Configuration
from thalweg.units import BOHR, HARTREE

CUTOFFS = {"d3bj": (60.0, 40.0, 40.0), "d3zero": (60.0, 40.0, 40.0), "d4": (60.0, 40.0, 30.0)}
"""Where pairs, triples and neighbors that are counted end in each version, as its authors have it [bohr]."""

FADING = 10.0
"""Over which length before that they fade out, so that forces are the derivatives of the energy in cells too [bohr]."""


@dataclass(frozen=True)
class Dispersion:
    """Dispersion as a term: energies, forces and stresses.

    Parameters
    ----------
    functional : whose damping parameters are taken, such as ``"pbe0"`` or ``"hf"``
    version : ``"d3bj"``, ``"d3zero"`` or ``"d4"``

    Raises
    ------
    ValueError
        If the version is unknown.

    Examples
    --------
    >>> argon = Configuration(np.array([18, 18]), np.array([[0, 0, 0], [0.4, 0, 0]]))
    >>> Dispersion("pbe0").evaluate([argon]).energies.round(2).tolist()
    [-0.88]
    """

    functional: str = "pbe0"
    version: str = "d3bj"

    def __post_init__(self) -> None:
        if self.version not in CUTOFFS:
            raise ValueError(f"version={self.version!r} is unknown; use one of {', '.join(CUTOFFS)}")

    def bind(
        self, numbers: np.ndarray, box: np.ndarray | None = None, periodic: Sequence[bool] | None = None
    ) -> Energy:
        """The energy of neutral atoms ``numbers``, which a compiled loop calls back to."""
        flags = (box is not None,) * 3 if periodic is None else tuple(bool(flag) for flag in periodic)
        return DispersionEnergy(self, tuple(int(z) for z in numbers), flags)

    def evaluate(self, configurations: Sequence[Configuration]) -> Labels:
        """Energies, forces and stresses; D4 takes the charge that a frame says, ``info["charge"]``."""
        energies, forces, stresses = [], [], []
        for frame in configurations:
            charge = float(str(frame.info.get("charge", 0.0)))
            energy, gradient, virial = self.of(
                frame.numbers, frame.positions, frame.box, frame.periodic, charge
            )
            energies.append(energy)
            forces.append(-gradient)
            stresses.append(virial / frame.volume if any(frame.periodic) else np.full((3, 3), np.nan))
        return Labels(np.array(energies), tuple(forces), tuple(stresses))

    def of(
        self,
        numbers: Sequence[int] | np.ndarray,
        positions: np.ndarray,
        box: np.ndarray | None,
        periodic: Sequence[bool],
        charge: float = 0.0,
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy [kJ/mol], gradient [kJ/mol/nm] and stress times volume [kJ/mol] of ``positions`` (atoms, 3) [nm]."""
        library, name = _library(self.version)
        try:
            model = library(_atoms(numbers, positions, box, periodic, charge), self.functional, name)
        except RuntimeError as error:
            raise ValueError(
                f"{self.version.upper()} has no parameters for {self.functional!r}, or the atoms are too close: {error}"
            ) from error
        model.set_realspace_cutoff(*CUTOFFS[self.version], FADING, FADING)
        result = model.get_dispersion(grad=True)
        return (
            float(result["energy"]) * HARTREE,
            np.asarray(result["gradient"]) * HARTREE / BOHR,
            np.asarray(result["virial"]) * HARTREE,
        )


class DispersionEnergy(ExplicitGradient):
    """The dispersion energy of given atoms; replicas are done one after another.

    Attributes
    ----------
    term : version and functional
    numbers : atomic numbers
    periodic : which cell vectors repeat
    """

    term: Dispersion
    numbers: tuple[int, ...]
    periodic: tuple[bool, ...]

    def energy_and_gradient(self, positions: Positions, box: Box | None) -> tuple[Energies, Positions]:
        shapes = (
            jax.ShapeDtypeStruct(positions.shape[2:], positions.dtype),
            jax.ShapeDtypeStruct(positions.shape, positions.dtype),
        )
        if any(self.periodic) and box is None:
            raise ValueError("this energy is of a periodic system; give the box")
        cell = jnp.zeros((3, 3), positions.dtype) if box is None else box
        return jax.pure_callback(self._on_host, shapes, positions, cell, vmap_method="sequential")

    def _on_host(self, positions, box):
        """Energies and gradients of all replicas, in the precision of ``positions``."""
        positions = np.asarray(positions)
        flat = positions.reshape(*positions.shape[:2], -1).astype(float)
        energies, gradients = np.empty(flat.shape[2]), np.empty(flat.shape)
        for r in range(flat.shape[2]):
            energies[r], gradients[..., r], _ = self.term.of(
                self.numbers, flat[..., r], np.asarray(box, float), self.periodic
            )
        return (
            energies.reshape(positions.shape[2:]).astype(positions.dtype),
            gradients.reshape(positions.shape).astype(positions.dtype),
        )


def _library(version: str):
    """The class that evaluates a version, and what it calls it."""
    try:
        if version == "d4":
            from pyscf.dispersion.dftd4 import DFTD4Dispersion

            return DFTD4Dispersion, "d4"
        from pyscf.dispersion.dftd3 import DFTD3Dispersion
    except ImportError as error:
        raise ImportError(
            'dispersion needs pyscf-dispersion; install it with pip install "thalweg[quantum]"'
        ) from error
    return DFTD3Dispersion, version


def _atoms(numbers, positions, box, periodic, charge):
    """What the libraries ask of a molecule or cell."""
    from pyscf.data.elements import ELEMENTS

    if any(periodic) and not all(periodic):
        raise ValueError("dispersion is for frames that repeat in three directions or in none")
    points = np.ascontiguousarray(np.asarray(positions, float) / BOHR)
    lattice = np.ascontiguousarray(np.asarray(box, float) / BOHR) if all(periodic) else np.eye(3)
    return SimpleNamespace(
        natm=len(points),
        charge=round(charge),
        verbose=0,
        stdout=None,
        dimension=3 if all(periodic) else 0,
        atom_coords=lambda: points,
        atom_symbol=lambda k: ELEMENTS[int(numbers[k])],
        lattice_vectors=lambda: lattice,
    )
