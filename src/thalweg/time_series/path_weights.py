r"""Path weights: what a biased run says of the unbiased dynamics, step by step and exactly [donati2017].

A step of the biased process that drew the noise :math:`\eta` is one of the unbiased process with
:math:`\eta + \Delta`, and the ratio of the probabilities of a path of steps is

.. math::  \ln M = -\sum_n \Big(\eta_n \cdot \Delta_n + \tfrac12 |\Delta_n|^2\Big), \qquad \Delta_n = c\, f_b(x_n)

with the force :math:`f_b` of the bias. The integrator decides what a force is worth in noise:

- overdamped, Euler-Maruyama: :math:`c = \sqrt{D\, \Delta t / 2} / kT`,
- Langevin, ABOBA: :math:`c = \frac{\Delta t}{2} (1 + d) / \sqrt{(1 - d^2)\, m\, kT}`, :math:`d = e^{-\gamma \Delta t}`
  [kieninger2021].

The running sum of :math:`\ln M` is a column of `Trajectories`, ``log_path``: a pair then has the weight of its first
frame times :math:`M` of the path between its ends. Weights spread with the length of the path: lag times must be
short, or the bias gentle.
"""

from __future__ import annotations

import numpy as np

from thalweg.shapes import Float


def overdamped_response(diffusion: float, dt: float, kT: float) -> float:
    """Noise that a force is worth in a step of Euler and Maruyama [1 / (kJ/mol/nm)].

    Parameters
    ----------
    diffusion : [nm^2/ps]
    dt : time step [ps]
    kT : [kJ/mol]
    """
    return float(np.sqrt(diffusion * dt / 2) / kT)


def langevin_response(
    masses: Float[np.ndarray, " particles"], friction: float, dt: float, kT: float
) -> Float[np.ndarray, " particles"]:
    """Noise that a force on each particle is worth in an ABOBA step [1 / (kJ/mol/nm)].

    Parameters
    ----------
    masses : [amu]
    friction : [1/ps]
    dt : time step [ps]
    kT : [kJ/mol]
    """
    damping = np.exp(-friction * dt)
    return dt / 2 * (1 + damping) / np.sqrt((1 - damping**2) * masses * kT)


def log_path_weights(
    bias_forces: Float[np.ndarray, "steps ..."],
    noise: Float[np.ndarray, "steps ..."],
    response: float | np.ndarray,
    stride: int = 1,
) -> Float[np.ndarray, " frames"]:
    """Running logarithm of the path weight at frames ``stride`` steps apart, zero at the first.

    Parameters
    ----------
    bias_forces : force of the bias at the start of every step
    noise : standard normal numbers that the steps drew, in the same shape
    response : of `overdamped_response` or `langevin_response`, in a shape that multiplies the forces
    stride : steps between frames

    Returns
    -------
    ``steps // stride + 1`` numbers: the column ``log_path`` of a trajectory that begins with the starting point

    Raises
    ------
    ValueError
        If forces and noise differ in shape or are not finite.

    Examples
    --------
    >>> log_path_weights(np.ones((4, 1)), np.zeros((4, 1)), 2.0, stride=2).tolist()
    [0.0, -4.0, -8.0]
    """
    if bias_forces.shape != noise.shape:
        raise ValueError(
            f"forces of shape {bias_forces.shape} and noise of shape {noise.shape} must be of the same steps"
        )
    if not (np.isfinite(bias_forces).all() and np.isfinite(noise).all()):
        raise ValueError(
            "forces and noise must be finite; cut the trajectory before the step where they are not"
        )
    # Delta = c f_b, and ln M -= eta . Delta + |Delta|^2 / 2 at every step
    shift = response * bias_forces
    steps = -(noise * shift + shift**2 / 2).reshape(len(shift), -1).sum(axis=1)
    return np.concatenate([[0.0], np.cumsum(steps)])[::stride]
