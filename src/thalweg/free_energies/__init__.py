"""Weights and surfaces: what many runs, each under its own bias, say together.

`MBAR` weighs frames of any number of biased runs; `FreeEnergySurface` turns weighed frames into a surface with an error
map; `free_energy_difference` compares two states over independent runs and says whether they agree.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
