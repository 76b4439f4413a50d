"""What surroundings of atoms look like, as numbers that do not change when atoms turn, move or are exchanged.

``expansions/`` expand the density of neighbors (`SOAP`, `ACE`, `MomentTensors`, `Bispectrum`, `Scattering`);
`SymmetryFunctions` and `FCHL19` sum over pairs and triples; ``messages/`` are learned (`SchNet`, `PaiNN`, `DTNN`);
``molecules/`` describe a molecule as a whole. Take `ACE` for linear models, `SOAP` for kernels, `PaiNN` for networks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
