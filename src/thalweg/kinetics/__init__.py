"""States, rates and ways: Markov models and what they answer.

From frames to states (``states/``), to counts of transitions (``counts/``), to a transition matrix (``estimation/``),
with tests of its memory and error bars (``validation/``); lumped to few states (``macrostates/``), cored (``cores/``)
or hidden (``hidden/``); ``reactions/`` has committors, passage times and pathways.

=====================================  ========================================================
wanted                                 take
=====================================  ========================================================
everything from features in one call   `MarkovPipeline`, or `ModelScan` over settings
a model of discrete trajectories       `MarkovStateModel`, with error bars `posterior`, `bootstrap`
is the lag long enough                 `ImpliedTimescales`, `chapman_kolmogorov`
few long-lived states                  `metastable_sets` (PCCA+), `HiddenMarkovModel`
memory that does not fade              `QuasiMarkov`, `CoreSets`
=====================================  ========================================================
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
