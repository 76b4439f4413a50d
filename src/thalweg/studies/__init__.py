"""Studies: what is asked as a TOML file (``tables/``), and carried out in a folder."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
