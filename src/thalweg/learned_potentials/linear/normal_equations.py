"""Least squares in one pass: sums of products of rows that merge, are reweighted and solved many times.

For a model that is linear in its coefficients ``c``, a label is a row ``x`` with ``y = x . c + noise``. The sums

    G = X^T X,   m = X^T y,   s = y^T y,   n

of each kind of label (energy, force, stress), kept apart for a few folds of the frames, are all that is ever needed:
any weighting, any regularization and any held-out error follow from them without going back to the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import blas

from thalweg.learned_potentials.linear.design import VOIGT, Rows
from thalweg.learned_potentials.terms.term import Weights
from thalweg.machine.memory import require_memory
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration

LABELS = ("energy", "force", "stress")

LARGE = 1e9
"""Bytes from which on the memory that is needed is told beforehand."""

BUFFER = 3000
"""Rows gathered before they are multiplied."""


class Sums:
    """Sums over rows of one kind; grows by `add`, which keeps the upper triangle of ``G`` only.

    Attributes
    ----------
    gram : (coefficients, coefficients)
    moment : (coefficients,)
    square, count : sum of ``y^2``, number of rows
    """

    def __init__(self, coefficients: int):
        self.gram = np.zeros((coefficients, coefficients), order="F")
        self.moment = np.zeros(coefficients)
        self.square, self.count = 0.0, 0
        self._waiting: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, rows: Float[np.ndarray, "rows coefficients"], labels: Float[np.ndarray, " rows"]) -> None:
        """Add rows and their labels."""
        self._waiting.append((rows, labels))
        if sum(len(labels) for _, labels in self._waiting) >= BUFFER:
            self.flush()

    def flush(self) -> None:
        """Multiply what is waiting."""
        if not self._waiting:
            return
        rows = np.concatenate([rows for rows, _ in self._waiting])
        labels = np.concatenate([labels for _, labels in self._waiting])
        self._waiting.clear()
        self.gram = blas.dsyrk(1.0, rows.T, beta=1.0, c=self.gram, overwrite_c=True)
        self.moment += rows.T @ labels
        self.square += float(labels @ labels)
        self.count += len(labels)

    def residual(self, coefficients: Float[np.ndarray, " coefficients"]) -> float:
        """``|y - X c|^2 = s - 2 m.c + c.G c``, what ``coefficients`` leave of the labels."""
        gram_coefficients = blas.dsymv(1.0, self.gram, coefficients)
        return max(0.0, self.square - 2 * self.moment @ coefficients + coefficients @ gram_coefficients)

    def __add__(self, other: Sums) -> Sums:
        """Sums over the rows of both, none of which wait."""
        total = Sums(len(self.moment))
        total.gram, total.moment = self.gram + other.gram, self.moment + other.moment
        total.square, total.count = self.square + other.square, self.count + other.count
        return total

    def __mul__(self, factor: float) -> Sums:
        """Sums over rows that count so many times as much."""
        total = Sums(len(self.moment))
        total.gram, total.moment = factor * self.gram, factor * self.moment
        total.square, total.count = factor * self.square, self.count
        return total


@dataclass(frozen=True)
class NormalEquations:
    """Sums of all labels, apart by fold and kind.

    Attributes
    ----------
    folds : for each fold of the frames, `Sums` by kind of label; kinds without labels are absent
    imagined : `Sums` of rows divided by their errors that count in any fold, as a prior does, and are no labels
    fold_of : (frames,) the fold of each frame; none where it was not kept
    """

    folds: tuple[Mapping[str, Sums], ...]
    imagined: Sums | None = None
    fold_of: np.ndarray | None = None

    @staticmethod
    def of(
        rows: Iterable[Rows],
        configurations: Sequence[Configuration],
        coefficients: int,
        folds: int,
        seed: int = 0,
        progress: Callable[[str, float], None] | None = None,
        divisors: Sequence[float] | np.ndarray | None = None,
    ) -> NormalEquations:
        """Sum the ``rows`` of ``configurations``, dealt to ``folds`` at random, those that are the same to one.

        Energies and stresses count per square root of the number of atoms; all labels of a frame, and so held-out
        errors, are divided by its entry in ``divisors``, see `Forgiving`.

        Raises
        ------
        MemoryError
            If the sums will not fit; says what they need.
        ValueError
            If no frame has a label.
        """
        present = _labels_of(configurations)
        if not present:
            raise ValueError("no frame has an energy, forces or a stress; there is nothing to fit")
        fold_of = _folds_of_frames(configurations, folds, seed)
        folds = int(fold_of.max()) + 1
        needed = 8 * coefficients**2 * (folds * len(present) + 3)
        size = f"normal equations of {coefficients:,} coefficients"
        require_memory(needed, f"{size}; use fewer features or points, or fewer folds")
        if progress is not None:
            progress(f"{size}, {needed / 1e9:.2g} GB" if needed > LARGE else size, 0.0)
        sums = [{label: Sums(coefficients) for label in present} for _ in range(folds)]
        done = 0
        for block in rows:
            for k, *frame_rows in zip(block.frames, block.energies, block.forces, block.virials):
                weight = 1.0 if divisors is None else 1 / divisors[k]
                _add_frame(sums[fold_of[k]], configurations[k], *frame_rows, weight)
            done += len(block.frames)
            if progress is not None:
                progress("rows", done / len(configurations))
        for fold in sums:
            for of_label in fold.values():
                of_label.flush()
        return NormalEquations(tuple(sums), fold_of=fold_of)

    @property
    def coefficients(self) -> int:
        return len(next(iter(self.folds[0].values())).moment)

    def weighted(
        self, weights: Weights, without: int | None = None
    ) -> tuple[np.ndarray, np.ndarray, float, int]:
        """``G`` (upper triangle), ``m``, ``s``, ``n`` of labels divided by their errors, perhaps ``without`` a fold."""
        gram = np.zeros((self.coefficients,) * 2, order="F")
        moment, square, count = np.zeros(self.coefficients), 0.0, 0
        for k, fold in enumerate(self.folds):
            for label, sums in fold.items() if k != without else ():
                precision = getattr(weights, label) ** -2.0
                gram += precision * sums.gram
                moment += precision * sums.moment
                square += precision * sums.square
                count += sums.count
        if self.imagined is not None:
            gram += self.imagined.gram
            moment += self.imagined.moment
            square += self.imagined.square
        return gram, moment, square, count

    def residuals(
        self, coefficients: Float[np.ndarray, " coefficients"], fold: int | None = None
    ) -> dict[str, tuple[float, int]]:
        """Sum of squared residuals and number of rows by kind of label, of one fold or of all."""
        chosen = self.folds if fold is None else (self.folds[fold],)
        return {
            label: (
                sum(one[label].residual(coefficients) for one in chosen),
                sum(one[label].count for one in chosen),
            )
            for label in self.folds[0]
        }


def _folds_of_frames(configurations: Sequence[Configuration], folds: int, seed: int = 0) -> np.ndarray:
    """A fold of at most ``folds`` for each frame at random, ``(frames,)``; the same one for all that are the same.

    In a bootstrap sample frames repeat: one that is left out and taught as well would tell of nothing but memory.
    """
    places: dict[tuple[bytes, bytes], int] = {}
    different = np.array(
        [
            places.setdefault((np.asarray(one.numbers).tobytes(), _where(one)), len(places))
            for one in configurations
        ]
    )
    order = np.random.default_rng(seed).permutation(len(places))
    return order[different] % max(1, min(folds, len(places)))


def _where(frame):
    """Positions and cell as bytes."""
    cell = b"" if frame.box is None else np.asarray(frame.box, float).tobytes()
    return np.asarray(frame.positions, float).tobytes() + cell


def _labels_of(configurations: Sequence[Configuration]) -> list[str]:
    """Kinds of labels that some frame has, in the order of `LABELS`."""
    values = {
        "energy": [frame.energy for frame in configurations],
        "force": [frame.forces for frame in configurations],
        "stress": [frame.stress for frame in configurations],
    }
    return [label for label in LABELS if any(value is not None for value in values[label])]


def _add_frame(sums, frame, energy, force, virial, weight):
    """Add the rows of ``frame``, times ``weight``, to the ``sums`` of its labels.

    ``energy`` (coefficients,), ``force`` (3 atoms, coefficients), ``virial`` (6, coefficients).
    """
    # an energy, or stress times volume, grows with the number of atoms, its error with the root of that number
    share = weight / np.sqrt(len(frame))
    if frame.energy is not None:
        sums["energy"].add(share * energy[None], np.array([share * frame.energy]))
    if frame.forces is not None:
        sums["force"].add(weight * force, weight * np.asarray(frame.forces, float).ravel())
    if frame.stress is not None:
        labels = np.array([frame.stress[a][b] for a, b in VOIGT]) * frame.volume
        sums["stress"].add(share * virial, share * labels)
