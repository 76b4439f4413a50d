"""Potentials learned from labels: representation x readout x baseline, in the folder of the mathematics.

A *recipe* is a learner on top of baselines and reference energies, and a paper is a short recipe (``recipes/``).
`Recipe(learner).fit(frames)` returns a `LearnedPotential` with a card: units, cutoff, elements, errors, uncertainty.

======================  ===================================================================
folder                  what it learns with
======================  ===================================================================
``linear/``             least squares: `Linear`, `SparseKernel`, `PolynomialFit`
``gradient_domain/``    kernels of forces: `GradientDomain`, `SiteGradientDomain`
``networks/``           `Network`, `MessagePassing`, trained by `GradientTraining`
``parametric/``         potentials of few parameters, core repulsion, force fields
``long_range/``         charges given, equilibrated or latent, and dipoles they induce
``frames/``             labels before learning: inspection, duplicates, reference energies
``uncertainty/``        committees, calibration, distance to the training set
``properties/``         dipoles, polarizabilities, shieldings, gaps: `PropertyKernel`
``terms/``              what all of them return
======================  ===================================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
