"""Network that passes messages along bonds [yang2019], many tasks at once, labels missing where nobody measured.

Messages belong to directed bonds, ``v -> w`` with the features of the atom it comes from and of the bond; a bond hears
the bonds that end where it begins but its own reverse:

    h_vw <- relu(h0_vw + W_m sum_{u in N(v), u != w} h_uv),    h0_vw = relu(W_i [x_v, e_vw]).

Atoms sum what arrives, a molecule is the mean of its atoms, scaled descriptors are joined to it, and two more layers
give all tasks. The loss is the mean over the labels that there are. Each of several networks leaves out one fold, on
which its best epoch is chosen; their mean predicts other molecules, each alone the molecules that it left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.binding.ligands.features import LigandFeatures, LigandPrediction, PaddedGraphs, label_table
from thalweg.binding.ligands.kernels import DescriptorScale
from thalweg.learning.models import Method, Model
from thalweg.learning.optimizers import Adam
from thalweg.learning.perceptron import LinearLayer, Perceptron
from thalweg.learning.schedules import Cosine
from thalweg.learning.splits import folds
from thalweg.learning.trainer import Trainer
from thalweg.shapes import Array, Float, Int

ROUNDED = 256
"""Atoms and bonds of a batch are filled up to a multiple of it, which keeps compilation rare."""


class GraphBatch(NamedTuple):
    """Molecules of a batch one after another, atoms and bonds filled up; what fills belongs to one molecule more."""

    atoms: Float[Array, "atoms features"]
    bonds: Float[Array, "bonds kinds"]
    ends: Int[Array, "bonds 2"]
    molecules: Int[Array, " atoms"]
    descriptors: Float[Array, "molecules descriptors"]
    labels: Float[Array, "molecules tasks"]


class BondMessages(eqx.Module):
    """The network."""

    start: LinearLayer
    message: LinearLayer
    gather: LinearLayer
    readout: Perceptron
    steps: int = eqx.field(static=True)

    @staticmethod
    def init(
        atom_features: int,
        bond_features: int,
        descriptors: int,
        tasks: int,
        width: int,
        steps: int,
        key: jax.Array,
    ) -> BondMessages:
        """Random weights."""
        keys = jax.random.split(key, 4)
        return BondMessages(
            LinearLayer.init(atom_features + bond_features, width, keys[0], scale=np.sqrt(2)),
            LinearLayer.init(width, width, keys[1]),
            LinearLayer.init(atom_features + width, width, keys[2]),
            Perceptron.init((width + descriptors, width, tasks), keys[3]),
            steps,
        )

    def __call__(self, batch: GraphBatch) -> Float[Array, "molecules tasks"]:
        """Outputs of all tasks."""
        begin, end = batch.ends[:, 0], batch.ends[:, 1]
        count, molecules = len(batch.atoms), len(batch.descriptors)
        first = jax.nn.relu(self.start(jnp.concatenate([batch.atoms[begin], batch.bonds], 1)))
        hidden = first
        for _ in range(self.steps):
            arriving = jax.ops.segment_sum(hidden, end, count)
            # the reverse of a bond stands next to it
            reverse = hidden.reshape(-1, 2, hidden.shape[1])[:, ::-1].reshape(hidden.shape)
            hidden = jax.nn.relu(first + self.message(arriving[begin] - reverse))
        arriving = jax.ops.segment_sum(hidden, end, count)
        of_atoms = jax.nn.relu(self.gather(jnp.concatenate([batch.atoms, arriving], 1)))
        sums = jax.ops.segment_sum(of_atoms, batch.molecules, molecules + 1)[:-1]
        sizes = jax.ops.segment_sum(jnp.ones(count), batch.molecules, molecules + 1)[:-1]
        return self.readout(jnp.concatenate([sums / jnp.maximum(sizes, 1)[:, None], batch.descriptors], 1))


@dataclass(frozen=True)
class LigandNetwork(Method):
    """Settings of the network.

    Parameters
    ----------
    loss : "squares" of numbers, or "classes" for the entropy of labels 0 and 1
    width : of messages and hidden layers
    steps : how often messages are passed
    networks : how many, each leaving out another fold; at least two
    epochs, batch, learning_rate : of training
    seed : of weights, folds and batches
    """

    loss: Literal["squares", "classes"] = "squares"
    width: int = 96
    steps: int = 3
    networks: int = 4
    epochs: int = 40
    batch: int = 50
    learning_rate: float = 1e-3
    seed: int = 0

    def fit(
        self, ligands: LigandFeatures, labels: Float[np.ndarray, " molecules *tasks"]
    ) -> LigandNetworkModel:
        """The networks of all folds.

        Raises
        ------
        ValueError
            If there are no graphs, or labels do not fit the molecules.
        """
        if ligands.graphs is None:
            raise ValueError("networks read graphs; make features by ligand_features(smiles, graphs=True)")
        labels = label_table(labels, len(ligands))
        scale = DescriptorScale.of(ligands.descriptors)
        means, spreads = np.zeros(labels.shape[1]), np.ones(labels.shape[1])
        if self.loss == "squares":
            means, deviations = np.nanmean(labels, 0), np.nanstd(labels, 0)
            spreads = np.where(deviations > 0, deviations, 1.0)
        data = _Data(
            ligands.graphs, scale(ligands.descriptors).astype(np.float32), (labels - means) / spreads
        )
        trainer = Trainer(self.epochs, Adam(self.learning_rate), Cosine(warmup=0.05), average=0.95)
        found, left_out = [], np.full(labels.shape, np.nan)
        for k, (taught, held_out) in enumerate(folds(len(ligands), self.networks, self.seed)):
            network = BondMessages.init(
                ligands.graphs.atoms.shape[2], ligands.graphs.bonds.shape[2], data.descriptors.shape[1],
                labels.shape[1], self.width, self.steps, jax.random.key(1000 * self.seed + k),
            )  # fmt: skip
            trained = trainer.fit(
                network,
                LOSSES[self.loss],
                data.shuffled(taught, self.batch),
                held_out=list(data.batches(held_out, 4 * self.batch)),
                seed=1000 * self.seed + k,
            )
            found.append(trained.model)
            left_out[held_out] = data.outputs(trained.model, held_out, self.loss)
        left_out = np.where(np.isnan(labels), np.nan, means + spreads * left_out)
        errors = np.sqrt(np.nanmean((labels - left_out) ** 2, 0))
        return LigandNetworkModel(tuple(found), scale, means, spreads, self.loss, left_out, errors)


@dataclass(frozen=True, eq=False, repr=False)
class LigandNetworkModel(Model):
    """Networks fitted to a training set.

    Attributes
    ----------
    networks : one for each fold
    means, spreads : (tasks,) of labels
    left_out : (molecules, tasks) each training molecule by the network that left it out, NaN without a label
    errors : (tasks,) root mean square errors of these
    """

    networks: tuple[BondMessages, ...]
    scale: DescriptorScale
    means: Float[np.ndarray, " tasks"]
    spreads: Float[np.ndarray, " tasks"]
    loss: str
    left_out: Float[np.ndarray, "molecules tasks"]
    errors: Float[np.ndarray, " tasks"]

    @property
    def left_out_deviations(self) -> Float[np.ndarray, "molecules tasks"]:
        """The error that is usual of the task: one network alone does not know more."""
        return np.broadcast_to(self.errors, self.left_out.shape).copy()

    def predict(self, ligands: LigandFeatures) -> LigandPrediction:
        """Means over networks; deviations are the usual error and the networks' disagreement.

        Raises
        ------
        ValueError
            If there are no graphs.
        """
        if ligands.graphs is None:
            raise ValueError("networks read graphs; make features by ligand_features(smiles, graphs=True)")
        descriptors = self.scale(ligands.descriptors).astype(np.float32)
        data = _Data(ligands.graphs, descriptors, np.full((len(ligands), len(self.means)), np.nan))
        found = np.stack([data.outputs(each, np.arange(len(ligands)), self.loss) for each in self.networks])
        found = self.means + self.spreads * found
        return LigandPrediction(found.mean(0), np.sqrt(self.errors**2 + found.var(0)))


@dataclass(frozen=True)
class _Data:
    """Molecules and scaled labels, and batches of them."""

    graphs: PaddedGraphs
    descriptors: Float[np.ndarray, "molecules descriptors"]
    labels: Float[np.ndarray, "molecules tasks"]

    def shuffled(self, indices, size: int) -> Callable[[np.random.Generator], Iterator[GraphBatch]]:
        """Other batches of full size in every epoch."""

        def batches(generator):
            order = generator.permutation(indices)
            whole = order[: max(len(order) // size, 1) * size]
            return self.batches(whole, min(size, len(whole)))

        return batches

    def batches(self, indices, size: int) -> Iterator[GraphBatch]:
        for start in range(0, len(indices), size):
            yield self._batch(indices[start : start + size], size)

    def outputs(self, network, indices, loss: str) -> np.ndarray:
        """What a network says of some molecules."""
        size = min(200, len(indices))
        found = [np.asarray(_outputs(network, batch)) for batch in self.batches(indices, size)]
        values = np.concatenate(found)[: len(indices)].astype(float)
        return 1 / (1 + np.exp(-values)) if loss == "classes" else values

    def _batch(self, chosen, size: int) -> GraphBatch:
        graphs = self.graphs
        atoms, bonds = graphs.atom_counts[chosen], graphs.bond_counts[chosen]
        real = np.arange(graphs.atoms.shape[1]) < atoms[:, None]
        along = np.arange(graphs.bonds.shape[1]) < bonds[:, None]
        starts = np.cumsum(atoms) - atoms
        ends = (graphs.ends[chosen] + starts[:, None, None])[along]
        rows, total = _filled(atoms.sum() + 1), _filled(bonds.sum())
        missing = size - len(chosen)
        return GraphBatch(
            _padded(graphs.atoms[chosen][real], rows),
            _padded(graphs.bonds[chosen][along], total),
            # what fills up leads from and to the last atom, which is none
            _padded(ends, total, rows - 1).astype(np.int32),
            _padded(np.repeat(np.arange(len(chosen)), atoms), rows, size).astype(np.int32),
            np.pad(self.descriptors[chosen], ((0, missing), (0, 0))),
            np.pad(self.labels[chosen], ((0, missing), (0, 0)), constant_values=np.nan).astype(np.float32),
        )


def _squares(network: BondMessages, batch: GraphBatch) -> jax.Array:
    return _mean_of_known((network(batch) - jnp.nan_to_num(batch.labels)) ** 2, batch.labels)


def _entropy(network: BondMessages, batch: GraphBatch) -> jax.Array:
    odds = network(batch)
    return _mean_of_known(jax.nn.softplus(odds) - jnp.nan_to_num(batch.labels) * odds, batch.labels)


LOSSES: dict[str, Callable[[BondMessages, GraphBatch], jax.Array]] = {
    "squares": _squares,
    "classes": _entropy,
}
"""Means over the labels that there are."""


def _mean_of_known(values, labels):
    known = ~jnp.isnan(labels)
    return jnp.where(known, values, 0).sum() / jnp.maximum(known.sum(), 1)


@eqx.filter_jit
def _outputs(network, batch):
    return network(batch)


def _filled(count) -> int:
    return int(-(-max(int(count), 1) // ROUNDED) * ROUNDED)


def _padded(rows, count: int, value=0):
    return np.pad(rows, ((0, count - len(rows)), *[(0, 0)] * (rows.ndim - 1)), constant_values=value)
