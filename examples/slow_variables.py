"""Slow variables of a triple well by every basis: linear, polynomials, kernels, a network; times and held-out scores
beside the exact ones.

Run it as it is, or cell by cell; it takes about half a minute and leaves `slow_variables.html`.
"""

# %% Simulate Brownian motion in a potential whose slow processes are known exactly.
from pathlib import Path

import numpy as np
from plotly.subplots import make_subplots

from thalweg.collective_variables import SRV, TICA, VAC, KernelTICA, Polynomials
from thalweg.testsystems import Generator, TripleWell2D
from thalweg.time_series import ShuffleSplit, Trajectories, cross_validate

generator = Generator(TripleWell2D(), ((-2.0, 2.0), (-1.5, 2.5)), (50, 50), kT=0.8, diffusion=0.8)
runs = generator.sample(n_trajectories=20, n_frames=2000, lag=0.05, seed=0)
data = Trajectories(runs, dt=0.05, names=["x", "y"])
lagtime, exact = 10, generator.timescales(2)
best = 1 + np.exp(-2 * lagtime * data.dt / exact).sum()
print(f"exact time scales {exact.round(2)} ps, exact VAMP-2 score {best:.3f}")

# %% The same problem in four bases. Scores are of trajectories left out, errors of both come from the data.
methods = {
    "features (TICA)": TICA(lagtime, dim=2),
    "polynomials (VAC)": VAC(lagtime, 2, Polynomials(4)),
    "kernels (kernel TICA)": KernelTICA(lagtime, 2, landmarks=60),
    "network (SRV)": SRV(lagtime=lagtime, dim=2, hidden=(32, 32), steps=400, restarts=1),
}
models, scores, times = {}, {}, {}
for name, method in methods.items():
    models[name] = method.fit(data)
    times[name] = models[name].timescale_errors()
    scores[name] = cross_validate(method, data, ShuffleSplit(3))
    found = " ".join(f"{t:.2f} ± {e:.2f}" for t, e in zip(times[name].value, times[name].error))
    print(f"{name:22} {found} ps, score {scores[name].mean:.3f} ± {scores[name].error:.3f}")

# %% One figure: time scales, scores, and where the slowest network coordinate changes.
figure = make_subplots(
    cols=3,
    column_widths=[0.33, 0.33, 0.34],
    horizontal_spacing=0.1,
    subplot_titles=("Time scales", "Held-out VAMP-2 score", "Slowest coordinate of the network"),
)
labels = [name.replace(" (", "<br>(") for name in methods]
for k, color in enumerate(("#1b6ca8", "#d95f02")):
    figure.add_scatter(
        x=labels,
        y=[times[name].value[k] for name in methods],
        error_y={"array": [times[name].error[k] for name in methods]},
        mode="markers",
        marker={"color": color, "size": 9},
        name=f"process {k + 1}",
        col=1,
        row=1,
    )
    figure.add_hline(y=exact[k], line={"color": color, "dash": "dot", "width": 1.5}, opacity=1, col=1, row=1)
figure.add_scatter(
    x=labels,
    y=[scores[name].mean for name in methods],
    error_y={"array": [scores[name].error for name in methods]},
    mode="markers",
    marker={"color": "#333", "size": 9},
    showlegend=False,
    col=2,
    row=1,
)
figure.add_hline(y=best, line={"color": "#333", "dash": "dot", "width": 1.5}, opacity=1, col=2, row=1)
x, y = np.linspace(-2, 2, 80), np.linspace(-1.5, 2.5, 80)
plane = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
seen = generator.potential.energy(plane.T) < generator.potential.energy(plane.T).min() + 6 * generator.kT
values = np.where(seen, models["network (SRV)"].transform(plane)[:, 0], np.nan).reshape(80, 80)
figure.add_heatmap(
    x=x, y=y, z=values, colorscale="RdBu", colorbar={"title": "value", "x": 1.01}, col=3, row=1
)
figure.update_yaxes(title="time scale [ps], dotted: exact", rangemode="tozero", col=1, row=1)
figure.update_yaxes(title="score, dotted: exact", col=2, row=1)
figure.update_xaxes(title="x [nm]", col=3, row=1)
figure.update_yaxes(title="y [nm]", col=3, row=1)
figure.update_layout(
    template="simple_white", width=1350, height=480, legend={"x": 0.0, "y": -0.3, "orientation": "h"}
)
figure.write_html(Path("slow_variables.html"))
print("wrote slow_variables.html")
