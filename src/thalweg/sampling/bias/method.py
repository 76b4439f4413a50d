"""How to drive a variable that is not known yet: settings of a bias, which becomes one when the variable is there."""

from __future__ import annotations

from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from thalweg.dynamics.engine import Bias, Variable
from thalweg.shapes import Float


class Limits(NamedTuple):
    """Where a variable is to be biased.

    Attributes
    ----------
    lower, upper : (values,) between which it is driven
    widths : (values,) half the spread of the variable within a state
    """

    lower: Float[np.ndarray, " values"]
    upper: Float[np.ndarray, " values"]
    widths: Float[np.ndarray, " values"]


@runtime_checkable
class BiasMethod(Protocol):
    """Settings of a bias: what ``[campaign.bias]`` of a study names. A frozen dataclass of plain data.

    Attributes
    ----------
    cites : keys of the works to cite
    """

    cites: ClassVar[tuple[str, ...]]

    def on(self, variable: Variable, limits: Limits, kT: float, dt: float) -> Bias:
        """The bias of ``variable``, not yet grown, in dynamics at ``kT`` [kJ/mol] in steps of ``dt`` [ps].

        Raises
        ------
        ValueError
            If it cannot act on such a variable, for example on so many values.
        """
        ...
