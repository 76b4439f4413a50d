"""Closed loops of simulating, learning and choosing: one campaign, one store, many policies.

A *policy* (``policies/``) plans tasks from what is stored; a *task* (``tasks/``) simulates, learns, chooses or weighs
and commits one entry; `Store` keeps entries whole or not at all; `drive` carries a campaign out, and the same call goes
on with one that was killed. Biases (``bias/``) act on any differentiable variable.
Ways between two states, their saddles and the coordinates along them are in ``paths/``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
