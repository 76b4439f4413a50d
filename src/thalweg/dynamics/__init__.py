"""What moves atoms: integrators, constraints, engines, and watching whether a run holds up.

`NativeEngine` runs many replicas of one small system in one compiled loop under any potential and any differentiable
bias; the integrator is an object, `Langevin` where nothing else is wanted. Other engines are in `thalweg.interop`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
