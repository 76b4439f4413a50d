"""Systems with exact answers: potentials, chains and generators whose spectra, committors and times are known."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
