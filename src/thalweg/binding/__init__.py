"""Molecules that bind: complexes on grids, fast predictors of affinity, sites and poses, and splits that do not lie.

Numbers come in here, and go out: structures are read and chemistry is perceived in `thalweg.interop`, which hands over
positions, radii, channels, fingerprints and graphs.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
