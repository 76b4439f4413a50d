"""A map of alanine dipeptide from the distances of its atoms, in any order: which torsions did it find?

Run it as it is, or cell by cell; it takes about a minute and leaves `landscape_map.html`.
"""

# %% Sixteen short runs in vacuum, warm enough to cross between its wells.
from pathlib import Path

import jax
import numpy as np
from plotly.subplots import make_subplots

from thalweg.collective_variables import Dictionary, DiffusionMap
from thalweg.dynamics import Langevin, NativeEngine, thermal_start
from thalweg.geometry import (
    Concatenate,
    Dihedrals,
    Distances,
    backbone_dihedrals,
    heavy_atom_pairs,
    rotatable_dihedrals,
)
from thalweg.interop import alanine_dipeptide
from thalweg.kinetics import DensityPeaks
from thalweg.time_series import Trajectories
from thalweg.units import thermal_energy

system, kT = alanine_dipeptide("vacuum", hydrogen_mass=3.0), thermal_energy(500)
engine = NativeEngine(system, Langevin(kT=kT, dt=0.004))
start = thermal_start(system, kT, jax.random.key(0), replicas=16)
run = engine.run(start, 25_000, save_every=125)
positions = np.asarray(run.positions).reshape(-1, len(system.topology), 3)
print(f"{len(positions)} frames of {len(system.topology)} atoms")


# %% Frames are compared by distances of heavy atoms alone; no torsion is told.
def along(variable):
    """Values of a variable, one row for each frame."""
    return np.asarray(variable(np.moveaxis(positions, 0, -1)), float).T


distances = Distances(heavy_atom_pairs(system.topology, 3), system.topology)
features = along(distances)
model = DiffusionMap(dim=3).fit(features)
coordinates = np.asarray(model.transform(features))
print(model)

# %% What is the map made of? Every rotatable torsion and every distance of heavy atoms may answer.
found = backbone_dihedrals(system.topology)
quads = np.concatenate([found["phi"], found["psi"], rotatable_dihedrals(system.topology)])
quads = quads[np.sort(np.unique(quads, axis=0, return_index=True)[1])]
candidates = Concatenate(
    Dihedrals(quads, system.topology), Distances(heavy_atom_pairs(system.topology, 2), system.topology)
)
named = Trajectories([along(candidates)], names=candidates.names)
ranking = Dictionary().fit(named, coordinates, candidates.periods)
print(ranking)

# %% Clusters around peaks of the density: their number is found, not asked for.
clusters = DensityPeaks().fit(features)
states = clusters.transform(features)
print(clusters)

# %% The map by the first variable that was found, and the frames by phi and psi, colored by cluster.
angles = np.degrees(along(Dihedrals(np.concatenate([found["phi"], found["psi"]]), system.topology)))
first = along(candidates)[:, ranking.chosen[0].column]
figure = make_subplots(
    1, 2, horizontal_spacing=0.16, subplot_titles=(f"map, by {ranking.chosen[0].name}", "clusters")
)
figure.add_scattergl(
    x=coordinates[:, 0],
    y=coordinates[:, 1],
    mode="markers",
    marker={
        "size": 4,
        "color": np.degrees(first),
        "colorscale": "Phase",
        "cmin": -180,
        "cmax": 180,
        "colorbar": {"title": "deg", "x": 0.43, "thickness": 12},
    },
    row=1,
    col=1,
)
for state in range(clusters.n_clusters):
    inside = states == state
    figure.add_scattergl(
        x=angles[inside, 0],
        y=angles[inside, 1],
        mode="markers",
        marker={"size": 4},
        name=f"{clusters.populations[state]:.0%}",
        row=1,
        col=2,
    )
figure.data[0].showlegend = False
figure.update_xaxes(title="diffusion coordinate 1", row=1, col=1)
figure.update_yaxes(title="diffusion coordinate 2", row=1, col=1)
figure.update_xaxes(title="phi [deg]", range=[-180, 180], dtick=90, row=1, col=2)
figure.update_yaxes(title="psi [deg]", range=[-180, 180], dtick=90, row=1, col=2)
figure.update_layout(template="simple_white", width=1050, height=470)
figure.write_html(Path("landscape_map.html"))
print("wrote landscape_map.html")
