"""The committor of the Müller-Brown surface by networks, from swarms of short shots, and tried by shooting.

Run it as it is, or cell by cell; it takes about a minute and leaves `committor.html`.
"""

# %% Two wells, and places to shoot from: frames of a run that is three times as hot, and so goes everywhere.
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from thalweg.collective_variables import SymbolicRegression, Training
from thalweg.dynamics import NativeEngine, Overdamped
from thalweg.geometry import Coordinates
from thalweg.kinetics import Ellipsoid, NetworkCommittor, SemigroupLoss, ShotOutcomes, rank_variables
from thalweg.report import figure, write_figures
from thalweg.sampling import Apparatus, shoot
from thalweg.systems import thermal_state
from thalweg.testsystems import Generator, MullerBrown
from thalweg.time_series import Trajectories

potential, random = MullerBrown(scale=20.0), np.random.default_rng(0)
a, b = Ellipsoid((-0.558, 1.442), 0.1), Ellipsoid((0.623, 0.028), 0.1)


def state(places, seed, kT=1.0):
    """A state with one replica at each of ``places`` ``(replicas, 2)``."""
    return thermal_state(jnp.asarray(places.T[None], jnp.float32), np.ones(1), kT, jax.random.key(seed))


hot = NativeEngine.for_potential(potential, np.ones(1), Overdamped(kT=3.0, dt=1e-3))
wells = np.repeat([a.center, b.center], 50, axis=0)
places = hot.run(state(wells, 0, kT=3.0), 1000, save_every=10).positions[:, 20:, 0].reshape(-1, 2)
places = places[(a.distance(places) > 0) & (b.distance(places) > 0)]
places = places[random.permutation(len(places))[:1000]]

# %% Ten shots from each, a twentieth of a unit of time long: few of them reach a set.
engine = NativeEngine.for_potential(potential, np.ones(1), Overdamped(kT=1.0, dt=1e-3))
shots = np.repeat(places, 10, axis=0)
runs = engine.run(state(shots, 1), 50, save_every=1).positions[:, :, 0]
swarms = Trajectories(
    list(np.concatenate([shots[:, None], runs], axis=1).astype(float)), dt=1e-3, names=["x", "y"]
)

# %% The committor is a martingale along them, stopped where a set is entered: that is all the network is told.
training = Training(steps=600, restarts=2)
committor = NetworkCommittor(a, b, SemigroupLoss(lagtime=25), training).fit(swarms)
print(committor)

# %% The exact committor of this surface, where it is not higher than 8 kT.
generator = Generator(potential, domain=((-1.8, 1.3), (-0.6, 2.3)), shape=(120, 120))
discs = (lambda x: a.distance(x.T) <= 0), (lambda x: b.distance(x.T) <= 0)
exact = generator.committor(*discs)
low = generator.reduced_energy < generator.reduced_energy.min() + 8
cells = generator.points.T
off = committor.transform(cells[low])[:, 0] - exact[low]
claimed = committor.error(cells[low])
print(f"root mean square error {np.sqrt((off**2).mean()):.3f}, claimed {np.sqrt((claimed**2).mean()):.3f}")

# %% Is it right? Shots, until they end, from frames that it puts at one half.
half = places[np.abs(committor.transform(places)[:, 0] - 0.5) < 0.1][:20]
apparatus = Apparatus(engine, Coordinates([0], dims=2), half[:1], np.ones(1), kT=1.0)
fan = shoot(apparatus, state(np.repeat(half, 50, axis=0), 2), a, b, longest=20.0, save_every=1e-3)
outcomes = ShotOutcomes(half, fan.outcomes.reshape(len(half), 50))
print(outcomes.distribution())

# %% Would x or y do? Shots from everywhere between the sets tell.
between = places[:100]
fan = shoot(apparatus, state(np.repeat(between, 10, axis=0), 3), a, b, longest=20.0, save_every=1e-3)
everywhere = ShotOutcomes(between, fan.outcomes.reshape(100, 10))
logit = committor.logit.transform(between)
ranking = rank_variables(everywhere, {"committor": logit, "x": between[:, 0], "y": between[:, 1]})
print(ranking)

# %% A formula for it, in x and y.
front = SymbolicRegression(complexity=10).fit(Trajectories([places], names=["x", "y"]), committor.transform)
print(front.best)

# %% One page.
figures = [figure(result) for result in (committor, outcomes, outcomes.distribution(), ranking)]
write_figures(Path("committor.html"), figures)
print("wrote committor.html")
