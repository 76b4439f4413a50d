"""HILLS files of PLUMED: someone's finished metadynamics becomes our bias, and ours a file of Gaussians."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.dynamics.langevin import Langevin
from thalweg.dynamics.native_engine import NativeEngine
from thalweg.geometry.variables import Coordinates, Dihedrals
from thalweg.interop.files.hills import hills_of, read_hills, write_hills
from thalweg.machine.reading import UnreadableFile
from thalweg.sampling.bias.metadynamics import WellTemperedMetadynamics
from thalweg.systems.state import thermal_state
from thalweg.testsystems.wells import DoubleWell

TORSIONS = Dihedrals([[0, 1, 2, 3], [1, 2, 3, 4]])
HEAD = """#! FIELDS time phi psi sigma_phi sigma_psi height biasf
#! SET multivariate false
#! SET kerneltype {kernel}
#! SET min_phi -pi
#! SET max_phi pi
#! SET min_psi -pi
#! SET max_psi pi
"""


def lines(times, seed):
    random = np.random.default_rng(seed)
    return "".join(
        f"{time:23.9f} {phi:.9f} {psi:.9f} 0.35 0.3 {height:.9f} 8\n"
        for time, (phi, psi), height in zip(
            times, random.uniform(-np.pi, np.pi, (len(times), 2)), random.uniform(0.2, 1.5, len(times))
        )
    )


def sum_of_hills(text, kernel, points):
    """As PLUMED defines it, line by line, images written out."""
    rows = np.array([row.split() for row in text.splitlines() if not row.startswith("#")], float)
    total = np.zeros(points.shape[1])
    for _, phi, psi, wide, high, height, factor in rows:
        dp2 = np.min(
            [
                0.5
                * (
                    ((points[0] - phi + 2 * np.pi * i) / wide) ** 2
                    + ((points[1] - psi + 2 * np.pi * j) / high) ** 2
                )
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
            ],
            axis=0,
        )
        end = np.exp(-6.25)
        shape = (
            np.exp(-dp2)
            if kernel == "gaussian"
            else np.where(dp2 < 6.25, (np.exp(-dp2) - end) / (1 - end), 0)
        )
        total += height * (factor - 1) / factor * shape
    return total


@pytest.mark.parametrize("kernel", ["gaussian", "stretched-gaussian"])
def test_files_of_two_walkers_one_of_them_restarted_become_the_bias_they_make_together(tmp_path, kernel):
    head = HEAD.format(kernel=kernel)
    first, second = lines(range(1, 60), 0), lines(range(1, 30), 1) + head + lines(range(25, 50), 2)
    (tmp_path / "HILLS.0").write_text(head + first)
    (tmp_path / "HILLS.1").write_text(head + second)
    hills = read_hills(tmp_path / "HILLS.0", tmp_path / "HILLS.1")
    # every line counts, also those that a restart has written again
    assert len(hills) == 59 + 29 + 25
    assert (np.diff(hills.clock) >= 0).all()
    bias, state = hills.on(TORSIONS, kT=2.494, stride=500)
    points = np.random.default_rng(3).uniform(-np.pi, np.pi, (2, 200))
    exact = sum_of_hills(first + second, kernel, points)
    np.testing.assert_allclose(hills.potential(points), exact, atol=1e-9)
    # cubic convolution follows a Gaussian to 0.2 % of its height, the kink of a stretched one less well
    np.testing.assert_allclose(bias.potential(state, jnp.asarray(points, jnp.float32)), exact, atol=0.02)
    assert (bias.bias_factor, bias.stride) == (8.0, 500)
    free = bias.free_energy(state)
    assert free.min() == 0
    assert np.ptp(free) == pytest.approx(8 / 7 * np.ptp(np.asarray(state.table)), rel=1e-5)


@pytest.fixture(scope="module")
def grown():
    """Metadynamics of a double well by three walkers, a frame at every deposit."""
    variable = Coordinates([0], dims=1)
    bias = WellTemperedMetadynamics(variable, -2.0, 2.0, 0.15, 0.4, 6.0, 1.0, stride=50)
    engine = NativeEngine.for_potential(DoubleWell(4.0, 0.5), np.ones(1), Langevin(kT=1.0, dt=0.02))
    start = thermal_state(jnp.full((1, 1, 3), -1.0), np.ones(1), 1.0, jax.random.key(0))
    run = engine.run(start, 50 * 200, save_every=50, bias=bias)
    return bias, run


def test_a_run_of_ours_written_as_hills_is_read_as_the_bias_it_had(grown, tmp_path):
    bias, run = grown
    hills = hills_of(bias, run.values, dt=0.02)
    assert (hills.names, len(hills)) == (("cv",), 600)
    read = read_hills(write_hills(tmp_path / "HILLS", hills))
    x = np.linspace(-1.9, 1.9, 101)[None]
    exact = np.asarray(bias.potential(run.bias_state, jnp.asarray(x, jnp.float32)))
    assert exact.max() > 5
    np.testing.assert_allclose(read.potential(x), exact, atol=0.02)
    again, state = read.on(bias.variable, 1.0, 50, lower=[-2.0], upper=[2.0])
    assert again.grid.bins == bias.grid.bins
    np.testing.assert_allclose(state.table, run.bias_state.table, atol=2e-3)
    assert float(state.offset) == pytest.approx(float(run.bias_state.offset), abs=2e-3)
    # and is gone on with
    engine = NativeEngine.for_potential(DoubleWell(4.0, 0.5), np.ones(1), Langevin(kT=1.0, dt=0.02))
    longer = engine.run(run.state, 500, save_every=500, bias=again, bias_state=state)
    assert float(longer.bias_state.table.sum()) > float(state.table.sum())


def test_gaussians_without_a_bias_factor_ask_for_one(tmp_path):
    (tmp_path / "HILLS").write_text(
        "#! FIELDS time d sigma_d height biasf\n1 0.5 0.1 2.0 1\n2 0.6 0.1 2.0 1\n"
    )
    hills = read_hills(tmp_path / "HILLS")
    assert hills.heights.tolist() == [2.0, 2.0]
    variable = Coordinates([0], dims=1)
    with pytest.raises(ValueError, match="not well-tempered"):
        hills.on(variable, 1.0, 10)
    bias, _ = hills.on(variable, 1.0, 10, bias_factor=5.0)
    assert bias.height == 2.0
    with pytest.raises(ValueError, match="give the variable that was biased"):
        hills.on(TORSIONS, 1.0, 10)
    with pytest.raises(ValueError, match="1 of 2 Gaussians are outside"):
        hills.on(variable, 1.0, 10, lower=[0.55], upper=[1.0], bias_factor=5.0)


ONE = "#! FIELDS time d sigma_d height biasf\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (ONE, "no Gaussians"),
        (ONE + "1 0.5 0.1 2.0\n2 0.5 0.1 2.0 5\n", "line 2: 4 numbers for 5 columns"),
        (ONE + "1 0.5 x 2.0 5\n", "line 2, is not readable as numbers: 'x' is no number"),
        (ONE + "1 0.5 nan 2.0 5\n", "sigma_d of Gaussian 0 is not finite"),
        (ONE + "1 0.5 -0.1 2.0 5\n", "a width is not positive"),
        (ONE + "1 0.5 0.1 2.0 5\n2 0.5 0.1 2.0 6\n", "the bias factor changes"),
        ("#! FIELDS time d height biasf\n1 0.5 2.0 5\n", "Gaussians have time, values, a sigma_"),
        (ONE + "#! SET multivariate true\n1 0.5 0.1 2.0 5\n", "correlated widths"),
        (ONE + "#! SET kerneltype triangular\n1 0.5 0.1 2.0 5\n", "kernels triangular"),
        (ONE + "#! SET min_d 3\n#! SET max_d 1\n1 0.5 0.1 2.0 5\n", "no period"),
        (ONE + "1 0.5 0.1 2.0 5\n#! FIELDS time e sigma_e height biasf\n", "line 3: other columns"),
    ],
)
def test_damage_is_told_with_its_place(tmp_path, text, message):
    (tmp_path / "HILLS").write_text(text)
    with pytest.raises(UnreadableFile, match=message) as told:
        read_hills(tmp_path / "HILLS")
    assert str(tmp_path / "HILLS") in str(told.value)


def test_files_of_several_runs_are_refused(tmp_path):
    (tmp_path / "a").write_text(ONE + "1 0.5 0.1 2.0 5\n")
    (tmp_path / "b").write_text(ONE + "1 0.5 0.1 2.0 7\n")
    with pytest.raises(UnreadableFile, match=r"bias factor 7.0, in .*a 5.0"):
        read_hills(tmp_path / "a", tmp_path / "b")
