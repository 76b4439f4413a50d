"""A Langevin model of a user's own variable, from the files that PLUMED wrote or columns of numbers: one page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from thalweg.interop.files.colvar import read_colvar
from thalweg.interop.files.evidence_of_files import check_given_once, spacing
from thalweg.kinetics.langevin.inertial import UnderdampedLangevin, UnderdampedModel
from thalweg.kinetics.langevin.overdamped import OverdampedLangevin
from thalweg.kinetics.langevin.ranking import rank_by_relaxation
from thalweg.kinetics.langevin.rates import RatesTable, rates_table
from thalweg.kinetics.langevin.whiteness import Whiteness, step_scan, whiteness
from thalweg.machine.links import check_links
from thalweg.machine.reading import reading
from thalweg.machine.versions import versions
from thalweg.report.accounting import citations
from thalweg.report.of_landscapes.files import write_langevin_report
from thalweg.report.of_landscapes.langevin_results import DrawnProfile, LangevinResults, RouteRates
from thalweg.report.page_parts import sentence
from thalweg.report.results import Diagnosis
from thalweg.report.rounding import significant, with_error
from thalweg.studies.analyses import Analyses
from thalweg.studies.analyzing import Told
from thalweg.studies.tables.language import StudyError
from thalweg.time_series.trajectories import Trajectories
from thalweg.units import quantity, thermal_energy, whole_multiple

KINDS = ("auto", "overdamped", "underdamped", "memory")
"""What ``--kind`` may be."""

LAGS = (1, 2, 5, 10, 20, 50)
"""Steps [frames] at which an overdamped model is tried where it is wrong at every frame."""

CHANCE = 2.58
"""Standard errors within which 99 % of correlations by chance lie."""


@dataclass(frozen=True)
class LangevinStudy:
    """What to model.

    Attributes
    ----------
    files : COLVAR files of PLUMED or Colvars, text or ``.npy`` files of columns; one trajectory each
    columns : names, or numbers counted from zero, of candidate variables; all if empty
    kind : one of `KINDS`; "auto" takes what the residuals ask for
    temperature, dt, lag : with units; dt what the files say if None, lag one frame if None
    period : of the variable, where files do not say
    """

    files: tuple[Path, ...]
    columns: tuple[str, ...] = ()
    kind: str = "auto"
    temperature: str = "300 K"
    dt: str | None = None
    lag: str | None = None
    period: float | None = None

    def __post_init__(self):
        if self.kind not in KINDS:
            raise StudyError(f'--kind "{self.kind}" is unknown; use one of {", ".join(KINDS)}')
        if self.period is not None and not self.period > 0:
            raise StudyError(f"--period {self.period}; give a positive number")


def langevin_of_files(asked: LangevinStudy, folder: Path, progress: Callable[[str], Told]) -> LangevinResults:
    """Model a user's own variable; the report goes into ``folder``.

    Raises
    ------
    ValueError, FileNotFoundError
        If a file or a setting is wrong; the message says which.
    """
    check_links(folder)
    check_given_once(asked.files)
    data, periods = _read(asked)
    kT = thermal_energy(quantity(asked.temperature, "temperature"))
    lagtime = 1 if asked.lag is None else whole_multiple(quantity(asked.lag, "time"), data.dt, "--lag")
    told, analyses = progress("fitting"), Analyses()
    ranked: tuple[tuple[str, float, float], ...] = ()
    chosen = 0
    if data.n_features > 1:
        method = OverdampedLangevin(kT=kT, lagtime=lagtime, periods=periods)
        ranking = rank_by_relaxation(method, data)
        ranked = tuple(
            (name, float(time), float(error))
            for name, time, error in zip(ranking.names, ranking.times, ranking.errors, strict=True)
        )
        chosen = ranking.columns[0]
    assert data.names is not None
    name, one = data.names[chosen], _column(data, chosen)
    period = [periods[chosen]]
    model, test, how = _fitted(asked.kind, one, kT, lagtime, period)
    told(name, 1.0)
    rates = analyses("the rates", lambda: _rates(model), None)
    results = LangevinResults(
        title=f"Motion along {name}",
        subtitle=f"{data.n_frames} frames of {len(data)} trajectories, {data.dt:g} ps apart, at {asked.temperature}",
        profiles=_profiles(model, name),
        rates=()
        if rates is None
        else tuple(
            RouteRates(route, rate, rates.errors.get(route, np.nan), rates.backward[route])
            for route, rate in rates.forward.items()
        ),
        correlations=(test.correlations[0], CHANCE / np.sqrt(max(test.steps, 1))),
        ranked=ranked,
        modeled=(f"{name} as {how}, steps of {model.pieces.tau:g} ps.",),
        found=_found(model, rates, analyses),
        certainty=(sentence(str(test)),),
        diagnoses=(
            *(Diagnosis("warning", sentence(note)) for note in model.notes),
            *(
                ()
                if test.white
                else (Diagnosis("problem", sentence(str(test)) + " Rates of it are not to be trusted."),)
            ),
            *analyses.diagnoses(),
        ),
        provenance={
            "settings": {"kind": asked.kind, "method": repr(model.method), "kT [kJ/mol]": f"{kT:.5g}"},
            "files": {path.name: str(path.resolve()) for path in asked.files},
            "versions": versions(),
        },
        citations=citations(("hummer2005", "palacio2022", "ljung1978")),
    )
    write_langevin_report(results, folder)
    return results


def _fitted(
    kind: str, data: Trajectories, kT: float, lagtime: int, periods: list[float | None]
) -> tuple[Any, Whiteness, str]:
    """The model, the test of its residuals, and what it is in words."""
    if kind in ("overdamped", "auto"):
        model = OverdampedLangevin(kT=kT, lagtime=lagtime, periods=periods).fit(data)
        test = whiteness(model)
        if test.white or kind == "overdamped":
            return model, test, "overdamped motion"
    hidden = 0 if kind == "underdamped" else "auto"
    model = UnderdampedLangevin(kT=kT, lagtime=lagtime, periods=periods, hidden=hidden).fit(data)
    test, memory = whiteness(model), model.hidden
    how = "motion with inertia" + (f" and a memory of {memory} exponentials" if memory else "")
    if test.white or kind != "auto":
        return model, test, how
    # nothing is right at this step: overdamped motion at a longer one may be
    longest = int(data.lengths.max()) // 10
    longer = [lagtime * k for k in LAGS[1:] if lagtime * k <= longest]
    if longer:
        scan = step_scan(OverdampedLangevin(kT=kT, periods=periods), data, longer)
        if scan.shortest is not None:
            place = scan.lagtimes.index(scan.shortest)
            return scan.models[place], scan.tests[place], "overdamped motion, right from this step on"
    return model, test, how


def _rates(model: Any) -> RatesTable | None:
    """Rates between two wells; None where the free energy has no two."""
    try:
        return rates_table(model)
    except ValueError as error:
        if "no two wells" in str(error):
            return None
        raise


def _profiles(model: Any, name: str) -> tuple[DrawnProfile, ...]:
    """Free energy, then friction and mass or diffusion, then the kernel."""
    energy = model.free_energy()
    x = energy.points[:, 0]
    drawn = [DrawnProfile("free energy [kJ/mol]", name, x, energy.values, energy.errors)]
    if isinstance(model, UnderdampedModel):
        friction = model.friction()
        drawn.append(
            DrawnProfile("friction [1/ps]", name, x, friction.values, friction.errors, logarithmic=True)
        )
        if model.hidden:
            longest = float(model.memory_times().values.max())
            times = np.linspace(0, 5 * longest, 101)
            kernel = model.kernel(times)
            drawn.append(
                DrawnProfile("memory kernel [1/ps²]", "time [ps]", times, kernel.values, kernel.errors)
            )
    else:
        diffusion = model.diffusion()
        quantity_name = "diffusion [unit²/ps]"
        drawn.append(
            DrawnProfile(quantity_name, name, x, diffusion.values, diffusion.errors, logarithmic=True)
        )
    return tuple(drawn)


def _found(model: Any, rates: Any, analyses: Analyses) -> tuple[str, ...]:
    """The barrier, the slowest time and the memory, in words."""
    sentences = []
    times = analyses("the slowest time", lambda: model.timescales(), None)
    if times is not None:
        value, error = float(times.value[0]), float(times.error[0])
        sentences.append(f"The slowest relaxation takes {with_error(value, error, 'ps')}.")
    if rates is not None:
        left, right = (significant(each) for each in rates.barrier)
        sentences.append(
            f"Wells at {rates.wells[0]:.3g} and {rates.wells[1]:.3g}; the barrier at {rates.top:.3g} is {left} kJ/mol "
            f"high from the left and {right} from the right."
        )
    else:
        sentences.append("The free energy has no two wells with a barrier of half a kT between them.")
    if isinstance(model, UnderdampedModel) and model.hidden:
        memory = ", ".join(significant(float(each)) for each in model.memory_times().values)
        sentences.append(f"The motion remembers for {memory} ps.")
    return tuple(sentences)


def _read(asked: LangevinStudy) -> tuple[Trajectories, list[float | None]]:
    """The candidate variables along all files, with their periods."""
    blocks, names, periods, dt = [], None, None, None
    for path in asked.files:
        own_names, values, own_periods, own_dt = _columns(path)
        if names is not None and own_names != names:
            raise StudyError(
                f"{path} has the columns {', '.join(own_names)}, {asked.files[0]} {', '.join(names)}; give files with "
                "the same"
            )
        names, periods, dt = own_names, own_periods, dt or own_dt
        blocks.append(values)
    assert names is not None
    if asked.dt is not None:
        dt = quantity(asked.dt, "time")
    if dt is None:
        raise StudyError('the files do not say the time between frames; give it, such as --dt "1 ps"')
    places = [_place(column, names) for column in asked.columns] or list(range(len(names)))
    chosen = Trajectories(
        [block[:, places] for block in blocks], dt=dt, names=tuple(names[k] for k in places)
    )
    known = [
        asked.period if asked.period is not None else (periods or [None] * len(names))[k] for k in places
    ]
    return chosen, known


def _columns(path: Path) -> tuple[tuple[str, ...], np.ndarray, list[float | None] | None, float | None]:
    """Names, values ``(frames, columns)``, periods and time between frames [ps] of one file, as far as it says."""
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix == ".npy":
        with reading(path, "an array of columns", "write it by numpy.save"):
            values = np.load(path, allow_pickle=False)
    elif path.read_bytes()[:1] == b"#":
        found = read_colvar(path)
        return found.names, found.values, list(found.periods), spacing(found.clock)
    else:
        with reading(path, "columns of numbers", "separate them by spaces"):
            values = np.loadtxt(path)
    values = np.atleast_2d(values.T).T if values.ndim == 1 else values
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.number):
        raise StudyError(f"{path} has shape {values.shape}; give (frames, columns) of numbers")
    return tuple(f"column {k}" for k in range(values.shape[1])), values.astype(float), None, None


def _place(column: str, names: tuple[str, ...]) -> int:
    if column in names:
        return names.index(column)
    if column.isdigit() and int(column) < len(names):
        return int(column)
    raise StudyError(f'--column "{column}" is not there; the files have {", ".join(names)}')


def _column(data: Trajectories, column: int) -> Trajectories:
    assert data.names is not None
    return replace(
        data, blocks=[np.asarray(block)[:, [column]] for block in data.blocks], names=(data.names[column],)
    )
