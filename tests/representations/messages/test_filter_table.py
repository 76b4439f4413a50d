"""Tables of learned functions of distances give the features of the functions themselves."""

from __future__ import annotations

import jax
import numpy as np
import pytest

from thalweg.representations.messages.dtnn import DTNN
from thalweg.representations.messages.schnet import SchNet
from thalweg.systems.configuration import Configuration

FRAME = Configuration(np.array([6, 8, 8]), np.array([[0, 0, 0], [0.12, 0, 0], [0, 0.15, 0.2]]))


@pytest.mark.parametrize("messages", [SchNet(0.4, 2, 6, 8), DTNN(0.4, 2, 6, 5, 8)], ids=["SchNet", "DTNN"])
def test_features_of_tables_are_those_of_the_filters(messages):
    learned = messages.init((6, 8), 2.0, jax.random.key(0))
    exact, quick = (one.features([FRAME])[0] for one in (learned, learned.tabulated()))
    np.testing.assert_allclose(quick, exact, atol=1e-6 * np.abs(exact).max())
    assert (
        np.abs(exact - learned.features([Configuration(FRAME.numbers, 10 * FRAME.positions)])[0]).max() > 0.01
    )
