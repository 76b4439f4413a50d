"""Labels and the frames worth labeling: levels of theory, geometries to ask them about, and choice among these.

A *level* (`Level`) is a program with its settings: `KnownPotential` here, `TightBinding` and `MolecularOrbitals` in
`thalweg.interop`. *Geometries* (``geometries/``) come from normal modes, short dynamics, strained and rattled cells, or
conformers of a molecule. `thalweg.sampling.label` asks a level about frames and keeps what it says.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
