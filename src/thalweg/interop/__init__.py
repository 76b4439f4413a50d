"""The border: the one room that imports other programs, and where units end.

``openmm/``, ``ase/``, ``lammps/``, ``quantum/`` are other programs under their names; ``files/`` reads and writes what
they leave; ``formulas/`` writes our variables as input of PLUMED, Colvars and OpenMM; ``measured/`` measures features
of trajectories by MDTraj; ``cluster/`` runs campaigns on the workers of Dask.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
