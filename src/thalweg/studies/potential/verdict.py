"""Whether a finished potential holds: a run of some length, energy that is conserved, and nothing false far out."""

from __future__ import annotations

from dataclasses import dataclass

from thalweg.dynamics.stability import Stability, StabilityReport, stability
from thalweg.labeling.geometries.far_from_minimum import FarFromMinimum
from thalweg.learned_potentials.terms.learned_potential import LearnedPotential
from thalweg.report.results import Diagnosis
from thalweg.studies.analyzing import Told
from thalweg.studies.potential.beginning import Beginning
from thalweg.studies.tables.potential_study import LearnedStudy
from thalweg.units import Kelvin

STEP = 0.0005
"""Time step of the run [ps]."""


@dataclass(frozen=True)
class Verdict:
    """What came of trying a potential.

    Attributes
    ----------
    run : of dynamics
    far : of large displacements; None where there is a cell
    temperature : of the run [K]
    """

    run: StabilityReport
    far: FarFromMinimum | None
    temperature: Kelvin

    @property
    def holds(self) -> bool:
        """Whether all went well."""
        return self.run.stable and (self.far is None or self.far.holds)

    @property
    def sentence(self) -> str:
        """The verdict."""
        if self.holds:
            return (
                f"It holds: {self.run.duration:g} ps of dynamics without a break, and nothing false far out."
            )
        return "It does not hold: see what was tried."

    @property
    def checks(self) -> tuple[tuple[str, str], ...]:
        """What was tried and what came of it."""
        run, drift = self.run, self.run.drifts[0]
        lasted = "whole to the end" if run.stable else f"first failure at {run.time_of_failure:.4g} ps"
        tried = [
            (f"{run.duration:g} ps at {self.temperature:g} K", lasted),
            ("longest bond over its length", f"{run.longest_bond:.2f}"),
            ("closest atoms over their radii", f"{run.closest:.2f}"),
            (f"drift at constant energy, steps of {1e3 * STEP:g} fs", f"{drift:.2g} kT per atom and ps"),
        ]
        if self.far is not None:
            tried.append(("along modes and bonds, let go", str(self.far)))
        return tuple(tried)

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What went wrong."""
        told = [Diagnosis("problem", said) for _, said in self.run.failures.values()]
        if self.far is not None and not self.far.holds:
            told.append(Diagnosis("problem", f"Far from the minimum: {self.far}."))
        return tuple(told)


def verdict_on(
    potential: LearnedPotential, far: FarFromMinimum | None, begun: Beginning, study: LearnedStudy, told: Told
) -> Verdict:
    """Run ``potential`` at the highest temperature it was taught; ``far`` is what large displacements showed."""
    told("dynamics", 0.1)
    hottest = max(study.learning.temperatures)
    settings = Stability(
        temperature=hottest,
        duration=study.potential.run,
        dt=STEP,
        steps=(STEP,),
        drift_duration=0.5,
        replicas=1,
        seed=study.potential.seed,
    )
    run = stability(potential, begun.minimum, settings)
    told("done", 1.0)
    return Verdict(run, far, hottest)
