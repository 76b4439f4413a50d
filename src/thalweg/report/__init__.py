"""Pages: what a run, a fit or an evaluation found, as one file that opens offline, and the figures alone.

`figure` draws the result of any estimator; `write_report` and `write_potential_report` write a page with its numbers.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
