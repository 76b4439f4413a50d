"""Replica exchange of a particle in an asymmetric double well, for tests to kill: ``toy_wells.py STORE``."""

import sys
from pathlib import Path

import numpy as np

from thalweg import registry
from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.variables import Coordinates
from thalweg.sampling.apparatus import Apparatus, ApparatusRecipe, factory
from thalweg.sampling.campaign import drive
from thalweg.sampling.policies.replica_exchange import ReplicaExchange
from thalweg.sampling.store import Store
from thalweg.testsystems.wells import DoubleWell


@factory
def double_well():
    """A particle of mass one at kT = 1 in the left well."""
    engine = NativeEngine.for_potential(DoubleWell(6.0, 1.0), np.ones(1), Langevin(kT=1.0, dt=0.05))
    return Apparatus(
        engine=engine,
        features=Coordinates([0], dims=1),
        positions=np.array([[-1.0]]),
        masses=np.ones(1),
        kT=1.0,
        card={"engine": "native"},
    )


EXCHANGE = ReplicaExchange(
    ApparatusRecipe("toy_wells.double_well"), seeds=(0, 1), walkers=12, hottest=480.0, pilot=50.0, length=1500.0,
    segment=500.0, exchange_every=1.0, save_every=1.0, skip=100.0, swarm=50.0, lagtime=5.0,
)  # fmt: skip

if __name__ == "__main__":
    registry.name_files([Path(__file__)])
    exchange = registry.plugin("toy_wells").EXCHANGE
    print("begun", flush=True)
    drive(Store(sys.argv[1]), exchange)
