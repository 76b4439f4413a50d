"""What every representation must do, tried on each with a few atoms of two elements, in 64 bits.

A new representation needs one line in `EXAMPLES`; the suite finds it by itself and fails until it is there.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import thalweg.representations
from thalweg.representations.density import DensityRepresentation
from thalweg.representations.derivatives import features_and_pulls
from thalweg.representations.environments import Environments, Neighborhoods, points_of
from thalweg.representations.expansions.soap import SOAP
from thalweg.representations.messages.dtnn import DTNN
from thalweg.representations.messages.schnet import SchNet
from thalweg.representations.representation import Representation
from thalweg.representations.symmetry_functions import SymmetryFunctions
from thalweg.systems.configuration import Configuration

ELEMENTS, CUTOFF = (6, 8), 0.4
ROWS, SITES = 28, 72
"""One shape for all blocks, so that every representation is compiled once."""

BOTH = dict(cutoff=CUTOFF, elements=ELEMENTS)


def drawn(kind, **settings):
    """Learned messages with random weights, from the settings of their kind, which stand beside it."""
    method = getattr(sys.modules[kind.__module__], kind.__name__.removesuffix("Messages"))
    return begun(method(cutoff=CUTOFF, **settings))


def begun(messages):
    return messages.init(ELEMENTS, 8.0, jax.random.key(0))


EXAMPLES = {
    "SymmetryFunctions": lambda kind: kind(
        radial=((60.0, 0.1), (90.0, 0.25)),
        narrow=((10.0, 1, 1.0), (20.0, 2, -1.0)),
        wide=((10.0, 4, -1.0),),
        **BOTH,
    ),
    "SOAP": lambda kind: kind(radial=3, degree=2, smearing=0.08, **BOTH),
    "MomentTensors": lambda kind: kind(level=10, **BOTH),
    "FCHL19": lambda kind: kind(radial=4, angular=3, **BOTH),
    "Scattering": lambda kind: kind(widths=(0.08, 0.15), degree=1, **BOTH),
    "ACE": lambda kind: kind(levels=(6, 5, 4), degrees=(0, 2, 2), **BOTH),
    "DistanceMessages: SchNet": lambda kind: begun(SchNet(CUTOFF, layers=2, width=8, radial=6)),
    "DistanceMessages: DTNN": lambda kind: begun(DTNN(CUTOFF, layers=2, width=8, factors=6, radial=6)),
    "PaiNNMessages": lambda kind: drawn(kind, layers=2, width=8, radial=6),
    "EmbeddedDensityMessages": lambda kind: drawn(
        kind, channels=6, states=4, directions=3, radial=4, width=8
    ),
    "Quadratic": lambda kind: kind(SOAP(radial=2, degree=1, smearing=0.08, **BOTH)),
    "LODE": lambda kind: kind(near=0.3, radial=2, degree=1, smearing=0.08, **BOTH),
    "Bispectrum": lambda kind: kind(twojmax=2, weights=(1.0, 0.6), **BOTH),
}
"""A small example of each representation, given its class; what comes after a colon tells examples of one apart."""


ONE_DERIVATIVE = {"Bispectrum"}
"""Those whose cutoff function is that of another program and leaves with one continuous derivative only."""


def representations():
    """All final representations of the package, by name."""
    for module in pkgutil.walk_packages(thalweg.representations.__path__, "thalweg.representations."):
        importlib.import_module(module.name)
    found, open_ends = {}, [Representation]
    while open_ends:
        subclasses = open_ends.pop().__subclasses__()
        open_ends += subclasses
        found |= {one.__name__: one for one in subclasses if one.__module__.startswith("thalweg.")}
    return {name: one for name, one in found.items() if not inspect.isabstract(one)}


def kind_of(example):
    """The name of the class of an example."""
    return example.partition(":")[0]


FOUND = representations()


def test_every_representation_has_an_example_here():
    assert set(FOUND) <= {kind_of(name) for name in EXAMPLES}, "give each representation a line in EXAMPLES"


def frame(points, numbers, box=None):
    periodic = (box is not None,) * 3
    return Configuration(np.asarray(numbers), np.asarray(points, float), box, periodic)


def molecule(seed=0):
    points = np.random.default_rng(seed).normal(0, 0.02, (5, 3))
    points += 0.13 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0.3, 0.5], [0.3, -0.6, -1.1]])
    return frame(points, [6, 8, 6, 8, 8])


def crystal():
    box = np.array([[0.42, 0, 0], [0.03, 0.44, 0], [-0.02, 0.05, 0.4]])
    fractions = np.array([[0.05, 0.1, 0], [0.52, 0.45, 0.1], [0.48, 0.04, 0.55], [0, 0.5, 0.47]])
    return frame(fractions @ box, [6, 8, 8, 6], box)


def small_cell():
    box = np.array([[0.28, 0, 0], [0.02, 0.3, 0], [0, 0.03, 0.29]])
    return frame(np.array([[0.01, 0, 0.02], [0.15, 0.14, 0.16]]), [6, 8], box)


def repeated(one, counts):
    """Supercell, copies of each atom side by side."""
    shifts = np.stack(np.meshgrid(*map(np.arange, counts), indexing="ij"), -1).reshape(-1, 3) @ one.box
    points = (one.positions[:, None] + shifts).reshape(-1, 3)
    return frame(points, np.repeat(one.numbers, len(shifts)), one.box * np.asarray(counts)[:, None])


@eqx.filter_jit
def evaluated(representation, coefficients, partners, offsets, kinds, points):
    """Features, and a linear readout's site values, gradient in the points and site virials."""
    present = Neighborhoods(partners, offsets, kinds, kinds, 0).environments(points)

    def readout(vectors):
        features = representation(Environments(vectors, present.partners, present.kinds))
        sites = jnp.where(present.kinds >= 0, (coefficients[:, None] * features).sum(0), 0.0)
        return sites.sum(), (features, sites)

    pull, (features, sites) = jax.grad(readout, has_aux=True)(present.vectors)
    gradient = jnp.zeros_like(points).at[:, present.partners].add(pull) - pull.sum(1)
    return features, sites, gradient, jnp.einsum("ans,bns->sab", pull, present.vectors)


class Bench:
    """One representation, compiled, with a random linear readout in which all features weigh alike."""

    def __init__(self, representation):
        self.representation = representation
        with jax.enable_x64(True):
            count = jax.eval_shape(
                lambda points: representation(self.near([molecule()]).environments(points)),
                np.zeros((3, SITES)),
            ).shape[0]
            self.coefficients = np.zeros(count)
            scale = np.abs(np.concatenate(self.columns(molecule(), crystal()), 1)).max(1)
        self.scale = np.where(scale > 0, scale, 1.0)
        self.coefficients = np.random.default_rng(0).normal(size=count) / self.scale

    def near(self, frames, reach=CUTOFF):
        return Neighborhoods.of(frames, ELEMENTS, reach, ROWS, SITES)

    def all(self, *frames, reach=CUTOFF):
        with jax.enable_x64(True):
            near = self.near(frames, reach)
            assert near.partners.shape == (ROWS, SITES)
            points = points_of(frames, SITES)
            arrays = (self.coefficients, near.partners, near.offsets, near.kinds, points)
            return jax.tree.map(np.asarray, evaluated(self.representation, *arrays))

    def columns(self, *frames):
        """Features of the atoms of each frame."""
        ends = np.cumsum([len(one) for one in frames])
        return np.split(self.all(*frames)[0], ends, 1)[:-1]

    def energies(self, *frames, reach=CUTOFF):
        """Sum of the readout over each frame and its gradient, one after the other."""
        _, sites, gradient, _ = self.all(*frames, reach=reach)
        ends = np.cumsum([len(one) for one in frames])
        total = [part.sum() for part in np.split(sites, ends)[:-1]]
        return np.array(total), [part.T for part in np.split(gradient, ends, 1)[:-1]]

    def same(self, columns, expected):
        """To 1e-6 of each feature's size."""
        assert np.isfinite(columns).all()
        assert (np.abs(columns - expected).max(1) < 1e-6 * self.scale).all()


@pytest.fixture(scope="module", params=[name for name in sorted(EXAMPLES) if kind_of(name) in FOUND])
def bench(request):
    return Bench(EXAMPLES[request.param](FOUND[kind_of(request.param)]))


def test_features_stay_when_the_world_is_turned_mirrored_or_moved(bench):
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    for one in (molecule(), crystal()):
        frames = [one]
        for turned in (turn, -turn):
            box = None if one.box is None else one.box @ turned
            frames.append(frame(one.positions @ turned + np.array([0.3, -1.7, 0.9]), one.numbers, box))
        first, second, third = bench.columns(*frames)
        bench.same(second, first)
        bench.same(third, first)


def test_like_atoms_that_change_places_change_columns(bench):
    for one in (molecule(), crystal()):
        order = np.random.default_rng(2).permutation(len(one))
        first, second = bench.columns(one, frame(one.positions[order], one.numbers[order], one.box))
        bench.same(second, first[:, order])


def test_wrapping_atoms_around_the_cell_changes_nothing(bench):
    one = crystal()
    shifts = np.array([[1, 0, 0], [0, -2, 1], [0, 0, 0], [-1, 1, 3]]) @ one.box
    first, second = bench.columns(one, frame(one.positions + shifts, one.numbers, one.box))
    bench.same(second, first)


def test_copies_in_a_supercell_have_the_columns_of_the_original(bench):
    first, second = bench.columns(crystal(), repeated(crystal(), (2, 1, 1)))
    bench.same(second, np.repeat(first, 2, 1))


def test_a_cell_smaller_than_the_cutoff_is_filled_with_images(bench):
    first, second = bench.columns(small_cell(), repeated(small_cell(), (2, 2, 3)))
    bench.same(second, np.repeat(first, 12, 1))


def test_the_gradient_is_that_of_finite_differences(bench):
    rng, step = np.random.default_rng(3), 1e-5
    for one in (molecule(), crystal()):
        way = rng.normal(size=(len(one), 3))
        moved = [frame(one.positions + s * step * way, one.numbers, one.box) for s in (-2, -1, 1, 2)]
        values, gradients = bench.energies(one, *moved)
        slope = (values[1] - 8 * values[2] + 8 * values[3] - values[4]) / (12 * step)
        size = np.linalg.norm(gradients[0]) * np.linalg.norm(way)
        assert abs((gradients[0] * way).sum() - slope) < 1e-6 * size


def test_the_virial_is_the_derivative_in_a_strain(bench):
    strain, step, one = np.random.default_rng(4).normal(size=(3, 3)), 1e-5, crystal()
    frames = [
        frame(
            one.positions @ (np.eye(3) + s * step * strain).T,
            one.numbers,
            one.box @ (np.eye(3) + s * step * strain).T,
        )
        for s in (0, -2, -1, 1, 2)
    ]
    values, _ = bench.energies(*frames)
    virial = bench.all(one)[3][: len(one)].sum(0)
    slope = (values[1] - 8 * values[2] + 8 * values[3] - values[4]) / (12 * step)
    assert abs((virial * strain).sum() - slope) < 1e-6 * np.linalg.norm(virial) * np.linalg.norm(strain)


def test_pairs_pull_at_atoms_as_the_gradient_does(bench):
    frames, one = [molecule(), crystal()], bench.representation
    if not one.sees_neighbors_only:
        with pytest.raises(ValueError, match="passes messages"):
            features_and_pulls(one, bench.near(frames), points_of(frames, SITES))
        return
    if not isinstance(one, DensityRepresentation | SymmetryFunctions):
        pytest.skip("pushed forward by the same lines as symmetry functions")
    with jax.enable_x64(True):
        near = bench.near(frames)
        pulls = features_and_pulls(one, near, points_of(frames, SITES))
    atoms = sum(map(len, frames))
    columns = np.concatenate(bench.columns(*frames), 1)
    bench.same(pulls.features[:atoms].T, columns)
    pushed, gradient = pulls.changes @ bench.coefficients, np.zeros((SITES, 3))
    np.add.at(gradient, near.partners[pulls.slots, pulls.centers], pushed)
    np.add.at(gradient, pulls.centers, -pushed)
    expected = np.concatenate(bench.energies(*frames)[1])
    assert np.abs(gradient[:atoms] - expected).max() < 1e-9 * np.abs(expected).max()


def test_two_derivatives_are_continuous_as_a_neighbor_crosses_the_cutoff(bench):
    """The last atom leaves the first one's sight, both within that of a third."""
    step = 1e-5 * CUTOFF

    def at(distance):
        points = np.array([[0, 0, 0], [0.15, 0.1, 0.02], [0.2, -0.12, 0.1], [distance, 0, 0]])
        return frame(points, [6, 8, 6, 8])

    inner = CUTOFF * np.linspace(0.8, 0.95, 6)
    places = np.concatenate([CUTOFF + step * np.arange(-2, 3), inner, inner + step])
    values, gradients = bench.energies(*map(at, places), reach=1.1 * CUTOFF)
    slopes = np.array([gradient[3, 0] for gradient in gradients])
    bends = np.abs(slopes[11:] - slopes[5:11]) / step
    before, after = (slopes[1] - slopes[0]) / step, (slopes[4] - slopes[3]) / step
    assert abs(values[4] - values[0] - 4 * step * slopes[2]) < 1e-6 * np.abs(values).max()
    assert abs(slopes[4] - slopes[0]) < 1e-3 * np.abs(slopes[5:]).max()
    if type(bench.representation).__name__ not in ONE_DERIVATIVE:
        assert abs(after - before) < 1e-2 * bends.max()


def test_lone_atoms_and_sites_that_only_fill_a_block_are_finite(bench):
    lone = frame(np.zeros((1, 3)), [8])
    features, sites, gradient, virial = bench.all(lone, molecule())
    for values in (features, sites, gradient, virial):
        assert np.isfinite(values).all()
    assert (gradient[:, 0] == 0).all()
    assert (gradient[:, 6:] == 0).all()


def test_an_atom_of_another_element_is_seen_by_its_neighbors(bench):
    one = molecule()
    other = frame(one.positions, [6, 6, 8, 8, 8])
    first, second = bench.columns(one, other)
    for site in (0, 3, 4):
        assert np.abs((first - second)[:, site] / bench.scale).max() > 1e-3


def test_features_have_the_precision_of_the_positions(bench):
    near = bench.near([molecule(), crystal()])
    points = jnp.asarray(points_of([molecule(), crystal()], SITES), jnp.float32)
    assert jax.eval_shape(lambda x: bench.representation(near.environments(x)), points).dtype == jnp.float32
