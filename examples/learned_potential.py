"""A learned potential from labels to dynamics: linear regression on the atomic cluster expansion, for silicon.

The labels are those of a known potential, so that everything can be checked: errors, error bars, forces along a run.
Run it as it is, or cell by cell; it takes about a minute and leaves `learned_potential.html`.
"""

# %% Labels. In real life: `thalweg.interop.files.configurations.read_configurations("frames.xyz")`.
from dataclasses import replace
from pathlib import Path

import numpy as np
from plotly.subplots import make_subplots

from thalweg.dynamics import Stability, stability
from thalweg.learned_potentials import (
    LearnedPotential,
    Linear,
    Recipe,
    errors,
    force_deviations,
    force_errors,
    learning_curve,
    stillinger_weber_silicon,
)
from thalweg.learning import coverage
from thalweg.representations import ACE
from thalweg.systems import Configuration
from thalweg.units import unit

random = np.random.default_rng(0)
truth = LearnedPotential({14: 0.0}, (stillinger_weber_silicon(),))
sites = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4


def crystal(length, displacement):
    """Diamond of lattice constant ``length`` [nm], atoms displaced at random by ``displacement`` [nm]."""
    points = length * sites + displacement * random.normal(size=sites.shape)
    return Configuration(np.full(8, 14), points, length * np.eye(3), (True,) * 3)


def labeled(frames):
    labels = truth.evaluate(frames)
    return [
        replace(frame, energy=float(energy), forces=forces, stress=stress)
        for frame, energy, forces, stress in zip(frames, labels.energies, labels.forces, labels.stresses)
    ]


lengths = 0.5431 * (1 + 0.02 * random.normal(size=100))
frames = labeled([crystal(length, random.uniform(0.003, 0.014)) for length in lengths])
train, validation, test = frames[:50], frames[50:70], frames[70:]

# %% A fit is one call. Held-out frames calibrate its uncertainty.
recipe = Recipe(Linear(ACE(cutoff=0.4, levels=(9, 7), degrees=(0, 4))))
potential = recipe.fit(train, validation=validation)
print(errors(potential, test).table())

# %% What more frames would bring, with error bars over random draws.
curve = learning_curve(recipe, train, (5, 10, 25), splits=3, test=test)
print(curve.table())
print(f"force errors fall as the number of frames to the power {curve.exponent('forces'):.2f}")

# %% Does it know how wrong it is? Also where it was never taught: displacements twice as large.
far = labeled([crystal(0.5431, 0.028) for _ in range(20)])
one = unit("meV/Å", "force")
claimed, found = (
    [of(potential, test) / one, of(potential, far) / one] for of in (force_deviations, force_errors)
)
off = np.concatenate([np.ravel(a - f.forces) for a, f in zip(potential.evaluate(test).forces, test)])
spread = np.concatenate([np.ravel(each) for each in potential.spread(test).forces])
within = [coverage(off, spread, level) for level in (0.6827, 0.95)]
print(f"within one claimed deviation: {within[0]:.2f} (0.68 should be), within two: {within[1]:.2f} (0.95)")

# %% Does it hold up in dynamics? Forces along the run are compared with the truth.
settings = Stability(temperature=600.0, duration=0.5, dt=1e-3, steps=(1e-3,), drift_duration=0.1, replicas=2)
report = stability(potential, crystal(0.5431, 0.0), settings, reference=truth)
print(report)

# %% One figure.
figure = make_subplots(
    cols=3,
    horizontal_spacing=0.1,
    subplot_titles=("Forces, test frames", "Learning curve", "Claimed and true errors"),
)
labels = np.concatenate([np.ravel(frame.forces) for frame in test]) / one / 1e3
figure.add_scatter(
    x=labels,
    y=labels + off / one / 1e3,
    mode="markers",
    marker={"size": 3, "color": "#0072B2"},
    showlegend=False,
)
figure.add_scatter(
    x=curve.sizes,
    y=curve.mean("forces") / one,
    error_y={"array": curve.standard_error("forces") / one},
    mode="lines+markers",
    line={"color": "#D55E00"},
    showlegend=False,
    col=2,
    row=1,
)
for name, x, y, color in zip(
    ("like the training frames", "displaced twice as far"), claimed, found, ("#0072B2", "#E69F00")
):
    figure.add_scatter(x=x, y=y, mode="markers", name=name, marker={"color": color}, col=3, row=1)
ends = [min(map(min, claimed)), max(map(max, found))]
figure.add_scatter(
    x=ends, y=ends, mode="lines", line={"color": "black", "dash": "dot"}, showlegend=False, col=3, row=1
)
figure.update_xaxes(title="true force [eV/Å]", col=1)
figure.update_yaxes(title="predicted force [eV/Å]", col=1)
figure.update_xaxes(title="training frames", type="log", tickvals=list(curve.sizes), col=2)
figure.update_yaxes(title="force MAE [meV/Å]", type="log", col=2)
figure.update_xaxes(title="claimed force error [meV/Å]", type="log", dtick=1, col=3)
figure.update_yaxes(title="true force error [meV/Å]", type="log", dtick=1, col=3)
mae = errors(potential, test).forces.mae / one
figure.update_layout(
    template="simple_white",
    width=1200,
    height=440,
    legend={"x": 0.72, "y": 0.99, "xanchor": "left", "yanchor": "top"},
    title=f"Linear ACE for silicon: force MAE {mae:.0f} meV/Å on test frames, "
    f"{report.force_error / one:.0f} meV/Å (RMS) along dynamics at 600 K",
)
figure.write_html(Path("learned_potential.html"))
print("wrote learned_potential.html")
