"""Free energy of alanine dipeptide in vacuum: metadynamics on phi and psi, then the bias held, then its error map.

Run it as it is, or cell by cell; it takes about a minute and leaves `metadynamics.html`.
"""

# %% 32 walkers fill the wells of one free-energy surface together, one Gaussian each every half ps.
from pathlib import Path

import jax
import numpy as np
from plotly.subplots import make_subplots

from thalweg.dynamics import Langevin, NativeEngine, thermal_start
from thalweg.free_energies import FreeEnergySurface, free_energy_difference, statistical_inefficiency
from thalweg.geometry import Dihedrals, backbone_dihedrals
from thalweg.interop import alanine_dipeptide
from thalweg.sampling import FrozenBias, WellTemperedMetadynamics
from thalweg.units import thermal_energy

system, kT = alanine_dipeptide("vacuum", hydrogen_mass=3.0), thermal_energy(300)
torsions = backbone_dihedrals(system.topology)
variable = Dihedrals(np.concatenate([torsions["phi"], torsions["psi"]]), system.topology)
limits = {"lower": (-np.pi, -np.pi), "upper": (np.pi, np.pi)}
bias = WellTemperedMetadynamics(
    variable, **limits, widths=[0.35, 0.35], height=0.6, bias_factor=15.0, kT=kT, stride=125
)
engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
start = thermal_start(system, kT, jax.random.key(0), replicas=32)
growing = engine.run(start, 25_000, save_every=50, bias=bias)

# %% Under the bias as it now stands, held, a frame weighs exp(bias energy / kT).
held = engine.run(growing.state, 40_000, save_every=50, bias=FrozenBias(bias, growing.bias_state))
skip = 100
values = [walk[skip:].astype(float) for walk in held.values]
log_weights = [energy[skip:].astype(float) / kT for energy in held.bias_energy]
print(f"{held.values.shape[0]} walkers of {held.values.shape[1] * held.dt_frames:.0f} ps under the held bias")

# %% The side of positive phi against the rest; two biased runs of 40 ns each gave 8.69 ± 0.05 kJ/mol.
inside = [(np.degrees(walk[:, 0]) > 0) & (np.degrees(walk[:, 0]) < 126) for walk in values]
difference = free_energy_difference(inside, [~x for x in inside], log_weights, kT)
print(f"F(0 < phi < 126 deg) - F(rest): {difference}; from 80 ns of reference runs 8.69 ± 0.05 kJ/mol")
print(
    "crossed {} and {} times; halves of the data give {:.2f} and {:.2f} kJ/mol".format(
        *difference.crossings, *difference.halves
    )
)
print(f"the weights leave {difference.effective_frames:.0f} effective frames of {sum(map(len, values))}")

# %% The surface and how well each part of it is known. Blocks of the bootstrap are several correlation times long.
correlated = max(
    statistical_inefficiency([f(walk[:, i]) for walk in values]) for i in (0, 1) for f in (np.sin, np.cos)
)
settings = {"bins": (48, 48), "periods": (2 * np.pi, 2 * np.pi), "block": round(5 * correlated)}
surface = FreeEnergySurface(kT, **limits, **settings, bandwidth=0.8).fit(values, log_weights)
visits = np.histogram2d(*np.concatenate(values).T, bins=48, range=[[-np.pi, np.pi]] * 2)[0]
shown = (visits > 0) & (surface.error < 1.0)
median, share = np.median(surface.error[shown]), shown.mean()
print(
    f"{share:.0%} of the surface is known to within 1 kJ/mol; the median error there is {median:.2f} kJ/mol"
)

# %% One figure.
figure = make_subplots(cols=2, horizontal_spacing=0.2, subplot_titles=("Free energy", "Its standard error"))
phi, psi = (np.degrees(centers) for centers in surface.centers)
figure.add_contour(
    x=phi,
    y=psi,
    z=np.where(shown, surface.free_energy, np.nan).T,
    contours={"start": 0, "end": 60, "size": 5},
    colorscale="Viridis",
    line={"width": 0.4, "color": "white"},
    colorbar={"title": "F [kJ/mol]", "x": 0.41, "thickness": 12},
    col=1,
    row=1,
)
figure.add_heatmap(
    x=phi,
    y=psi,
    z=np.where(shown, surface.error, np.nan).T,
    colorscale="Cividis",
    colorbar={"title": "error [kJ/mol]", "x": 1.01, "thickness": 12},
    col=2,
    row=1,
)
for column, anchor in ((1, "x"), (2, "x2")):
    axis = {"range": [-180, 180], "tickvals": [-180, -90, 0, 90, 180], "constrain": "domain"}
    figure.update_xaxes(title="φ [degrees]", **axis, col=column, row=1)
    figure.update_yaxes(title="ψ [degrees]", **axis, scaleanchor=anchor, col=column, row=1)
    for edge in (0, 126):
        line = {"dash": "dash", "color": "#d95f02", "width": 2}
        figure.add_vline(x=edge, line=line, opacity=1.0, col=column, row=1)
figure.update_layout(
    template="simple_white",
    width=1100,
    height=540,
    title=f"Alanine dipeptide in vacuum, 300 K: F(0° < φ < 126°) − F(rest) = {difference}",
)
figure.write_html(Path("metadynamics.html"))
print("wrote metadynamics.html")
