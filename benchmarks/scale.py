"""Petabytes: one-pass estimators a frame and a core, in flat memory, on workers of Dask, and as they were foretold.

Frames are synthetic (`SyntheticFrames`): a tile of 65536 frames in float32 that comes again, so that the answer over
any number of tiles is known from one. Rates are processor time of one thread. TICA runs over a billion frames, the
other passes over as many as the rows say.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from thalweg.coarse_graining.fitting.force_matching import ForceMatching
from thalweg.coarse_graining.fitting.force_pass import ForcePass, FrameShare
from thalweg.coarse_graining.interactions.functions import BSplines
from thalweg.coarse_graining.interactions.interaction import BondedInteraction, InternalCoordinate
from thalweg.collective_variables.covariances.covariance_pass import CovariancePass
from thalweg.collective_variables.linear.tica import TICA
from thalweg.collective_variables.manifold.landmark_passes import LandmarkPass, NetPass
from thalweg.interop.cluster.dask import Dask
from thalweg.interop.cluster.stored_files import StoredArray
from thalweg.kinetics.counts.count_pass import CountPass
from thalweg.kinetics.states.cluster_passes import CoresetPass, LloydPass
from thalweg.kinetics.states.clustering import Clustering
from thalweg.learned_potentials.linear.regularization import Ridge
from thalweg.report.benchmark import Row
from thalweg.studies.forecasting import BEADS, TILE, SyntheticFrames, forecast, synthetic_beads
from thalweg.time_series.one_pass import DataPass, gathered, shares
from thalweg.time_series.trajectories import Trajectories

LAG, COLUMNS = 10, 100


def parts(data: Path, quick: bool) -> dict[str, Callable[[], Iterator[Row]]]:
    """All parts; ``quick`` takes fewer frames."""
    return {
        "memory": partial(_memory, quick),
        "billion": partial(_billion, quick),
        "forecast": partial(_forecast, quick),
        "file": partial(_file, quick),
        "Dask": partial(_dask, quick),
    }


def rows(data: Path, quick: bool) -> Iterator[Row]:
    """Rows of all `parts`."""
    for part in parts(data, quick).values():
        yield from part()


def _frames(tiles: int, lagtime: int = 0) -> Trajectories:
    """So many tiles, and a lag time more, so that every frame of a tile starts as many pairs."""
    return Trajectories([SyntheticFrames(tiles * TILE + lagtime, COLUMNS)])


def _clustering() -> Clustering:
    return Clustering(SyntheticFrames(TILE, COLUMNS)[:100].astype(float), None, 1.0)


def _passes() -> dict[str, tuple[DataPass, int]]:
    """Passes over frames by name, and the lag time of their shares."""
    points = SyntheticFrames(TILE, COLUMNS)[:200].astype(float)
    return {
        "TICA": (CovariancePass(LAG), LAG),
        "transition counts of 100 clusters": (CountPass(_clustering(), LAG), LAG),
        "k-means, coreset of 10000": (CoresetPass(10_000), 0),
        "k-means, exact step of 100 clusters": (LloydPass(_clustering()), 0),
        "diffusion map, net of 200 landmarks": (NetPass(200), 0),
        "diffusion map, weights of 200 landmarks": (LandmarkPass(points), 0),
    }


def _answer(name: str, found: object) -> list[float] | None:
    """Numbers that do not depend on how often the tile comes; None where the answer is a draw or a choice."""
    if name == "TICA":
        return TICA(LAG, dim=5).fit(found).timescales[:5].tolist()
    if name.startswith("transition"):
        matrix = found.matrix.toarray()
        return (matrix / matrix.sum()).ravel().tolist()
    if "exact" in name:
        return [found.radius, *found.centers.ravel().tolist()]
    if "weights" in name:
        return [found.radius, *(found.weights / found.weights.sum()).tolist()]
    return None


def measured(tiles: dict[str, int]) -> None:
    """Print what passes over so many tiles take, one after the other, and the most memory: for a process of its own."""
    import resource

    taken = {}
    for name, count in tiles.items():
        if name == "force matching":
            one_pass, pieces, frames = _forces(count)
        else:
            one_pass, lag = _passes()[name]
            pieces, frames = shares(_frames(count, lag), lag), count * TILE
        started = time.process_time()
        found = gathered(one_pass, pieces)
        seconds = time.process_time() - started
        answer = found.coefficients.tolist() if name == "force matching" else _answer(name, found)
        taken[name] = {"seconds": seconds, "frames": frames, "answer": answer}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"taken": taken, "peak": peak}))


def _forces(tiles: int) -> tuple[DataPass, list[FrameShare], int]:
    """Matched forces of a chain, the same share so often."""
    bonds = np.array([[k, k + 1] for k in range(BEADS - 1)])
    coordinate = InternalCoordinate("distance", bonds, BSplines(0.1, 0.6, 30))
    # a strength of its own: of equal frames none is left out, and cross-validation has nothing to go by
    matching = ForceMatching((BondedInteraction(coordinate, name="bonds"),), regularization=Ridge())
    pieces = [FrameShare(partial(synthetic_beads, 4096, 0), k) for k in range(10 * tiles)]
    return ForcePass(matching, len(pieces)), pieces, 4096 * 10 * tiles


def _apart(tiles: dict[str, int]) -> dict:
    """`measured` in a process of its own, whose memory is that of these passes alone."""
    here = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})"
    command = f"{here}; import scale; scale.measured({tiles!r})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


SIZES = {
    "TICA": (20, 200),
    "transition counts of 100 clusters": (8, 80),
    "k-means, coreset of 10000": (5, 50),
    "k-means, exact step of 100 clusters": (5, 50),
    "diffusion map, net of 200 landmarks": (4, 12),
    "diffusion map, weights of 200 landmarks": (4, 20),
    "force matching": (1, 5),
}
"""Tiles of a small run, which is a whole share at least, and of a large one."""


def _memory(quick: bool) -> Iterator[Row]:
    """Rates, answers and memory of large runs beside those of small ones, each in a process of its own."""
    for name, (few, many) in SIZES.items():
        small, large = _apart({name: few}), _apart({name: few + 1 if quick else many})
        yield from _beside(name, small, large)


def _billion(quick: bool) -> Iterator[Row]:
    """TICA of a billion frames beside a thousandth of them."""
    tiles = 30 if quick else -(-(10**9) // TILE)
    yield from _beside("TICA", _apart({"TICA": 20}), _apart({"TICA": tiles}))


def _beside(name: str, small: dict, large: dict) -> Iterator[Row]:
    ours, before = large["taken"][name], small["taken"][name]
    what = f"{name}, {ours['frames']:.2e} frames" + ("" if name == "force matching" else f" x {COLUMNS}")
    yield Row(what, ours["frames"] / ours["seconds"], "frames/s and core")
    if ours["answer"] is not None:
        found, exact = np.array(ours["answer"]), np.array(before["answer"])
        error = float(np.abs(found - exact).max() / np.abs(exact).max())
        yield Row(
            f"{what}: answer beside that of {before['frames']:.2e} frames",
            error,
            "relative difference",
            target="<= 1e-10",
            met=bool(error <= 1e-10),
        )
    ratio = large["peak"] / small["peak"]
    yield Row(
        f"{what}: peak memory over that of {before['frames']:.2e} frames ({small['peak'] / 1e9:.2f} GB)",
        ratio,
        "",
        target="0.9 to 1.1",
        met=bool(0.9 <= ratio <= 1.1),
    )


def _forecast(quick: bool) -> Iterator[Row]:
    """Ten times as many frames as were measured, beside the forecast; processor time on a machine that others use."""
    for task, tiles in (("tica", 80), ("kmeans", 40)):
        tiles = 40 if quick else tiles
        ratios = []
        for _ in range(3):
            settings = {"clusters": 100, "exact": 1, "landmarks": 200}
            small = Trajectories([SyntheticFrames(max(tiles // 10, 1) * TILE, COLUMNS)])
            found = forecast(task, small, 4e-9 * COLUMNS * tiles * TILE, lagtime=LAG, seconds=30, **settings)
            started = time.process_time()
            _whole(task, _frames(tiles))
            ratios.append((time.process_time() - started) / found.seconds)
        middle = float(np.median(ratios))
        yield Row(
            f"{task}: processor time of {tiles * TILE:.2e} frames over the forecast from a tenth of them, median of 3",
            middle,
            "",
            spread=float(np.ptp(ratios) / 2),
            target="0.8 to 1.2",
            met=bool(0.8 <= middle <= 1.2),
        )


def _whole(task: str, data: Trajectories) -> None:
    """What was foretold, all of it."""
    apart = shares(data)
    if task == "tica":
        gathered(CovariancePass(LAG), shares(data, LAG))
        return
    if task == "map":
        gathered(LandmarkPass(gathered(NetPass(200), apart)), apart)
        return
    gathered(CoresetPass(10_000), apart)
    if task == "counts":
        gathered(CountPass(_clustering(), LAG), shares(data, LAG))
    else:
        gathered(LloydPass(_clustering()), apart)


def _file(quick: bool) -> Iterator[Row]:
    """TICA of an array in a file of which a stretch is read at a time."""
    tiles = 2 if quick else 20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        table = np.lib.format.open_memmap(path, "w+", np.float32, (tiles * TILE, COLUMNS))
        for k in range(tiles):
            table[k * TILE : (k + 1) * TILE] = SyntheticFrames(TILE, COLUMNS)[:]
        table.flush()
        started = time.process_time()
        ours = gathered(CovariancePass(LAG), shares(Trajectories([StoredArray(str(path))]), LAG))
        taken = time.process_time() - started
    whole = gathered(CovariancePass(LAG), shares(_frames(tiles), LAG))
    yield Row(
        f"TICA, {tiles * TILE:.2e} frames x {COLUMNS} from one .npy file",
        taken / 60 / (4e-12 * COLUMNS * tiles * TILE),
        "CPU min per terabyte",
        target="the same bits as from memory",
        met=bool(np.array_equal(ours.blocks.s0t, whole.blocks.s0t)),
    )


def _dask(quick: bool) -> Iterator[Row]:
    """The same pass on one and on two workers; the machine has two cores, and others use them."""
    pieces = shares(_frames(20 if quick else 160), LAG)
    taken: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    found = {}
    for _ in range(1 if quick else 3):
        for workers in taken:
            executor = Dask(workers).executor()
            client = executor._client
            client.wait_for_workers(workers)
            # what is loaded once
            gathered(CovariancePass(LAG), pieces[:4], lambda executor=executor: _Open(executor))
            before = sum(client.run(time.process_time).values())
            began = time.perf_counter()
            found[workers] = gathered(CovariancePass(LAG), pieces, lambda executor=executor: _Open(executor))
            wall = time.perf_counter() - began
            taken[workers].append((wall, sum(client.run(time.process_time).values()) - before))
            executor.shutdown()
    (wall_1, cpu_1), (wall_2, cpu_2) = (np.min(taken[k], axis=0) for k in (1, 2))
    name = (
        f"TICA, {len(pieces)} shares of {pieces[0].data.n_frames} frames x {COLUMNS}, 1 to 2 workers of Dask"
    )
    gain = float(wall_1 / wall_2 - 1)
    yield Row(
        f"{name}: speed-up by the clock for the core added, while others use the machine",
        gain,
        "",
        target=">= 0.9",
        met=bool(gain >= 0.9),
    )
    ratio = float(cpu_1 / cpu_2)
    yield Row(
        f"{name}: processor time of one worker over that of both together",
        ratio,
        "",
        target=">= 0.9",
        met=bool(ratio >= 0.9),
    )
    same = all(map(np.array_equal, vars(found[1].blocks).values(), vars(found[2].blocks).values()))
    yield Row(f"{name}: sums that differ in any bit", float(not same), "", target="0", met=same)


class _Open:
    """An executor that stays open after a pass."""

    def __init__(self, executor):
        self.submit = executor.submit

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Left to whom it belongs."""
