"""Papers about networks as recipes: what was learned, on what, with settings that work on one processor.

Each function gives a `Recipe`; epochs and frames per step are what a run costs. Rates fall along a cosine and the
averaged weights of the best epoch are kept. Both take a checkpoint file, from which a run that was killed goes on.
"""

from __future__ import annotations

from pathlib import Path

from thalweg.learned_potentials.networks.element_networks import Network
from thalweg.learned_potentials.networks.gradient_training import GradientTraining
from thalweg.learned_potentials.networks.message_passing import MessagePassing
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learned_potentials.terms.term import Weights
from thalweg.learning.optimizers import Adam
from thalweg.learning.schedules import Cosine
from thalweg.learning.trainer import Trainer
from thalweg.representations.messages.messages import Messages
from thalweg.representations.messages.schnet import SchNet
from thalweg.representations.symmetry_functions import SymmetryFunctions, angular_grid, radial_grid
from thalweg.units import InCode, Nanometers


def behler_parrinello(
    cutoff: Nanometers = 0.5,
    nearest: Nanometers = 0.05,
    widths: tuple[int, ...] = (24, 24),
    epochs: int = 60,
    frames: int = 2,
    weights: InCode[Weights] = Weights(),  # noqa: B008
    checkpoint: InCode[Path | str | None] = None,
) -> Recipe:
    """Networks of each element on symmetry functions from ``nearest`` to ``cutoff`` [nm] [behler2007]."""
    functions = SymmetryFunctions(
        cutoff, radial_grid(cutoff, 10, nearest), (), angular_grid(cutoff, 3, (1, 4))
    )
    training = GradientTraining(_descent(epochs, 1e-2), frames, checkpoint=checkpoint)
    return Recipe(Network(functions, widths, training=training), weights=weights)


def learned_messages(
    messages: Messages = SchNet(),  # noqa: B008
    epochs: int = 300,
    frames: int = 5,
    rate: float = 4e-3,
    weights: InCode[Weights] = Weights(),  # noqa: B008
    checkpoint: InCode[Path | str | None] = None,
) -> Recipe:
    """Messages of any kind and a readout: `SchNet`, `DTNN`, `PaiNN`, `EmbeddedDensity`.

    Settings are for some thousand small molecules. In condensed matter, with hundreds of atoms in a frame, one frame a
    step and a tenth of the epochs do, and `EmbeddedDensity` is the cheapest to train.

    Parameters
    ----------
    rate : highest learning rate
    """
    training = GradientTraining(_descent(epochs, rate), frames, checkpoint=checkpoint)
    return Recipe(MessagePassing(messages, training), weights=weights)


def _descent(epochs: int, rate: float) -> Trainer:
    return Trainer(epochs, Adam(rate), Cosine(warmup=0.01, floor=0.01), average=0.998)
