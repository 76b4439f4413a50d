"""A fit on a disk that fails: carried out again, it leaves the files of the fit that was never disturbed."""

import errno
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from thalweg.interop.files.configurations import write_configurations
from thalweg.learned_potentials.parametric.stillinger_weber import stillinger_weber_silicon
from thalweg.learned_potentials.recipe import Recipe
from thalweg.learning.checkpoint import restored, save
from thalweg.report.of_potentials import files
from thalweg.studies import fitting
from thalweg.studies.tables.fit_study import fit_from_table
from thalweg.studies.tables.language import StudyError
from thalweg.systems.configuration import Configuration

SITES = np.array([[0, 0, 0], [0, 2, 2], [2, 0, 2], [2, 2, 0], [1, 1, 1], [1, 3, 3], [3, 1, 3], [3, 3, 1]]) / 4
STUDY = {
    "title": "Silicon",
    "data": {"train": ["silicon.xyz"], "validation": 0.25},
    "representation": {"kind": "ACE", "cutoff": "3.9 Å", "levels": [4, 2]},
    "weights": {"energy": "1 meV", "force": "10 meV/Å"},
}


def frames(folder):
    """Eight frames of silicon in ``silicon.xyz``, labeled by Stillinger and Weber's potential."""
    random = np.random.default_rng(0)
    moved = [
        Configuration(
            np.full(8, 14),
            0.5431 * SITES + 0.01 * random.normal(size=(8, 3)),
            0.5431 * np.eye(3),
            (True,) * 3,
        )
        for _ in range(8)
    ]
    labels = stillinger_weber_silicon().evaluate(moved)
    pairs = zip(moved, labels.energies, labels.forces)
    return write_configurations(
        folder / "silicon.xyz", [replace(frame, energy=float(e), forces=f) for frame, e, f in pairs]
    )


class Fits:
    """One fit, carried out many times; what is computed is computed once, what is written every time."""

    def __init__(self, failing_disk, folder, monkeypatch):
        frames(folder)
        self.failing, self.folder, self.count = failing_disk, folder, 0
        self.study = fit_from_table(STUDY, "silicon", folder)
        computed = ("frames_of", "with_usual_learner", "content_hash", "graded", "_results")
        monkeypatch.setattr(Recipe, "fit_with_info", remembered(Recipe.fit_with_info))
        for name in computed:
            monkeypatch.setattr(fitting, name, remembered(getattr(fitting, name)))
        monkeypatch.setattr(files, "potential_page", remembered(files.potential_page))
        self.undisturbed = self.on(folder / "undisturbed")
        self.left = contents(folder / "undisturbed")

    def on(self, folder, **faults):
        folder.mkdir(exist_ok=True)
        with self.failing.FailingDisk(folder, **faults).installed() as disk:
            fitting.carry_out_fit(self.study, folder, Console(file=io.StringIO()))
        return disk

    def ends_the_same(self, folder):
        self.on(folder)
        assert contents(folder) == self.left
        self.count += 1

    def after_an_error(self, error, at, lasting):
        folder = self.folder / f"{errno.errorcode[error]}-{at}-{lasting}"
        told = str(folder)
        try:
            self.on(folder, fault=self.failing.Fault(error, at, lasting))
        except (OSError, StudyError) as problem:
            told = str(problem)
        assert str(folder) in told
        self.ends_the_same(folder)


def remembered(act):
    """``act``, whose first result is given ever after."""
    results = []

    def first(*arguments, **named):
        if not results:
            results.append(act(*arguments, **named))
        return results[0]

    return first


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.long
def test_a_fit_and_its_report_end_the_same_after_a_fault_at_every_operation(
    failing_disk, tmp_path, monkeypatch, capsys
):
    fits = Fits(failing_disk, tmp_path, monkeypatch)
    assert {"run.toml", "model.thalweg", "report.html", "results/report.json"} <= set(fits.left)
    operations, seen = len(fits.undisturbed.operations), []
    for k in range(operations + 1):
        for image in fits.undisturbed.images(k):
            if image not in seen:
                seen.append(image)
                fits.ends_the_same(failing_disk.restored(image, tmp_path / f"cut-{len(seen)}"))
    for error, lasting in ((errno.ENOSPC, True), (errno.EIO, False)):
        for k in range(operations):
            if error != errno.ENOSPC or fits.undisturbed.allocating[k]:
                fits.after_an_error(error, k, lasting)
    with capsys.disabled():
        print(
            f"\n{operations} operations: {len(seen)} states of the disk after power cuts and "
            f"{fits.count - len(seen)} errors carried out again to the same files"
        )


def test_a_checkpoint_is_the_old_or_the_new_one_after_a_fault_at_every_operation(failing_disk, tmp_path):
    def saved(folder, **faults):
        with failing_disk.FailingDisk(folder, **faults).installed() as disk:
            for epoch in (1.0, 2.0):
                save(folder / "checkpoint.npz", {"epoch": np.full(3, epoch)}, "run")
        return disk

    (tmp_path / "undisturbed").mkdir()
    undisturbed = saved(tmp_path / "undisturbed")
    found = []
    for k in range(len(undisturbed.operations) + 1):
        for number, image in enumerate(undisturbed.images(k)):
            file = failing_disk.restored(image, tmp_path / f"{k}-{number}") / "checkpoint.npz"
            if file.exists():
                found.append(restored(file, {"epoch": np.zeros(3)}, "run")["epoch"][0])
    assert set(found) == {1.0, 2.0}
    for k in range(len(undisturbed.operations)):
        folder = Path(tmp_path / f"full-{k}")
        folder.mkdir()
        if undisturbed.allocating[k]:
            with pytest.raises(OSError, match="No space left on device"):
                saved(folder, fault=failing_disk.Fault(errno.ENOSPC, k, lasting=True))
        saved(folder)
        assert [path.name for path in folder.iterdir()] == ["checkpoint.npz"]
        assert restored(folder / "checkpoint.npz", {"epoch": np.zeros(3)}, "run")["epoch"][0] == 2.0
