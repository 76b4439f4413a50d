"""Coarse-graining: beads for groups of atoms, energies of beads fitted to what atoms do, and whether they are right.

A `BeadMapping` says where beads are, a `ForceMap` what pushes them, `mapped_frames` makes `BeadFrames` of both. What a
coarse potential is a sum of are *interactions* (``interactions/``): functions of bonds, angles, dihedrals and pairs,
linear in their coefficients. These are found (``fitting/``) by

================================  ==========================================================================
``ForceMatching``                 least squares of mapped forces: one pass, closed form; needs forces
``RelativeEntropy``               the likeliest model of the frames; simulates itself; needs no forces
``BoltzmannInversion``            each coordinate's own distribution; a prior, or an ideal gas of bonds
``IterativeBoltzmannInversion``   pair potentials until the liquid's radial distributions agree
``NetworkForceMatching``          networks of internal coordinates on a prior
``EnvironmentForceMatching``      kernels or networks of a bead's whole surroundings on a prior, for liquids
``TemperatureForceMatching``      forces of several temperatures: an energy and an entropy part
================================  ==========================================================================

`KernelPoints` are an interaction as well: a Gaussian process of internal coordinates. `denoised` makes forces less
noisy, and so does `HeldDynamics`, which averages them while springs hold the beads. `ChainDensityRatio` needs neither
forces nor a model: a classifier of real against fake conformations, for chains of any length. `compare_models` judges a
model by its free energy, distributions and time scales, not by the loss (``judgement/``).
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
