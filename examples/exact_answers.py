"""Exact kinetics of the Müller-Brown surface: time scales, committor, rates, and samples that obey them.

Run it as it is, or cell by cell; it takes some five seconds and leaves `exact_answers.html`.
"""

# %% A potential, and its overdamped dynamics on a grid. Lengths, energies and times are in the units of the
# literature: kT = 1 and D = 1.
from pathlib import Path

import numpy as np
from plotly.subplots import make_subplots

from thalweg.testsystems import Generator, MullerBrown, extrapolated, stationary_points

potential = MullerBrown(scale=20.0)
generator = Generator(potential, domain=((-1.8, 1.3), (-0.6, 2.3)), shape=(160, 160))

# %% How slow is it? Two grids and an extrapolation tell how sure we are.
timescales = generator.timescales(3)
print("slowest time scales   ", timescales.round(4))
print("at vanishing spacing  ", extrapolated(lambda g: g.timescales(3), generator).round(4))

# %% The reaction between the two deepest wells.
minima = stationary_points(potential).of_order(0).positions


def disc(center, radius=0.1):
    return lambda x: (x[0] - center[0]) ** 2 + (x[1] - center[1]) ** 2 < radius**2


in_a, in_b = disc(minima[0]), disc(minima[1])
rate = generator.rate(in_a, in_b)
committor = generator.committor(in_a, in_b)
passage = generator.mean_first_passage_time(in_b, start=in_a)
print(f"k_AB {rate.forward:.5f}, k_BA {rate.backward:.5f}, mean first-passage time A to B {passage:.2f}")

# %% Samples of the same process, exact at any lag time: the slowest mode must decay by exp(-t / timescale).
coarse = Generator(potential, generator.domain, (32, 32))
lags = 0.5 * np.arange(16)
trajectories = np.array(coarse.sample(n_trajectories=3000, n_frames=lags.size, lag=0.5, seed=0))
slowest = coarse.eigenfunctions(2)[1]
values = slowest[coarse.at(trajectories.reshape(-1, 2))].reshape(trajectories.shape[:2])
products = values[:, :1] * values
decay, error = products.mean(axis=0), products.std(axis=0) / np.sqrt(len(products))
deviation = (decay - np.exp(-lags / coarse.timescales(1)))[1:] / error[1:]
print("sampled decay, deviation from exact in standard errors:", deviation.round(1))

# %% One figure.
figure = make_subplots(
    cols=2,
    column_widths=[0.58, 0.42],
    horizontal_spacing=0.16,
    subplot_titles=("Landscape and committor", "Decay of the slowest mode"),
)
x, y = (
    low + h * (np.arange(n) + 0.5)
    for (low, _), h, n in zip(generator.domain, generator.grid.spacing, (160, 160))
)
energy = generator.grid.unfolded(generator.reduced_energy - generator.reduced_energy.min()).T
figure.add_contour(
    x=x,
    y=y,
    z=np.minimum(energy, 14.0),
    contours={"start": 0, "end": 13, "size": 1},
    colorscale="Blues",
    reversescale=True,
    line={"width": 0.3, "color": "gray"},
    colorbar={"title": "U [kT]", "x": 0.5, "thickness": 12},
    col=1,
    row=1,
)
figure.add_contour(
    x=x,
    y=y,
    z=np.where(energy < 12.0, generator.grid.unfolded(committor).T, np.nan),
    contours={"start": 0.1, "end": 0.9, "size": 0.2, "coloring": "lines", "showlabels": True},
    colorscale=[[0, "#d95f02"], [1, "#d95f02"]],
    line={"width": 2},
    showscale=False,
    name="committor",
    col=1,
    row=1,
)
for name, center in zip("AB", minima):
    figure.add_annotation(
        x=center[0],
        y=center[1],
        text=f"<b>{name}</b>",
        font={"color": "white"},
        showarrow=False,
        col=1,
        row=1,
    )
figure.add_scatter(
    x=lags,
    y=np.exp(-lags / coarse.timescales(1)),
    mode="lines",
    name=f"exact, {coarse.timescales(1)[0]:.2f} length²/D",
    line={"color": "black"},
    col=2,
    row=1,
)
figure.add_scatter(
    x=lags,
    y=decay,
    error_y={"array": error},
    mode="markers",
    name="3000 sampled trajectories",
    marker={"color": "#1b6ca8"},
    col=2,
    row=1,
)
figure.update_xaxes(title="x [length]", col=1, row=1)
figure.update_yaxes(title="y [length]", scaleanchor="x", col=1, row=1)
figure.update_xaxes(title="time [length² / D]", col=2, row=1)
figure.update_yaxes(title="autocorrelation", type="log", col=2, row=1)
figure.update_layout(
    template="simple_white",
    width=1100,
    height=520,
    legend={"x": 0.99, "xanchor": "right", "y": 0.99},
    title=f"Müller-Brown / 20 at kT = 1: time scales {', '.join(f'{t:.3f}' for t in timescales)}; "
    f"k<sub>AB</sub> = {rate.forward:.4f}, k<sub>BA</sub> = {rate.backward:.4f}",
)
figure.write_html(Path("exact_answers.html"))
print("wrote exact_answers.html")
