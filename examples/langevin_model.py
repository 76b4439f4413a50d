"""A Langevin model from a hundred short runs off a barrier: free energy, friction, memory, and rates by every route.

Run it as it is, or cell by cell; it takes about a minute and leaves `langevin_model.html`.
"""

# %% A hundred runs of 4 ps from the top of a barrier of 4 kT, by the native engine. No run sees equilibrium.
import jax
import jax.numpy as jnp
import numpy as np

from thalweg.dynamics import Langevin, NativeEngine
from thalweg.kinetics import UnderdampedLangevin, rates_table, whiteness
from thalweg.report import figure
from thalweg.systems import thermal_state
from thalweg.testsystems import DoubleWell, LangevinGenerator
from thalweg.time_series import Trajectories

well, friction = DoubleWell(barrier=4.0), 3.0
engine = NativeEngine.for_potential(well, np.ones(1), Langevin(kT=1.0, dt=0.002, friction=friction))
top = thermal_state(jnp.zeros((1, 1, 100)), np.ones(1), 1.0, jax.random.key(0))
run = engine.run(top, 2000, save_every=10)
data = Trajectories([np.concatenate([[[0.0]], x[:, 0]]) for x in run.positions], dt=0.02, names=["x"])
print(data)

# %% The model of largest likelihood, from positions alone. Residuals tell whether it leaves anything unexplained.
model = UnderdampedLangevin(kT=1.0, intervals=(16, 8, 4, 0)).fit(data)
print(model)
print(whiteness(model))
print(model.friction(np.linspace(-1, 1, 5)), f"\n(true: {friction})")

# %% Its slowest relaxation beside the exact one, and rates by every route.
exact = LangevinGenerator(well, friction=friction, functions=(50, 40)).timescales(1)
print(f"relaxation {model.timescales(1)} ps, exact {exact[0]:.1f}")
print(rates_table(model, replicas=100))

# %% The fitted model is a system: the engine runs its free energy as any other.
fitted = NativeEngine.for_potential(
    model.potential, np.ones(1), Langevin(kT=1.0, dt=0.002, friction=friction)
)
again = fitted.run(top, 2000, save_every=2000).positions[:, -1, 0, 0]
print(
    f"after 4 ps {np.mean(again > 0):.2f} of the runs are right, {np.mean(run.positions[:, -1, 0, 0] > 0):.2f} were"
)
figure(model).write_html("langevin_model.html")
print("wrote langevin_model.html")
