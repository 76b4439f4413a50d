"""SNAP files: linear and quadratic models on the bispectrum as LAMMPS reads them [thompson2015, wood2018].

Three files share a stem: ``.snapparam`` says what the representation is, ``.snapcoeff`` holds for each element its
radius, its weight and the coefficients [eV], the energy of the atom alone first, and ``.table`` holds pair potentials
beside the model, such as the repulsion of nuclei.
"""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.learned_potentials.linear.linear_term import LinearTerm, PlainFeatures
from thalweg.learned_potentials.parametric.pair_terms import PairTerm
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.representations.expansions.bispectrum import Bispectrum
from thalweg.representations.expansions.quadratic import Quadratic
from thalweg.systems.elements import SYMBOLS
from thalweg.units import ANGSTROM, ELECTRONVOLT

POINTS = 4000
"""Distances in a table."""

CLOSEST = 0.2
"""Tables begin at this fraction of their cutoff."""


def write_snap(stem: str | Path, potential: LearnedPotential) -> list[str]:
    """Write ``potential`` to ``stem.snapcoeff``, ``stem.snapparam`` and, with pair terms, ``stem.table``.

    Returns
    -------
    list of str
        The commands that make LAMMPS (units metal) use it, atom types in the order of the potential's elements.

    Raises
    ------
    ValueError
        If a term is no linear model on `Bispectrum` (or `Quadratic` of it) and no pair potential, or there is not
        exactly one such model for all of the potential's elements.
    """
    stem, elements = Path(stem), potential.elements
    models = [term for term in potential.terms if isinstance(term, LinearTerm)]
    pairs = [term for term in potential.terms if isinstance(term, PairTerm)]
    if len(models) != 1 or len(models) + len(pairs) != len(potential.terms):
        raise ValueError(
            f"terms {[type(term).__name__ for term in potential.terms]}: SNAP files hold one linear model on the "
            "bispectrum and pair potentials beside it; fit Linear(Bispectrum(...)), of molecules with fall_back=None"
        )
    described = models[0].parts[0].representation
    quadratic = isinstance(described, Quadratic)
    spectrum = described.representation if quadratic else described
    plain = len(models[0].parts) == 1 and isinstance(models[0].parts[0].basis, PlainFeatures)
    if not isinstance(spectrum, Bispectrum) or not plain:
        raise ValueError(
            f"a linear model on {type(spectrum).__name__} has no SNAP form; fit one on Bispectrum"
        )
    if tuple(sorted(spectrum.elements or ())) != elements:
        raise ValueError(f"the model is for elements {spectrum.elements}, the potential for {elements}")
    # the first coefficient of an element is the energy of its atom alone, where offsets of pair terms go as well
    stem.with_suffix(".snapparam").write_text(_parameters(spectrum, quadratic), encoding="utf-8")
    alone = {
        z: energy + sum(float(t.offsets[t.elements.index(z)]) for t in pairs if z in t.elements)
        for z, energy in potential.references.items()
    }
    stem.with_suffix(".snapcoeff").write_text(_coefficients(models[0], spectrum, alone), encoding="utf-8")
    names = " ".join(SYMBOLS[z] for z in elements)
    files = f"{stem.with_suffix('.snapcoeff')} {stem.with_suffix('.snapparam')}"
    if not pairs:
        return ["pair_style snap", f"pair_coeff * * {files} {names}"]
    # tables beside SNAP are styles of a hybrid/overlay, numbered where there are several of a kind
    tables, commands = _tables(pairs, elements)
    stem.with_suffix(".table").write_text(tables, encoding="utf-8")
    styles = " ".join(f"table spline {POINTS}" for _ in pairs)
    numbered = "table {}" if len(pairs) > 1 else "table"
    return [
        f"pair_style hybrid/overlay snap {styles}",
        f"pair_coeff * * snap {files} {names}",
        *(
            f"pair_coeff {i} {j} {numbered.format(k + 1)} {stem.with_suffix('.table')} {name}"
            for k, i, j, name in commands
        ),
    ]


def _parameters(spectrum: Bispectrum, quadratic: bool) -> str:
    """The text of a ``.snapparam`` file."""
    values = {
        "rcutfac": repr(spectrum.cutoff / ANGSTROM),
        "twojmax": spectrum.twojmax,
        "rfac0": repr(spectrum.rfac0),
        "rmin0": repr(spectrum.rmin0 / ANGSTROM),
        "switchflag": int(spectrum.switch),
        "bzeroflag": int(spectrum.bzero),
        "quadraticflag": int(quadratic),
    }
    return "# bispectrum of a potential fitted by Thalweg\n" + "".join(
        f"{k} {v}\n" for k, v in values.items()
    )


def _coefficients(model: LinearTerm, spectrum: Bispectrum, alone: dict[int, float]) -> str:
    """The text of a ``.snapcoeff`` file."""
    known = spectrum.elements or ()
    count = len(known)
    table = np.asarray(model.coefficients, float).reshape(count, -1) / ELECTRONVOLT
    radii, weights = spectrum.radii or (0.5,) * count, spectrum.weights or (1.0,) * count
    lines = ["# coefficients of a potential fitted by Thalweg [eV]", f"{count} {table.shape[1] + 1}"]
    for z, row, radius, weight in zip(known, table, radii, weights):
        lines += [f"{SYMBOLS[z]} {radius!r} {weight!r}", repr(float(alone[z]) / ELECTRONVOLT)]
        lines += [repr(float(value)) for value in row]
    return "\n".join(lines) + "\n"


def _tables(pairs: list[PairTerm], elements: tuple[int, ...]):
    """The text of a ``.table`` file, and (term, type, type, name) of each table in it."""
    texts, places = ["# pair potentials beside a SNAP model fitted by Thalweg\n"], []
    for k, term in enumerate(pairs):
        distances = np.linspace(CLOSEST * term.cutoff, term.cutoff, POINTS)
        known = [z for z in elements if z in term.elements]
        for a, first in enumerate(known):
            for second in known[a:]:
                # pairs of the term are in the order (0, 0), (0, 1), (1, 1), (0, 2), ...
                i, j = sorted((term.elements.index(first), term.elements.index(second)))
                name = f"term{k + 1}_{SYMBOLS[first]}_{SYMBOLS[second]}"
                energies, slopes = _pair_curve(term, j * (j + 1) // 2 + i, distances)
                rows = zip(distances / ANGSTROM, energies / ELECTRONVOLT, -slopes * ANGSTROM / ELECTRONVOLT)
                texts.append(
                    f"\n{name}\nN {POINTS} R {distances[0] / ANGSTROM:.12g} {distances[-1] / ANGSTROM:.12g}\n\n"
                )
                texts += [f"{n + 1} {r:.12g} {e:.12g} {f:.12g}\n" for n, (r, e, f) in enumerate(rows)]
                places.append((k, elements.index(first) + 1, elements.index(second) + 1, name))
    return "".join(texts), places


def _pair_curve(term: PairTerm, pair: int, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Energies [kJ/mol] and slopes [kJ/mol/nm] of one pair of elements."""
    with jax.enable_x64(True):
        kinds = jnp.full(distances.shape, pair)
        ones = jnp.ones_like(distances)
        energies, slopes = jax.jvp(lambda r: term.interaction(r, kinds), (jnp.asarray(distances),), (ones,))
        return np.asarray(energies), np.asarray(slopes)
