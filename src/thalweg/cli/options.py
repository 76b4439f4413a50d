"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TrajectoryPaths = Annotated[
    list[Path], typer.Argument(help="Trajectories: DCD, XTC, ...", show_default=False)
]
TopologyPath = Annotated[
    Path, typer.Option(help="PDB, mmCIF, prmtop, PSF or GRO file with the atoms.", show_default=False)
]
FrameInterval = Annotated[
    str | None, typer.Option(help='Time between frames, such as "1 ps".', show_default="what the files say")
]
