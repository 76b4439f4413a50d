"""Numbers read off positions: distances, angles, torsions, coordination, alignment; each is a differentiable variable.

A variable maps positions ``(atoms, 3, replicas)`` to values ``(values, replicas)``; `evaluate` measures it on frames.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
