"""What other programs say of binding sites, each in a process of its own.

The interpreter named by the environment variable ``THALWEG_PEERS`` runs them (this one if it is not set). Both were
trained on structures of the PDB, without regard to which proteins are tested here: their numbers are upper bounds.
Structures are shown without hydrogens, waters and what is no amino acid.

As a script this file is the other side: ``python sites_peers.py PEER FILES`` prints one line of JSON. It imports
nothing of Thalweg.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

AMINO_ACIDS = frozenset(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL HID HIE HIP CYX".split()
)


def measure(peer: str, files: Sequence[Path], timeout: float = 1500.0) -> dict[str, Any]:
    """Centers of pockets [Å] by rank, and scores of residues by ``chain:number``, of each file; or a ``reason``."""
    python = os.environ.get("THALWEG_PEERS", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        shown = []
        for k, file in enumerate(files):
            if ".cif" in file.name:
                return {"reason": f"{file.name}: shown as PDB files only"}
            text = gzip.decompress(file.read_bytes()).decode() if file.suffix == ".gz" else file.read_text()
            shown.append(Path(folder) / f"{k}.pdb")
            shown[-1].write_text(_protein_alone(text), encoding="utf-8")
        try:
            done = subprocess.run(
                [python, __file__, peer, *map(str, shown)],
                capture_output=True,
                text=True,
                timeout=timeout,
                env=os.environ | ONE_THREAD,
            )
        except subprocess.TimeoutExpired:
            return {"reason": f"{peer} took more than {timeout:g} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return {"reason": f"{peer} did not run: {last}"}
    return json.loads(lines[-1])


def _protein_alone(text: str) -> str:
    kept = [
        f"ATOM  {line[6:]}"
        for line in text.splitlines()
        if line[:6] in ("ATOM  ", "HETATM") and line[17:20] in AMINO_ACIDS and line[76:78].strip() != "H"
    ]
    return "\n".join([*kept, "END", ""])


def _pocketnet(files):
    from pocketnet import PocketPredictor

    predictor = PocketPredictor(device="cpu")
    found = [predictor.predict(file, max_pockets=10) for file in files]
    return {
        "peer": f"pocketnet {version('pocketnet')}",
        "centers": [[list(map(float, each.center)) for each in one.pockets] for one in found],
        "residues": [{key: float(value) for key, value in one.residue_scores.items()} for one in found],
    }


def _lacuna(files):
    found = []
    for file in files:
        out = f"{file}.out"
        command = [str(Path(sys.executable).with_name("lacuna")), "discover", file, "-o", out, "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        report = json.loads(Path(out, "pocket_report.json").read_text("utf-8"))
        pockets = report["pockets"] if isinstance(report, dict) else report
        found.append([each["centroid"] for each in pockets])
    return {"peer": f"lacuna {version('lacuna-pockets')}", "centers": found, "residues": []}


if __name__ == "__main__":
    began = time.process_time()
    answer = {"pocketnet": _pocketnet, "lacuna": _lacuna}[sys.argv[1]](sys.argv[2:])
    children = os.times().children_user + os.times().children_system
    print(json.dumps(answer | {"seconds": time.process_time() - began + children}))
