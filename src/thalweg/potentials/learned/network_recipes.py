"""Papers about networks as recipes: what was learned, on what, with settings that work on one processor.

Each function gives a `Recipe`; epochs and frames per step are what a run costs, the rest follows the paper. Rates fall
along a cosine and the averaged weights of the best epoch are kept. All take a checkpoint file, from which a run that
was killed goes on.
"""

from __future__ import annotations

from pathlib import Path

from thalweg.learning.optimizers import Adam
from thalweg.learning.schedules import Cosine
from thalweg.learning.trainer import Trainer
from thalweg.potentials.learned.gradient_training import GradientTraining
from thalweg.potentials.learned.message_passing import MessagePassing
from thalweg.potentials.learned.network import Network
from thalweg.potentials.learned.recipe import Recipe
from thalweg.potentials.learned.term import Weights
from thalweg.representations.dtnn import DTNN
from thalweg.representations.embedded_density import EmbeddedDensity
from thalweg.representations.messages import Messages
from thalweg.representations.painn import PaiNN
from thalweg.representations.schnet import SchNet
from thalweg.representations.symmetry_functions import SymmetryFunctions, angular_grid, radial_grid


def behler_parrinello(
    cutoff: float = 0.5,
    nearest: float = 0.05,
    widths: tuple[int, ...] = (24, 24),
    epochs: int = 60,
    frames: int = 2,
    weights: Weights = Weights(),  # noqa: B008
    checkpoint: Path | str | None = None,
) -> Recipe:
    """Networks of each element on symmetry functions from ``nearest`` to ``cutoff`` [nm] [behler2007]."""
    functions = SymmetryFunctions(
        cutoff, radial_grid(cutoff, 10, nearest), (), angular_grid(cutoff, 3, (1, 4))
    )
    training = GradientTraining(_descent(epochs, 1e-2), frames, checkpoint=checkpoint)
    return Recipe(Network(functions, widths, training=training), weights=weights)


def schnet(
    cutoff: float = 0.5,
    layers: int = 3,
    width: int = 64,
    epochs: int = 500,
    frames: int = 5,
    weights: Weights = Weights(),  # noqa: B008
    checkpoint: Path | str | None = None,
) -> Recipe:
    """Continuous-filter convolutions, ``layers`` of ``width`` features, up to ``cutoff`` [nm] each [schutt2018]."""
    return _messages(SchNet(cutoff, layers, width), 1e-3, epochs, frames, weights, checkpoint, "softplus")


def dtnn(
    cutoff: float = 0.5,
    layers: int = 3,
    width: int = 64,
    epochs: int = 500,
    frames: int = 5,
    weights: Weights = Weights(),  # noqa: B008
    checkpoint: Path | str | None = None,
) -> Recipe:
    """A deep tensor neural network, ``layers`` of ``width`` features, up to ``cutoff`` [nm] each [schutt2017]."""
    messages = DTNN(cutoff, layers, width, width)
    return _messages(messages, 1e-3, epochs, frames, weights, checkpoint, "tanh")


def painn(
    cutoff: float = 0.5,
    layers: int = 3,
    width: int = 64,
    epochs: int = 500,
    frames: int = 5,
    weights: Weights = Weights(),  # noqa: B008
    checkpoint: Path | str | None = None,
) -> Recipe:
    """Messages with directions, ``layers`` of ``width`` scalars and vectors up to ``cutoff`` [nm] each [schutt2021]."""
    return _messages(PaiNN(cutoff, layers, width), 1e-3, epochs, frames, weights, checkpoint, "silu")


def embedded_density(
    cutoff: float = 0.45,
    layers: int = 2,
    channels: int = 32,
    epochs: int = 50,
    frames: int = 1,
    weights: Weights = Weights(),  # noqa: B008
    checkpoint: Path | str | None = None,
) -> Recipe:
    """Recursively embedded densities [zhang2021], each up to ``cutoff`` [nm]: cheapest to train in condensed matter.

    Settings are for frames of some hundred atoms; small molecules want more ``frames`` per step and more ``epochs``.
    """
    messages = EmbeddedDensity(cutoff, layers, channels)
    return _messages(messages, 3e-3, epochs, frames, weights, checkpoint, "silu")


def _descent(epochs: int, rate: float) -> Trainer:
    return Trainer(epochs, Adam(rate), Cosine(warmup=0.01, floor=0.01), average=0.998)


def _messages(
    messages: Messages,
    rate: float,
    epochs: int,
    frames: int,
    weights: Weights,
    checkpoint: Path | str | None,
    nonlinearity: str,
) -> Recipe:
    training = GradientTraining(_descent(epochs, rate), frames, checkpoint=checkpoint)
    return Recipe(MessagePassing(messages, training, nonlinearity=nonlinearity), weights=weights)
