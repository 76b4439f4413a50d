r"""Steps by the free energy over the mass, so that smoothness asked of forces says nothing of masses.

Where friction is weak, trajectories tell accelerations :math:`F' / m` to a part in a hundred and the mass to a part in
twenty. A prior of the roughness of F then leans on the mass, since light particles need smooth F for the same
accelerations: by :math:`\lambda F^T S F`, one unit of log-likelihood for each function of F that the data determine, or
most of a standard error of mass, friction and barrier alike. In the coordinates

.. math:: a = F / \bar m, \qquad \ln \bar m = \frac{1}{d} \sum_d \langle \ln m_d \rangle

the roughness of a is free of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from thalweg.kinetics.langevin.likelihoods.inertial_steps import InertialSteps
from thalweg.kinetics.langevin.likelihoods.scoring import ScoredFit, StepEvidence


@dataclass(frozen=True)
class AccelerationSteps:
    """Steps, and what they say at coefficients of F over the mass and those of everything else.

    Attributes
    ----------
    steps : by coefficients of F itself
    mean_log_mass : (parameters,), the mean of ``ln m`` over frames and variables by the parameters
    """

    steps: InertialSteps
    mean_log_mass: np.ndarray

    @classmethod
    def of(cls, steps: InertialSteps, mass_row: np.ndarray) -> AccelerationSteps:
        """With the mean ``mass_row`` (functions,) of the functions of ``ln m`` over the frames."""
        layout, mean = steps.layout, np.zeros(steps.layout.size)
        for d in range(layout.dims):
            mean[layout.blocks[f"mass{d}"]] = mass_row / layout.dims
        return cls(steps, mean)

    def _scaled(self, theta: np.ndarray, sign: float) -> np.ndarray:
        energy, found = self.steps.layout.blocks["energy"], np.array(theta, float)
        found[energy] *= np.exp(sign * self.mean_log_mass @ theta)
        return found

    def accelerations(self, theta: np.ndarray) -> np.ndarray:
        """Parameters with F over the mass, of those with F."""
        return self._scaled(theta, -1.0)

    def energies(self, theta: np.ndarray) -> np.ndarray:
        """Parameters with F, of those with F over the mass."""
        return self._scaled(theta, 1.0)

    def _jacobian(self, theta: np.ndarray) -> np.ndarray:
        """Derivative of parameters with F by those with F over the mass."""
        energy, found = self.steps.layout.blocks["energy"], np.eye(len(theta))
        scale = np.exp(self.mean_log_mass @ theta)
        found[energy] *= scale
        found[energy] += scale * np.outer(theta[energy], self.mean_log_mass)
        return found

    def __call__(self, theta: np.ndarray) -> StepEvidence:
        """What all steps say at ``theta``, with F over the mass."""
        found, slope = self.steps(self.energies(theta)), self._jacobian(theta)
        return StepEvidence(
            found.log_likelihood,
            found.score @ slope,
            slope.T @ found.information @ slope,
            found.block_scores @ slope,
        )

    def in_energies(self, found: ScoredFit) -> ScoredFit:
        """A fit in these coordinates, with F itself."""
        slope = self._jacobian(found.parameters)
        return replace(
            found,
            parameters=self.energies(found.parameters),
            covariance=slope @ found.covariance @ slope.T,
        )
