"""A Markov model of alanine dipeptide in vacuum: slow variables, time scales, sets and rates, all with error bars.

Run it as it is, or cell by cell; it takes about half a minute and leaves `markov_model.html`.
"""

# %% Simulate 32 replicas in one compiled loop, 5 ns in all; 4 fs steps want heavy hydrogens.
import jax
import numpy as np
import plotly.graph_objects as go

from thalweg.collective_variables import TICA
from thalweg.dynamics import Langevin, NativeEngine, thermal_start
from thalweg.geometry import Dihedrals, backbone_dihedrals, evaluate
from thalweg.interop import alanine_dipeptide
from thalweg.kinetics import (
    ImpliedTimescales,
    KMeans,
    MarkovStateModel,
    bootstrap,
    chapman_kolmogorov,
    committor,
    mean_first_passage_time,
    metastable_sets,
)
from thalweg.report import figure, styled, write_figures
from thalweg.time_series import Trajectories
from thalweg.units import thermal_energy

system, kT = alanine_dipeptide("vacuum", hydrogen_mass=3.0), thermal_energy(300)
start = thermal_start(system, kT, jax.random.key(0), replicas=32)
run = NativeEngine(system, Langevin(kT=kT, dt=0.004)).run(start, 40_000, save_every=25)

# %% Slow variables: TICA of sines and cosines of the backbone torsions.
torsions = backbone_dihedrals(system.topology)
variable = Dihedrals(np.concatenate([torsions["phi"], torsions["psi"]]), system.topology)
angles = [evaluate(variable, walk).astype(float) for walk in run.positions]
features = Trajectories([np.hstack([np.sin(a), np.cos(a)]) for a in angles], dt=run.dt_frames)
slow = TICA(lagtime=5, dim=2).fit(features)
print("TICA time scales      ", slow.timescales[:2].round(2), "ps")

# %% Microstates, and the time scales against the lag: where they are flat, a Markov model holds. A process crossed
# too few times to be known is printed as under-sampled, without a number.
reduced = slow.transform(features)
labels = KMeans(n_clusters=60).fit(reduced).transform(reduced)
scan = ImpliedTimescales([1, 2, 5, 10, 20, 40, 80], n_processes=3).fit(labels)
print("time scales by lag time")
print(scan)

model = MarkovStateModel(lagtime=10).fit(labels)
print(model)
phi = np.concatenate(angles)[:, 0]
print(
    f"{(np.sin(phi) > 0).mean():.2%} of the frames have phi > 0: what was never crossed is no process of this model"
)

# %% One time scale stands out, so there are two long-lived sets; does the model foretell what the data show later?
sets = metastable_sets(model, 2)
test = chapman_kolmogorov(model, sets.assignments, multiples=5)
for lag, predicted, observed, error in zip(test.lags, test.predicted, test.observed, test.observed_errors):
    print(
        f"still in set 1 after {lag:.0f} ps: model {predicted[0, 0]:.3f}, data {observed[0, 0]:.3f} ± {error[0, 0]:.3f}"
    )
print(f"largest deviation {np.abs(test.deviations).max():.1f} standard errors")

# %% Populations, passages between the cores of both sets, and the committor of the state between them.
known = np.nan_to_num(sets.memberships)
populations = bootstrap(model, lambda m: m.stationary_distribution @ known)
cores = [np.flatnonzero(membership > 0.95) for membership in known.T]
there, back = (
    bootstrap(model, lambda m, a=a, b=b: mean_first_passage_time(m, a, b)) for a, b in (cores, cores[::-1])
)
between = int(np.abs(known[:, 0] - 0.5).argmin())
chance = bootstrap(model, lambda m: committor(m, *cores)[between])
print(f"population of set 1 {populations.value[0]:.3f} ± {populations.error[0]:.3f}")
for way, time in (("1 to 2", there), ("2 to 1", back)):
    print(f"mean first-passage time {way}: {time.value:.1f} ± {time.error:.1f} ps")
print(f"committor of microstate {between}, between the sets: {chance.value:.2f} ± {chance.error:.2f}")

# %% Figures: time scales against the lag, the test of the model, and where the sets lie.
plane, states = np.degrees(np.concatenate(angles))[::8], sets.assignments[np.concatenate(labels.blocks)][::8]
where = go.Figure()
for k, color in enumerate(("#1b6ca8", "#d95f02")):
    share = f"{100 * populations.value[k]:.0f} ± {100 * populations.error[k]:.0f} %"
    where.add_scattergl(
        x=plane[states == k, 0],
        y=plane[states == k, 1],
        mode="markers",
        marker={"color": color, "size": 3, "opacity": 0.5},
        name=f"set {k + 1}: {share}",
    )
axis = {"range": [-180, 180], "tickvals": [-180, -90, 0, 90, 180]}
where.update_xaxes(title="φ [degrees]", **axis, constrain="domain")
where.update_yaxes(title="ψ [degrees]", **axis, scaleanchor="x", constrain="domain")
write_figures("markov_model.html", [figure(scan), figure(test), styled(where, height=560)])
print("wrote markov_model.html")
