"""Properties by a kernel between environments, in closed form: any `Readout`, error bars and left-out errors included.

With ``K`` the covariance of all training labels (`site_products`) and ``s^2`` the variance of their noise,

    a = (K + s^2)^-1 y,      y(B) = cov(B, training) a,      var(B) = cov(B, B) - cov(B, L) (K_LL + s^2)^-1 cov(L, B),

``L`` all training labels, or some where they are many; these give error bars, and their errors when left out a part
of the frames at a time say how far the bars are to be stretched. Width and noise are those with the least such error
on some frames [rasmussen2006]. With more labels than ``largest``, all are fitted by their covariances with those of
``L``, ``(K_LN K_NL + s^2 K_LL) a = K_LN y``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import cho_factor, cho_solve, qr, solve_triangular

from thalweg.learned_potentials.properties.attention import with_attention
from thalweg.learned_potentials.properties.left_out_labels import left_out
from thalweg.learned_potentials.properties.property_errors import PropertyErrors, property_errors
from thalweg.learned_potentials.properties.readouts import AttentionPooled, Readout, total_charge
from thalweg.learned_potentials.properties.site_products import (
    Sites,
    channel_weights_of,
    covariance,
    read_out,
)
from thalweg.learning.models import Method, Model
from thalweg.representations.environments import element_kinds
from thalweg.representations.fchl import FCHL19
from thalweg.representations.principal_features import PrincipalFeatures
from thalweg.representations.representation import Representation
from thalweg.shapes import Float
from thalweg.systems.configuration import Configuration, elements_of

FEWEST = 5
"""Frames with which a fit can be judged by leaving one out."""

AT_ONCE = 500
"""Frames predicted together."""

JITTER = 1e-12
"""Least eigenvalue of a covariance, relative to its largest."""

COMPARED = 50
"""Frames whose deviations are found together."""

FOLDS = 20
"""Frames are left out with those before and after them, in so many parts: frames of one run are alike."""

EXAMPLES = 300
"""Frames whose features say in which combinations sites differ."""


@dataclass(frozen=True)
class PropertyKernel(Method):
    """Learns a property of molecules from labeled frames.

    Parameters
    ----------
    readout : what the property is made of: `Dipole`, `Polarizability`, `PerAtom`, `Summed`, `Pooled`, ...
    representation : what sites are described by; None for FCHL19 with published settings
    widths : candidates for the width of the kernel, in units of the typical distance between sites of an element
    noises : candidates for the variance of the labels' noise, relative to the mean variance of the labels
    constant : variance of what does not depend on surroundings, relative to that of what does
    choosing : at most about this many labels choose among the candidates
    largest : at most about this many labels are solved for in closed form, and give error bars
    lost : combinations of features are kept until this part of how sites differ is left out

    Examples
    --------
    >>> from thalweg.learned_potentials.properties.readouts import Dipole
    >>> draws = np.random.default_rng(0).normal(size=(8, 2, 3))
    >>> pairs = [Configuration(np.array([9, 1]), x, properties={"dipole": 0.4 * (x[1] - x[0])}) for x in draws]
    >>> model = PropertyKernel(Dipole(), FCHL19(radial=4, angular=4)).fit(pairs)
    >>> bool(np.allclose(model.predict(pairs[:1])[0], pairs[0].properties["dipole"], atol=1e-2))
    True
    """

    readout: Readout
    representation: Representation | None = None
    widths: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    noises: tuple[float, ...] = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
    constant: float = 10.0
    choosing: int = 600
    largest: int = 1800
    lost: float = 1e-7

    def fit(self, frames: Sequence[Configuration], seed: int = 0) -> PropertyModel:
        """A `PropertyModel` of those of ``frames`` that have the property.

        ==========  ===============================================================
        ``y``       labels in units of ``scale``, (rows, components) one by one
        ``K``       `covariance` of sites, in units of its mean diagonal
        ``a``       ``coefficients`` of ``known`` labels
        ==========  ===============================================================

        Raises
        ------
        ValueError
            If fewer than five frames have the property, or a label is no finite number or has another shape.
        """
        labeled, notes = _labeled(frames, self.readout)
        representation = (self.representation or FCHL19()).over(elements_of(labeled))
        described = _principal_combinations(representation, labeled, self.lost)
        readout = self.readout.over(representation.elements, labeled)
        generator = np.random.default_rng(seed)
        if isinstance(self.readout, AttentionPooled) and self.readout.scores is None:
            readout = with_attention(readout, labeled, described, generator)
        sites = _sites_of(labeled, readout, described)
        y = readout.rows(labeled)
        scale = float(np.sqrt((y**2).mean())) or 1.0
        y, owners = y / scale, _frames_of_rows(readout, labeled)
        folds = owners * FOLDS // len(labeled) if len(labeled) > FOLDS else owners
        # width and noise by frames left out
        some = _rows_of_some(owners, self.choosing // sites.components, generator)
        width, noise = self._choice(sites.of_rows(some), y[some].ravel(), folds[some])
        if width in (self.widths[0], self.widths[-1]):
            notes += (f"the width {width:g} is at the end of what was tried; others may do better",)
        chosen = _rows_of_some(owners, self.largest // sites.components, generator)
        known = sites.of_rows(chosen)
        matrix = covariance(known, known, width, self.constant)
        unit = float(np.diag(matrix).mean())
        inverse = np.linalg.inv(matrix / unit + noise * np.eye(len(matrix)))
        coefficients = inverse @ y[chosen].ravel() / unit
        left, claimed = left_out(inverse, y[chosen].ravel(), np.repeat(folds[chosen], sites.components))
        stretch = float(np.sqrt((left**2 / claimed**2).mean()))
        if len(chosen) < sites.rows:
            notes += (
                f"of {sites.rows} labels {len(chosen)} are in the kernel and give error bars; all were fitted",
            )
            across = covariance(sites, known, width, self.constant)
            coefficients = _projected(across, matrix, noise * unit, y.ravel())
        return PropertyModel(
            readout=readout,
            described=described,
            known=known,
            coefficients=coefficients * scale,
            width=width,
            noise=noise,
            constant=self.constant,
            unit=unit,
            stretch=stretch * scale,
            left_out_error=float(np.abs(left).mean()) * scale,
            frames=len(labeled),
            notes=notes,
        )

    def _choice(self, sites, y, folds):
        """Width and noise with the least root mean square error of frames left out."""
        best, chosen = np.inf, (self.widths[0], self.noises[0])
        groups = np.repeat(folds, sites.components)
        for width in self.widths:
            matrix = covariance(sites, sites, width, self.constant)
            values, vectors = np.linalg.eigh(matrix / np.diag(matrix).mean())
            for noise in self.noises:
                inverse = (vectors / (np.maximum(values, 0) + noise)) @ vectors.T
                error = float((left_out(inverse, y, groups)[0] ** 2).mean())
                if error < best:
                    best, chosen = error, (width, noise)
        return chosen


@dataclass(frozen=True, eq=False)
class PropertyModel(Model):
    """A property of molecules as a function of their geometry.

    Attributes
    ----------
    readout : what the property is made of
    described : features of sites
    known : sites of the labels in the kernel
    coefficients : of these labels
    width, noise, constant : of the covariance
    unit : mean variance of labels before ``stretch``
    stretch : what claimed deviations are multiplied by
    left_out_error : mean absolute error of components of labels when left out with a part of the frames
    frames : number of frames it was fitted to
    notes : what one should know
    """

    readout: Readout
    described: PrincipalFeatures
    known: Sites
    coefficients: Float[np.ndarray, " labels"]
    width: float
    noise: float
    constant: float
    unit: float
    stretch: float
    left_out_error: float
    frames: int
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name among `Configuration.properties`."""
        return self.readout.name

    @property
    def elements(self) -> tuple[int, ...]:
        """Atomic numbers that it knows."""
        return self.described.representation.elements

    def headline(self) -> Mapping[str, object]:
        return {
            "property": self.name,
            "readout": type(self.readout).__name__,
            "frames": self.frames,
            "left-out error": self.left_out_error,
            "width": self.width,
            "noise": self.noise,
        }

    def __str__(self) -> str:
        told = f"{self.name} by {type(self.readout).__name__} from {self.frames} frames, "
        told += f"mean absolute error when left out {self.left_out_error:.3g}"
        return "\n".join([told, *(f"note: {note}" for note in self.notes)])

    def predict(self, frames: Sequence[Configuration]) -> list[np.ndarray]:
        """The property of each frame, in the shape and units of its labels.

        Raises
        ------
        ValueError
            If an element was in none of the training frames, or the readout is not for such frames.
        """
        found = []
        for some, sites in self._sites(frames):
            rows = read_out(sites, self.known.features, self._weights, self.width, self.constant)
            found += self.readout.labels(rows, some)
        return found

    def deviations(self, frames: Sequence[Configuration]) -> list[np.ndarray]:
        """One standard deviation of each predicted number, stretched to what left-out frames showed."""
        found = []
        for some, sites in self._sites(frames, COMPARED):
            own = np.diag(covariance(sites, sites, self.width, self.constant)) / self.unit
            across = covariance(sites, self.known, self.width, self.constant) / self.unit
            explained = (across * cho_solve(self._factor, across.T).T).sum(1)
            # with the noise, as errors that were left out have it
            variance = np.maximum(own - explained, 0) + self.noise
            rows = np.sqrt(variance).reshape(sites.rows, sites.components) * self.stretch
            found += self.readout.deviations(rows, some)
        return found

    def labeled(self, frames: Sequence[Configuration]) -> list[Configuration]:
        """``frames`` with the predicted property beside those that they have."""
        return [
            replace(frame, properties={**frame.properties, self.name: value})
            for frame, value in zip(frames, self.predict(frames))
        ]

    def errors(self, frames: Sequence[Configuration]) -> PropertyErrors:
        """What is wrong with predictions for held-out ``frames``, and with the deviations claimed.

        Raises
        ------
        ValueError
            If no frame has the property.
        """
        labeled = [frame for frame in frames if self.name in frame.properties]
        if not labeled:
            raise ValueError(_missing(self.name, frames))
        known = [np.asarray(frame.properties[self.name], float) for frame in labeled]
        return property_errors(self.name, known, self.predict(labeled), self.deviations(labeled))

    def _sites(self, frames, together=AT_ONCE) -> Iterator[tuple[Sequence[Configuration], Sites]]:
        for frame in frames:
            self.readout.shape(frame)
        for start in range(0, len(frames), together):
            some = frames[start : start + together]
            yield some, _sites_of(some, self.readout, self.described)

    @cached_property
    def _weights(self):
        return channel_weights_of(self.known, self.coefficients)

    @cached_property
    def _factor(self):
        matrix = covariance(self.known, self.known, self.width, self.constant) / self.unit
        return cho_factor(matrix + self.noise * np.eye(len(matrix)), lower=True)


def _principal_combinations(
    representation: Representation, frames: Sequence[Configuration], lost: float
) -> PrincipalFeatures:
    """Combinations of features in which sites of ``frames`` differ, in units of their typical distance."""
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), EXAMPLES)).astype(int))
    columns = np.concatenate(representation.features([frames[k] for k in chosen]))
    numbers = np.concatenate([frames[k].numbers for k in chosen])
    centers, vectors, spreads = [], [], []
    for number in representation.elements:
        mine = columns[numbers == number]
        center = mine.mean(0) if len(mine) else np.zeros(columns.shape[1])
        sizes, directions = np.linalg.eigh((mine - center).T @ (mine - center) / max(len(mine), 1))
        sizes = np.maximum(sizes[::-1], 0)
        count = int((np.cumsum(sizes) < (1 - lost) * sizes.sum()).sum()) + 1
        centers.append(center)
        vectors.append(directions[:, ::-1][:, :count])
        spreads.append(2 * sizes.sum())
    scale = float(np.sqrt(np.mean(spreads))) or 1.0
    return PrincipalFeatures(representation, tuple(centers), tuple(axes / scale for axes in vectors))


def _sites_of(frames: Sequence[Configuration], readout: Readout, described: PrincipalFeatures) -> Sites:
    """Atoms of ``frames`` as ``readout`` sees them."""
    representation = described.representation
    kinds = element_kinds(np.concatenate([frame.numbers for frame in frames]), representation.elements)
    columns = np.concatenate(representation.features(frames))
    features = tuple(
        (columns[kinds == kind] - center) @ axes
        for kind, (center, axes) in enumerate(zip(described.centers, described.vectors))
    )
    owners = readout.owners(frames)
    return Sites(kinds, features, readout.tensors(frames, kinds, features), owners, int(owners[-1]) + 1)


def _projected(across, matrix, noise, y):
    """Coefficients of known labels that fit all, ``(K_LN K_NL + s^2 K_LL) a = K_LN y``, by orthogonal factors."""
    values, vectors = np.linalg.eigh(matrix)
    root = (vectors * np.sqrt(np.maximum(values, JITTER * values[-1]))).T
    left, right = qr(np.concatenate([across, np.sqrt(noise) * root]), mode="economic", overwrite_a=True)
    return solve_triangular(right, left[: len(y)].T @ y)


def _labeled(frames, readout):
    """Frames that have the property, and what is to be said of the others."""
    name = readout.name
    labeled = [frame for frame in frames if name in frame.properties]
    if not labeled:
        raise ValueError(_missing(name, frames))
    for k, frame in enumerate(frames):
        if name not in frame.properties:
            continue
        value, shape = np.asarray(frame.properties[name], float), readout.shape(frame)
        if value.shape != shape:
            raise ValueError(f"{name} of frame {k} has shape {value.shape}; wanted is {shape}")
        if not np.isfinite(value).all():
            raise ValueError(f"{name} of frame {k} is not all finite numbers; take the frame away")
    if len(labeled) < FEWEST:
        raise ValueError(
            f"{len(labeled)} frames with {name} are too few to learn from; give {FEWEST} at least"
        )
    notes = ()
    if without := len(frames) - len(labeled):
        notes += (f"{without} of {len(frames)} frames have no {name} and were not used",)
    charged = sum(total_charge(frame) != 0 for frame in labeled)
    if charged and name == "dipole":
        notes += (
            f"{charged} frames are charged: their dipoles are about the origin of coordinates, and so are predictions",
        )
    return labeled, notes


def _missing(name, frames):
    there = sorted({each for frame in frames for each in frame.properties})
    return (
        f"none of {len(frames)} frames has the property {name!r}; they have {', '.join(there) or 'none'}; label them "
        "by a level that gives it"
    )


def _frames_of_rows(readout, frames):
    """Frame of each row of the labels."""
    return np.repeat(np.arange(len(frames)), [len(readout.rows([frame])) for frame in frames])


def _rows_of_some(owners, most, generator):
    """Rows of frames drawn at random until there are about ``most``, in order; all if they are fewer."""
    frames, counts = np.unique(owners, return_counts=True)
    order = generator.permutation(len(frames))
    enough = max(FEWEST, int(np.searchsorted(np.cumsum(counts[order]), most, side="right")))
    return np.flatnonzero(np.isin(owners, frames[order[:enough]]))
