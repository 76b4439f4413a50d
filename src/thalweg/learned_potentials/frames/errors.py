"""How far predictions are from labels: mean absolute and root mean square errors of each kind of label.

Forces are judged by Cartesian components, in all and by element, stresses by all nine, energies per frame and per
atom.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thalweg.learned_potentials.frames.reference_energies import fitted_references
from thalweg.learned_potentials.terms.term import Labels, Term
from thalweg.systems.configuration import Configuration, elements_of
from thalweg.systems.elements import SYMBOLS
from thalweg.units import unit

SHOWN = {
    "energy per atom": ("meV", unit("meV", "energy")),
    "energy": ("meV", unit("meV", "energy")),
    "forces": ("meV/Å", unit("meV/Å", "force")),
    "stress": ("GPa", unit("GPa", "stress")),
}
"""Units of tables, by kind of label."""


NOTHING = {
    "energy per atom": "the mean of frames of one composition",
    "forces": "no forces",
    "stress": "no stress",
}
"""What a model has to be better than."""

SMALL = {
    "energy per atom": unit("meV", "energy"),
    "forces": unit("meV/Å", "force") * 10,
    "stress": unit("GPa", "stress") / 10,
}
"""Labels smaller than this (RMS) are noise, and no model need be better."""


@dataclass(frozen=True)
class Error:
    """Size of ``count`` residuals.

    Attributes
    ----------
    mae : mean absolute error
    rmse : root of the mean square error
    worst : largest absolute error
    count : number of values judged
    mae_standard_error : of the mean absolute error, by how it differs between frames; NaN for one frame
    """

    mae: float
    rmse: float
    worst: float
    count: int
    mae_standard_error: float

    @staticmethod
    def of(residuals: Sequence[float] | Sequence[np.ndarray] | np.ndarray) -> Error | None:
        """Error of ``residuals``, one number or one array per frame; None where there are none.

        Values of one frame are alike, so the standard error is that of a ratio of sums over frames.

        Examples
        --------
        >>> found = Error.of([np.array([1.0, 1.0]), np.array([-3.0, 3.0]), np.array([2.0, 2.0])])
        >>> found.mae, round(found.mae_standard_error, 3)
        (2.0, 0.577)
        """
        frames = [np.abs(np.ravel(one)) for one in residuals]
        size = np.concatenate([np.zeros(0), *frames])
        if not len(size):
            return None
        mean, count = float(size.mean()), len(frames)
        # a mean over values is a ratio of sums over frames: deviations of these from mean times number of values
        off = np.array([frame.sum() - mean * len(frame) for frame in frames])
        spread = np.sqrt((off @ off) * count / (count - 1)) / len(size) if count > 1 else np.nan
        return Error(mean, float(np.sqrt((size**2).mean())), float(size.max()), len(size), float(spread))


@dataclass(frozen=True)
class Residuals:
    """Prediction minus label, for each frame that has the label; None for others.

    Attributes
    ----------
    energies : [kJ/mol]
    forces : (atoms, 3) [kJ/mol/nm]
    stresses : (3, 3) [kJ/mol/nm^3]
    """

    energies: tuple[float | None, ...]
    forces: tuple[np.ndarray | None, ...]
    stresses: tuple[np.ndarray | None, ...]


@dataclass(frozen=True)
class Errors:
    """Errors on some frames, in internal units; None for labels that no frame has.

    Attributes
    ----------
    energy, energy_per_atom : [kJ/mol]
    forces : of components [kJ/mol/nm]
    stress : of components [kJ/mol/nm^3]
    forces_by_element : by atomic number [kJ/mol/nm]
    """

    energy: Error | None
    energy_per_atom: Error | None
    forces: Error | None
    stress: Error | None
    forces_by_element: Mapping[int, Error]

    def rows(self) -> list[tuple[str, str, float, float, float, int]]:
        """Label, unit, mean absolute, root mean square and worst error, and count, in meV, meV/Å and GPa."""
        named = {
            "energy per atom": self.energy_per_atom,
            "energy": self.energy,
            "forces": self.forces,
            "stress": self.stress,
        }
        named |= {f"forces on {SYMBOLS[z]}": error for z, error in self.forces_by_element.items()}
        found = []
        for name, error in named.items():
            if error is not None:
                label, one = SHOWN[name.split(" on ")[0]]
                found.append((name, label, error.mae / one, error.rmse / one, error.worst / one, error.count))
        return found

    def table(self) -> str:
        """The errors as text.

        Examples
        --------
        >>> frame = Configuration(np.array([1]), np.zeros((1, 3)), energy=0.0, forces=np.zeros((1, 3)))
        >>> predicted = Labels(np.array([0.1]), (np.full((1, 3), 9.6485332),), (np.full((3, 3), np.nan),))
        >>> print(errors_of([frame], predicted).table())
        label            unit         MAE      RMSE     worst   count
        energy per atom  meV        1.036     1.036     1.036       1
        energy           meV        1.036     1.036     1.036       1
        forces           meV/Å     10.000    10.000    10.000       3
        forces on H      meV/Å     10.000    10.000    10.000       3
        """
        lines = [f"{'label':<16} {'unit':<6}{'MAE':>10}{'RMSE':>10}{'worst':>10}{'count':>8}"]
        lines += [
            f"{name:<16} {label:<6}{mae:10.3f}{rmse:10.3f}{worst:10.3f}{count:8d}"
            for name, label, mae, rmse, worst, count in self.rows()
        ]
        return "\n".join(lines)


def errors(term: Term, configurations: Sequence[Configuration]) -> Errors:
    """Errors of a term or potential on ``configurations``, judged where they are labeled."""
    return errors_of(configurations, term.evaluate(configurations))


def errors_of(configurations: Sequence[Configuration], predicted: Labels) -> Errors:
    """Errors of predictions already made for ``configurations``."""
    off = residuals(configurations, predicted)
    energies = [
        (value, len(frame)) for value, frame in zip(off.energies, configurations) if value is not None
    ]
    energy, sizes = np.array(energies, float).reshape(-1, 2).T
    labeled = [
        (np.asarray(frame.numbers), force)
        for frame, force in zip(configurations, off.forces)
        if force is not None
    ]
    by_element = {
        z: Error.of([force[numbers == z] for numbers, force in labeled if (numbers == z).any()])
        for z in elements_of(configurations)
    }
    return Errors(
        Error.of(energy),
        Error.of(energy / np.maximum(sizes, 1)),
        Error.of([force for _, force in labeled]),
        Error.of([stress for stress in off.stresses if stress is not None]),
        {z: error for z, error in by_element.items() if error is not None},
    )


def worse_than_none(
    configurations: Sequence[Configuration], predicted: Labels
) -> dict[str, tuple[float, float]]:
    """Root mean square errors of the labels that no model would predict better, and what that would leave.

    No model says zero for forces and stresses, and for energies what composition explains of those of these frames.

    Examples
    --------
    >>> frame = Configuration(np.array([1]), np.zeros((1, 3)), forces=np.full((1, 3), 100.0))
    >>> wrong = Labels(np.zeros(1), (np.full((1, 3), -100.0),), (np.full((3, 3), np.nan),))
    >>> worse_than_none([frame], wrong)
    {'forces': (200.0, 100.0)}
    """
    found = errors_of(configurations, predicted)
    labeled = [frame for frame in configurations if frame.energy is not None]
    kinds = len(elements_of(labeled))
    left: dict[str, list[np.ndarray]] = {
        "energy per atom": [],
        "forces": [np.asarray(frame.forces) for frame in configurations if frame.forces is not None],
        "stress": [np.asarray(frame.stress) for frame in configurations if frame.stress is not None],
    }
    if len(labeled) > 3 + 2 * kinds:
        known = fitted_references(labeled)
        left["energy per atom"] = [
            np.array([frame.energy - sum(known[int(z)] for z in frame.numbers)]) / len(frame)
            for frame in labeled
        ]
    errors = {"energy per atom": found.energy_per_atom, "forces": found.forces, "stress": found.stress}
    worse = {}
    for label, error in errors.items():
        none = Error.of(left[label])
        if error is not None and none is not None and error.rmse > none.rmse > SMALL[label]:
            worse[label] = (error.rmse, none.rmse)
    return worse


def residuals(configurations: Sequence[Configuration], predicted: Labels) -> Residuals:
    """Prediction minus label where there is a label.

    Raises
    ------
    ValueError
        If there are not as many predictions as frames.
    """
    together = zip(configurations, predicted.energies, predicted.forces, predicted.stresses, strict=True)
    columns = [
        (
            None if frame.energy is None else float(energy - frame.energy),
            None if frame.forces is None else np.asarray(forces - frame.forces),
            None if frame.stress is None else np.asarray(stress - frame.stress),
        )
        for frame, energy, forces, stress in together
    ]
    return Residuals(*(tuple(column) for column in zip(*columns))) if columns else Residuals((), (), ())
