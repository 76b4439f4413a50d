r"""Time-lagged independent component analysis: the slowest linear combinations of features.

.. math::  C_{0t}\, a_i = \lambda_i\, C_{00}\, a_i, \qquad t_i = -\tau / \ln|\lambda_i|

[molgedey1994] [perezhernandez2013]. It is the variational approach in the basis of the features, and estimated as
`VAC` is: unsymmetrized, weighted to stationarity, symmetrized.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from thalweg.collective_variables.bases.basis import Features
from thalweg.collective_variables.linear.vac import VAC


@dataclass(frozen=True)
class TICA(VAC):
    """Time-lagged independent component analysis; parameters as for `VAC`, whose basis is here the features.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> slow = np.zeros(20000)
    >>> for t in range(1, len(slow)):
    ...     slow[t] = 0.99 * slow[t - 1] + rng.standard_normal()
    >>> x = np.stack([slow + 5 * rng.standard_normal(20000), 5 * rng.standard_normal(20000)], axis=1)
    >>> model = TICA(lagtime=10, dim=1).fit(x)
    >>> model.estimate, bool(np.corrcoef(model.transform(x)[:, 0], slow)[0, 1] > 0.7)
    ('stationary', True)
    """

    basis: Features = field(init=False, default=Features())
