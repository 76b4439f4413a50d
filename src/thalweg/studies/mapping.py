"""A map of a user's own trajectories: one page on which every point turns into its structure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.collective_variables.interpretation.dictionary import Dictionary
from thalweg.collective_variables.manifold.landmarks import FarthestPoints, landmarks_of
from thalweg.geometry.bond_graph import heavy_atom_pairs
from thalweg.geometry.residues import solute_atoms
from thalweg.geometry.torsions import named_torsions
from thalweg.geometry.variables import Dihedrals, Distances, RadiusOfGyration
from thalweg.interop.files.trajectories import positions_at
from thalweg.interop.measured.feature_sets import FEATURE_SETS
from thalweg.interop.measured.frame_features import values_of_frames
from thalweg.machine.links import check_links
from thalweg.machine.reading import reading
from thalweg.machine.versions import versions
from thalweg.registry import resolve
from thalweg.report.accounting import citations
from thalweg.report.of_landscapes.files import write_map_report
from thalweg.report.of_landscapes.results import MapResults, RankedVariable, ShownFrames
from thalweg.report.of_runs.drawn_structures import drawn_atoms, molecule, turned_onto
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant
from thalweg.studies.analyses import Analyses
from thalweg.studies.analyzing import Told, measured, opened_trajectories
from thalweg.studies.tables.language import StudyError
from thalweg.systems.elements import MASSES, SYMBOLS
from thalweg.systems.topology import Topology
from thalweg.time_series.trajectories import Trajectories

MAPS = {
    "diffusion-map": ("DiffusionMap", ("coifman2006", "berry2016")),
    "isomap": ("Isomap", ("tenenbaum2000",)),
    "locally-linear": ("LocallyLinearEmbedding", ("roweis2000",)),
    "tangent-spaces": ("LTSA", ("zhang2004",)),
    "hessian": ("HessianEigenmaps", ("donoho2003",)),
    "laplacian": ("LaplacianEigenmaps", ("belkin2003",)),
    "sketch-map": ("SketchMap", ("ceriotti2011",)),
    "unfolding": ("MaximumVarianceUnfolding", ("weinberger2006",)),
    "kernel-pca": ("KernelPCA", ("schoelkopf1998",)),
    "scaling": ("MetricMDS", ("deleeuw1988",)),
    "pca": ("PCA", ("pearson1901",)),
    "ica": ("ICA", ("hyvarinen1999",)),
}
"""What ``--method`` may be: the class on the face of `thalweg.collective_variables`, and what to cite for it."""

MOST_POINTS = 4000
"""Frames drawn in the figure."""

MOST_STRUCTURES, STRUCTURE_NUMBERS = 400, 400_000
"""Frames whose structures are in the page, and numbers that these may be."""

TORSIONS_SHOWN = 12
"""Torsions by which a map can be colored."""

MOST_DISTANCES = 600
"""Distances of heavy atoms in the dictionary."""

DEGREES = 180 / np.pi


@dataclass(frozen=True)
class Mapping:
    """What to map.

    Attributes
    ----------
    files, topology : trajectories and their atoms
    method : one of `MAPS`
    features : name of the feature set in which frames are compared
    dim : coordinates
    neighbors : of every frame, for methods that have them; the method's own number if None
    landmarks : frames that the map is solved at; the method's own number if None
    weights : file with a weight for every frame, of all files one after the other; all alike if None
    seed : of what is drawn
    """

    files: tuple[Path, ...]
    topology: Path
    method: str = "diffusion-map"
    features: str = "torsions"
    dim: int = 2
    neighbors: int | None = None
    landmarks: int | None = None
    weights: Path | None = None
    seed: int = 0

    def __post_init__(self):
        if self.method not in MAPS:
            raise StudyError(f'--method "{self.method}" is unknown; use one of {", ".join(MAPS)}')
        if self.features not in FEATURE_SETS:
            raise StudyError(f'--features "{self.features}" is unknown; use one of {", ".join(FEATURE_SETS)}')
        if self.dim < 1:
            raise StudyError(f"--dim {self.dim}; give at least 1")

    def estimator(self) -> Any:
        """The method with its settings."""
        kind = resolve(f"collective_variables.{MAPS[self.method][0]}")
        known, given = signature(kind).parameters, {"dim": self.dim}
        for name in ("neighbors", "landmarks"):
            value = getattr(self, name)
            if value is None:
                continue
            if name not in known:
                raise StudyError(f"--{name} {value}: {self.method} has no {name}; leave it out")
            given[name] = value
        return kind(**given)


def map_of_files(asked: Mapping, folder: Path, progress: Callable[[str], Told]) -> MapResults:
    """Map a user's own trajectories; the report goes into ``folder``.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file or a setting is wrong; the message says which.
    """
    check_links(folder)
    atoms, files = opened_trajectories(asked.files, asked.topology)
    data = measured(asked.features, files, atoms, 1.0, folder, progress)
    if asked.weights is not None:
        data = replace(data, weights=_weights(asked.weights, data.lengths))
    analyses, told = Analyses(), progress(f"mapping by {asked.method}")
    model = asked.estimator().fit(data)
    told(f"{len(data)} files", 1.0)
    places = _spread(data, MOST_POINTS, asked.seed)
    frames = np.stack([_frame(data, place) for place in places])
    coordinates = np.asarray(model.transform(frames), float)
    names = tuple(getattr(model, "names", None) or ())
    if len(names) != coordinates.shape[1]:
        names = tuple(f"coordinate {k + 1}" for k in range(coordinates.shape[1]))
    positions, boxes = positions_at(files, places)
    properties, periods = _properties(atoms, positions, boxes)
    shares = {
        label: [_explained(column, values, periods.get(label)) for column in coordinates.T]
        for label, values in properties.items()
    }
    # what the map follows most comes first: it colors the points
    properties = {
        label: properties[label] for label in sorted(properties, key=lambda label: -max(shares[label]))
    }
    drawn = drawn_atoms(atoms)
    ranking = analyses("the dictionary", lambda: _ranked(atoms, positions, boxes, coordinates, names), ())
    count = min(MOST_STRUCTURES, max(20, STRUCTURE_NUMBERS // (3 * len(drawn))), len(places))
    chosen = _far_apart(coordinates, count)
    structures = positions[chosen][:, drawn]
    results = MapResults(
        title=f"{asked.topology.stem}: a map by {asked.method}",
        subtitle=f"{len(atoms)} atoms, {data.n_frames} frames of {len(files)} files",
        names=names,
        points=ShownFrames(coordinates, properties, periods),
        structures=ShownFrames(
            coordinates[chosen], {name: values[chosen] for name, values in properties.items()}, periods
        ),
        positions=turned_onto(structures[0], structures),
        molecule=molecule(atoms, drawn),
        spectrum=_spectrum(model),
        scores=_scores(model),
        ranking=ranking,
        mapped=(
            f"{data.n_frames} frames by {data.n_features} features ({asked.features}), {asked.method} with "
            f"{asked.dim} coordinates.",
        ),
        found=_found(names, shares),
        certainty=_certainty(model),
        diagnoses=tuple(Diagnosis("warning", sentence(note)) for note in getattr(model, "notes", ()))
        + tuple(Diagnosis("warning", f"{file.told}.") for file in files if file.told)
        + analyses.diagnoses(),
        provenance={
            "settings": {
                "method": repr(asked.estimator()),
                "features": asked.features,
                "weights": str(asked.weights or "all alike"),
            },
            "files": {path.name: str(path.resolve()) for path in asked.files},
            "versions": versions(),
        },
        citations=citations(MAPS[asked.method][1]),
    )
    write_map_report(results, folder)
    return results


def _weights(path: Path, lengths: np.ndarray) -> list[np.ndarray]:
    """Weights of the frames of each file, from a text file or a NumPy array."""
    with reading(path, "one weight for every frame", "write them as a column of text or by numpy.save"):
        values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path)
    if values.shape != (int(lengths.sum()),):
        raise StudyError(f"{path} has weights of shape {values.shape} for {int(lengths.sum())} frames")
    return np.split(values, np.cumsum(lengths)[:-1])


def _spread(data: Trajectories, count: int, seed: int) -> list[tuple[int, int]]:
    """Trajectory and frame of frames drawn by their weights, in order; evenly where there are none."""
    places = [(k, t) for k, length in enumerate(data.lengths) for t in range(length)]
    if len(places) <= count:
        return places
    if data.weights is None:
        return [places[i] for i in np.linspace(0, len(places) - 1, count).round().astype(int)]
    shares = np.concatenate(data.weights)
    drawn = np.random.default_rng(seed).choice(len(places), count, p=shares / shares.sum())
    return [places[i] for i in np.unique(drawn)]


def _frame(data: Trajectories, place: tuple[int, int]) -> np.ndarray:
    trajectory, frame = place
    return np.asarray(data.blocks[trajectory][frame], float)


def _properties(
    atoms: Topology, positions: np.ndarray, boxes: np.ndarray | None
) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """Physical variables by name with unit ``(frames,)``, and the periods of those that have one."""
    properties, periods = {}, {}
    torsions = dict(list(named_torsions(atoms).items())[:TORSIONS_SHOWN])
    if torsions:
        angles = values_of_frames(Dihedrals(np.stack(list(torsions.values())), atoms), positions, boxes)
        for name, column in zip(torsions, angles.T, strict=True):
            properties[f"{name} [deg]"] = column * DEGREES
            periods[f"{name} [deg]"] = 360.0
    solute = solute_atoms(atoms)
    if len(solute) > 3:
        masses = MASSES[[SYMBOLS.index(atoms.elements[k]) for k in solute]]
        size = values_of_frames(RadiusOfGyration(masses, solute), positions, boxes)
        properties["radius of gyration [nm]"] = size[:, 0]
    return properties, periods


def _ranked(
    atoms: Topology,
    positions: np.ndarray,
    boxes: np.ndarray | None,
    coordinates: np.ndarray,
    names: Sequence[str],
) -> tuple[RankedVariable, ...]:
    """Torsions and distances, of hundreds, that explain the map together."""
    torsions = Dihedrals(np.stack(list(named_torsions(atoms).values())), atoms)
    pairs = heavy_atom_pairs(atoms, 2)
    pairs = pairs[:: -(-len(pairs) // MOST_DISTANCES)]
    parts = [torsions, Distances(pairs, atoms)]
    values = np.concatenate([values_of_frames(part, positions, boxes) for part in parts], axis=1)
    periods = [2 * np.pi] * len(torsions.names) + [None] * len(pairs)
    labels = tuple(name for part in parts for name in part.names)
    found = Dictionary().fit(Trajectories([values], names=labels), coordinates, periods)
    return tuple(
        RankedVariable(
            each.name,
            "all" if len(names) > 1 else names[0],
            {
                "explains more [%]": 100 * each.gain,
                "± [%]": 100 * each.error,
                "alone [%]": 100 * found.explained[each.column],
                "correlation": float(found.correlations[each.column].max()),
                "information [nat]": float(found.informations[each.column].max()),
            },
        )
        for each in found.chosen
    )


def _far_apart(coordinates: np.ndarray, count: int) -> np.ndarray:
    """Frames spread over the map."""
    spread = coordinates / np.maximum(coordinates.std(axis=0), 1e-12)
    chosen = landmarks_of(Trajectories([spread]), FarthestPoints(count))
    return np.sort(np.unique([np.argmin(((spread - point) ** 2).sum(axis=1)) for point in chosen.points]))


def _spectrum(model: Any) -> tuple[str, np.ndarray]:
    """Name and values of what says how many coordinates there are."""
    for attribute, name in (
        ("eigenvalues", "eigenvalue"),
        ("spectrum", "spectrum"),
        ("variances", "variance"),
    ):
        values = getattr(model, attribute, None)
        if values is not None:
            return name, np.atleast_1d(np.asarray(values, float))
    return "", np.zeros(0)


def _scores(model: Any) -> tuple[tuple[str, str], ...]:
    scores = getattr(model, "scores", None)
    if scores is None:
        return ()
    return tuple(
        (name, ", ".join(significant(float(each)) for each in np.atleast_1d(value)))
        for name, value in scores.headline().items()
    )


def _certainty(model: Any) -> tuple[str, ...]:
    scores = getattr(model, "scores", None)
    if scores is None:
        return ("This map was not scored on frames left out.",)
    return (sentence(str(scores)),)


def _found(names: Sequence[str], shares: dict[str, list[float]]) -> tuple[str, ...]:
    """Which physical variable each coordinate follows most, from the share of its variance that each tells."""
    if not shares:
        return ()
    sentences = []
    for k, name in enumerate(names):
        best = max(shares, key=lambda label, k=k: shares[label][k])
        told = f"it tells {100 * shares[best][k]:.0f} % of its variance."
        sentences.append(f"{name} follows {best.rsplit(' [', 1)[0]} most: {told}")
    return tuple(sentences)


def _explained(column: np.ndarray, values: np.ndarray, period: float | None, bins: int = 24) -> float:
    """Share of the variance of a coordinate that its means in bins of a variable tell, corrected for chance."""
    low, high = (-period / 2, period / 2) if period else (values.min(), values.max() + 1e-12)
    place = np.clip(((values - low) / (high - low) * bins).astype(int), 0, bins - 1)
    count = np.bincount(place, minlength=bins)
    means = np.bincount(place, column, minlength=bins) / np.maximum(count, 1)
    left = ((column - means[place]) ** 2).sum() / max(len(column) - (count > 0).sum(), 1)
    return float(max(0.0, 1 - left / max(column.var(ddof=1), 1e-300)))
