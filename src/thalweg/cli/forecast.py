"""The command ``thalweg forecast``: what an analysis of more data than anybody has here will take."""

from __future__ import annotations

import json
import re
from typing import Annotated

import typer
from rich.console import Console


def forecast_of(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Some of the data: .npy features, or trajectories with --topology; paths or addresses such as s3://...",
            show_default=False,
        ),
    ] = None,
    task: Annotated[str, typer.Option(help="tica, counts, kmeans, map or force-matching.")] = "tica",
    amount: Annotated[
        str, typer.Option(help='All of the data, "7.2 PB" as such files, or "1e9 frames".')
    ] = "1 TB",
    cores: Annotated[int, typer.Option(help="That will work.")] = 1,
    topology: Annotated[str | None, typer.Option(help="File with the atoms.", show_default=False)] = None,
    features: Annotated[str, typer.Option(help="A set of docs/features.md, made on the fly.")] = "torsions",
    synthetic: Annotated[
        int | None,
        typer.Option(help="Instead of files: so many features without any meaning.", show_default=False),
    ] = None,
    lag: Annotated[int, typer.Option(help="Lag time in frames.")] = 10,
    clusters: Annotated[int, typer.Option(help="Of k-means and of counts.")] = 500,
    exact: Annotated[int, typer.Option(help="Exact steps of k-means, a pass each.")] = 3,
    landmarks: Annotated[int, typer.Option(help="Of a map.")] = 1000,
    seconds: Annotated[float, typer.Option(help="To measure for.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of sentences.")] = False,
) -> None:
    """What an analysis of petabytes will take, from a minute of it: core-hours, days, memory and disk."""
    from thalweg.report.json_values import jsonable
    from thalweg.studies.forecasting import TASKS, forecast

    known = next((name for name in TASKS if name == task), None)
    if known is None:
        raise ValueError(f"--task {task} is unknown; use one of {', '.join(TASKS)}")
    data, frame_bytes = (
        (None, None) if task == "force-matching" else _data(files or [], topology, features, synthetic)
    )
    found = forecast(
        known,
        data,
        _gigabytes(amount, 240 if frame_bytes is None else frame_bytes),
        cores,
        frame_bytes,
        lag,
        clusters,
        exact,
        landmarks,
        seconds,
    )
    if as_json:
        typer.echo(json.dumps(jsonable(found.as_dict()), indent=1))
        return
    console = Console(soft_wrap=True)
    for sentence in found.in_words():
        console.print(sentence, markup=False, highlight=False)


def _gigabytes(amount: str, frame_bytes: float) -> float:
    """An amount of data [GB], from one in bytes or in frames."""
    from thalweg.units import quantity

    frames = re.fullmatch(r"\s*([\d.]+(?:[eE]\+?\d+)?)\s+frames\s*", amount)
    return 1e-9 * float(frames[1]) * frame_bytes if frames else quantity(amount, "data")


def _data(files: list[str], topology: str | None, features: str, synthetic: int | None):
    """Trajectories to measure on, and the bytes of a frame where it lies."""
    from pathlib import Path

    from thalweg.interop.cluster.stored_files import StoredArray, StoredFeatures, stored_size
    from thalweg.interop.files.trajectories import read_topology
    from thalweg.interop.measured.feature_sets import feature_set
    from thalweg.studies.forecasting import SyntheticFrames
    from thalweg.time_series.trajectories import Trajectories

    if synthetic is not None:
        return Trajectories([SyntheticFrames(1 << 23, synthetic)]), 4 * synthetic
    if not files:
        raise ValueError(
            "there is nothing to measure on: give files, or --synthetic 100 for features made up"
        )
    if all(file.endswith(".npy") for file in files):
        data = Trajectories([StoredArray(file) for file in files])
    elif topology is None:
        raise ValueError("trajectories need their atoms: give --topology, or .npy files of features")
    else:
        atoms = read_topology(Path(topology))
        made = feature_set(atoms, features)
        data = Trajectories([StoredFeatures(file, atoms, made) for file in files])
    return data, sum(map(stored_size, files)) / data.n_frames
