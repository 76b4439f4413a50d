"""Collective variables: few numbers that tell how far a slow or a large motion has gone.

One problem in some basis. *Trajectories* (`thalweg.time_series`) meet a *basis* (``bases/``), one pass sums
*covariances*, one *solve* gives functions with time scales and error bars (``linear/``); networks learn the basis
(``neural/``), memberships are fuzzy states (``memberships/``), maps of manifolds know no time (``manifold/``), and
``interpretation/`` says in words and formulas what a variable has found.

==============================================  ============================================================
wanted                                          take
==============================================  ============================================================
slow motions, features are linear enough        `TICA`; many features: `SparseTICA`
slow motions, short data, no tuning             `KernelTICA`
slow motions of a known basis                   `VAC` (equilibrium) or `VAMP` (any data)
slow motions, much data, curved                 `SRV` (equilibrium), `VAMPnet` (any data)
fuzzy states                                    `DeepMarkovModel`, `FuzzyMarkovStateModel`
frequencies and decay                           `DMD`, `EDMD`
largest motions                                 `PCA`, `Autoencoder`
a curved sheet laid flat                        `Isomap`, `LTSA`, `HessianEigenmaps`, `MaximumVarianceUnfolding`
other maps of large motions                     `KernelPCA`, `ICA`, `MetricMDS`, `SketchMap`, `LaplacianEigenmaps`
the motion that goes with a function            `FunctionalModes`; not linear: `FunctionalNetwork`
what a variable means                           `loading_importance`, `Distillation`, `SymbolicRegression`
which residues make it                          `StabilitySelection`
contacts that come together                     `RestrictedBoltzmannMachine`
==============================================  ============================================================

A method is a frozen dataclass of settings; ``fit(data)`` returns its model, with ``transform``, ``timescales`` and
``timescale_errors``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
