"""Small campaigns on the Müller-Brown surface, one of them for tests to kill: ``toy_campaign.py STORE``."""

import sys
from pathlib import Path

import numpy as np

from thalweg import registry
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.dynamics.overdamped import Overdamped
from thalweg.geometry.variables import Coordinates
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe, factory
from thalweg.sampling.bias.metadynamics import Metadynamics
from thalweg.sampling.campaign import drive
from thalweg.sampling.policies.markov_restarts import MarkovRestarts
from thalweg.sampling.policies.slow_variable_loop import SlowVariableLoop
from thalweg.sampling.store import Store
from thalweg.testsystems.muller_brown import MullerBrown


@factory
def muller_brown(scale=10.0, dt=2e-4):
    """A particle on the Müller-Brown surface at kT = 1, started in the upper left well."""
    engine = NativeEngine.for_potential(MullerBrown(scale), np.ones(1), Overdamped(kT=1.0, dt=dt))
    return Apparatus(
        engine=engine,
        features=Coordinates([0], dims=2),
        positions=np.array([[-0.558, 1.442]]),
        masses=np.ones(1),
        kT=1.0,
        bounds=(np.array([-1.8, -0.6]), np.array([1.4, 2.4])),
        card={"engine": "native"},
    )


RECIPE = ApparatusRecipe("toy_campaign.muller_brown")

LOOP = SlowVariableLoop(
    RECIPE, seeds=(0, 1), walkers=8, cycles=2, swarm=0.4, drive=1.2, produce=1.2, segment=0.6, save_every=0.004,
    lagtime=0.02, bias=Metadynamics(height=0.5, bias_factor=8.0, stride=0.01), states=30,
)  # fmt: skip

RESTARTS = MarkovRestarts(
    RECIPE, seeds=(0,), walkers=8, swarms=4, length=0.2, save_every=0.004, lagtime=0.004, states=40
)

if __name__ == "__main__":
    registry.name_files([Path(__file__)])
    loop = registry.plugin("toy_campaign").LOOP
    print("begun", flush=True)
    drive(Store(sys.argv[1]), loop)
