"""Learning that is not about molecules: networks, optimizers, the training loop, splits, calibration, storage."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
