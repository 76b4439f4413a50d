r"""Standard free energies of binding: how much better a molecule is off bound than dissolved at one mole per liter.

The association constant is what the density of a guest around a host has more of than that of a guest far away
[woo2005, gilson1997],

.. math::  K = \int_{bound} \frac{\rho(x)}{\rho_\infty}\, dx = 4\pi \int_0^{r_b} e^{-w(r) / kT}\, r^2\, dr ,
           \qquad \Delta G^\circ = -kT \ln (K c^\circ),\quad c^\circ = 1\ \mathrm{mol/l} = 1 / 1.6605\ \mathrm{nm}^3 ,

with the potential of mean force :math:`w(r)` of their distance, zero far away. The density far away is that in a
spherical shell where the two no longer feel each other. Neither a wall behind the shell nor what lies between it and
the bound state changes K.
"""

from __future__ import annotations

import numpy as np
from scipy.integrate import trapezoid

from thalweg.shapes import Bool, Float
from thalweg.units import MOLAR


def standard_binding_free_energy(association_constant: float, kT: float) -> float:
    """``-kT ln(K c)`` [kJ/mol] of an association constant [nm^3] at ``c`` of one mole per liter.

    Parameters
    ----------
    association_constant : ``K`` [nm^3]
    kT : [kJ/mol]

    Examples
    --------
    >>> round(standard_binding_free_energy(1 / MOLAR, kT=2.5), 6) + 0.0                 # K = 1 l/mol
    0.0
    """
    return float(-kT * np.log(association_constant * MOLAR))


def shell_volume(shell: tuple[float, float]) -> float:
    """Volume [nm^3] between two spheres of these radii [nm].

    Raises
    ------
    ValueError
        If the shell is empty.

    Examples
    --------
    >>> round(shell_volume((0.0, 1.0)), 3)
    4.189
    """
    inner, outer = shell
    if not 0 <= inner < outer:
        raise ValueError(
            f"the shell from {inner:g} to {outer:g} nm is empty; give a least and a larger radius"
        )
    return float(4 / 3 * np.pi * (outer**3 - inner**3))


def constant_of_profile(
    distances: Float[np.ndarray, " points"], mean_force_potential: Float[np.ndarray, " points"], kT: float
) -> float:
    """The association constant [nm^3] of a potential of mean force along the distance, up to the last distance.

    Parameters
    ----------
    distances : of host and guest [nm], ascending, up to where they count as bound
    mean_force_potential : ``w`` at these [kJ/mol], zero where the two are far apart; the volume ``4 pi r^2 dr`` is
        not in it
    kT : [kJ/mol]

    Raises
    ------
    ValueError
        If there are fewer than two distances, or they do not ascend.

    Examples
    --------
    >>> r = np.linspace(0, 0.5, 1001)                               # a square well, 4 kT deep and 0.5 nm wide
    >>> float(round(constant_of_profile(r, np.full(1001, -4.0), 1.0) / (4 / 3 * np.pi * 0.5**3 * np.exp(4)), 4))
    1.0
    """
    r = np.asarray(distances, float)
    if len(r) < 2 or (np.diff(r) <= 0).any() or r[0] < 0:
        raise ValueError(f"{len(r)} distances that must ascend from zero or more; give two or more in order")
    return float(4 * np.pi * trapezoid(r**2 * np.exp(-np.asarray(mean_force_potential, float) / kT), r))


def constant_of_frames(
    bound: Bool[np.ndarray, " frames"],
    distances: Float[np.ndarray, " frames"],
    shell: tuple[float, float],
    log_weights: Float[np.ndarray, " frames"] | None = None,
) -> float:
    """The association constant [nm^3] of weighted frames, such as those of umbrella windows joined by `MBAR`.

    Parameters
    ----------
    bound : whether host and guest are bound in a frame
    distances : of host and guest [nm]
    shell : least and largest distance [nm] of what counts as far apart
    log_weights : of frames at equilibrium, up to a common constant; None for equal ones

    Returns
    -------
    float
        Zero where nothing is bound, infinite where nothing is far apart.

    Examples
    --------
    >>> r = np.array([0.1, 0.1, 0.1, 1.2])
    >>> round(constant_of_frames(r < 0.5, r, (1.0, 1.5)) / shell_volume((1.0, 1.5)), 6)
    3.0
    """
    r = np.asarray(distances, float)
    logs = np.zeros(len(r)) if log_weights is None else np.asarray(log_weights, float)
    weights = np.exp(logs - logs.max())
    far = weights @ ((r >= shell[0]) & (r < shell[1]))
    return float(weights @ bound / far * shell_volume(shell)) if far > 0 else np.inf
