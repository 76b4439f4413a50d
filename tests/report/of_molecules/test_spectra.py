"""The figure of a spectrum."""

from __future__ import annotations

import numpy as np

from thalweg.report.of_molecules.spectra import vibrational_figure
from thalweg.spectra.harmonic import HarmonicSpectrum
from thalweg.spectra.time_correlation import Infrared
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import WAVENUMBER


def test_bands_of_dynamics_and_normal_modes_lie_on_one_axis_that_falls():
    time = 0.001 * np.arange(4000)[:, None]
    runs = [np.cos(1700 * WAVENUMBER * time + phase) * np.array([0.0, 0.0, 0.01]) for phase in range(4)]
    spectrum = Infrared(300.0).fit(Trajectories(runs, dt=0.001))
    harmonic = HarmonicSpectrum(np.array([1700.0]), np.array([100.0]), None, None, "a spring")
    figure = vibrational_figure(spectrum, harmonic)
    dynamics, modes = figure.data[-2:]
    assert abs(dynamics.x[np.argmax(dynamics.y)] - modes.x[np.argmax(modes.y)]) < 2
    assert figure.layout.xaxis.range[0] > figure.layout.xaxis.range[1]
    assert spectrum.unit in figure.layout.yaxis.title.text
