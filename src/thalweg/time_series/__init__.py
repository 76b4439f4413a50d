"""Frames in time: trajectories in blocks, the pairs a lag apart, weights of biased runs, error bars by resampling.

`Trajectories` is what every estimator of `thalweg.collective_variables` and `thalweg.kinetics` eats: walks of different
lengths, from arrays or files beyond memory, with ``dt`` and perhaps a weight per frame. Data of biased runs come in as
`AcceleratedTrajectories` (time goes faster under a bias) or with weights of paths (`log_path_weights`). `resample` and
`ShuffleSplit` say how far a number can be trusted.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
