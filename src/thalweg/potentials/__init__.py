"""Energies that are known: force-field terms, implicit solvent, pairs, restraints, expressions; they add.

An energy is a function of positions (and a box), and its force is its gradient; see `Energy`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
