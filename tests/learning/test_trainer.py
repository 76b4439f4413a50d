"""The loop that trains: it descends, averages, stops, and goes on after an interruption as if nothing had been."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from thalweg.learning.optimizers import LBFGS, Adam
from thalweg.learning.perceptron import LinearLayer, Perceptron, shifted_softplus
from thalweg.learning.schedules import Constant, Cosine, Plateau
from thalweg.learning.trainer import Trainer

POINTS = np.random.default_rng(0).uniform(-1, 1, (64, 2)).astype(np.float32)
VALUES = (POINTS @ np.array([2.0, -1.0]) + 0.5).astype(np.float32)
BATCHES = [(POINTS[k : k + 16], VALUES[k : k + 16]) for k in range(0, 64, 16)]


def error(model, batch):
    points, values = batch
    return ((model(points)[:, 0] - values) ** 2).mean()


def line(seed=0):
    return LinearLayer.init(2, 1, jax.random.key(seed))


@pytest.mark.parametrize(
    "optimizer",
    [Adam(0.05), Adam(0.2, monotone=True), Adam(0.05, decay=1e-5)],
    ids=["Adam", "AMSGrad", "AdamW"],
)
def test_every_first_order_rule_finds_the_line_through_exact_data(optimizer):
    trained = Trainer(120, optimizer, average=0.5).fit(line(), error, BATCHES)
    np.testing.assert_allclose(trained.model.weight[:, 0], [2, -1], atol=5e-3)
    np.testing.assert_allclose(trained.model.bias, [0.5], atol=5e-3)


def test_quasi_newton_solves_a_quadratic_problem_to_rounding_in_few_iterations():
    trained = Trainer(10, LBFGS(), average=0.0).fit(line(), error, BATCHES)
    assert trained.history.training[-1] < 1e-9


def test_a_run_cut_short_in_the_middle_of_an_epoch_ends_in_the_same_bits(tmp_path):
    network = Perceptron.init((2, 8, 1), jax.random.key(1))
    trainer = Trainer(6, Adam(0.01), Plateau(patience=1), average=0.9)
    whole = trainer.fit(network, error, BATCHES, held_out=BATCHES[:1], seed=3)

    class PowerCut(Exception):
        pass

    served = 0

    def fragile(generator):
        nonlocal served
        for k in generator.permutation(len(BATCHES)):
            served += 1
            if served == 4 + 14:
                raise PowerCut
            yield BATCHES[k]

    file = tmp_path / "run" / "checkpoint"
    with pytest.raises(PowerCut):
        trainer.fit(network, error, fragile, held_out=BATCHES[:1], seed=3, checkpoint=file)
    again = trainer.fit(network, error, BATCHES, held_out=BATCHES[:1], seed=3, checkpoint=file)
    for a, b in zip(jax.tree.leaves(whole.model), jax.tree.leaves(again.model), strict=True):
        assert (np.asarray(a) == np.asarray(b)).all()
    np.testing.assert_array_equal(whole.history.training, again.history.training)
    np.testing.assert_array_equal(whole.history.held_out, again.history.held_out)


def test_a_checkpoint_of_another_run_is_refused(tmp_path):
    file = tmp_path / "checkpoint"
    Trainer(1).fit(line(), error, BATCHES, checkpoint=file)
    with pytest.raises(ValueError, match="is the checkpoint of"):
        Trainer(2).fit(line(), error, BATCHES, checkpoint=file)
    with pytest.raises(ValueError, match="other shapes"):
        Trainer(1).fit(Perceptron.init((2, 3, 1), jax.random.key(0)), error, BATCHES, checkpoint=file)


def test_the_best_epoch_on_held_out_data_is_returned_and_patience_ends_the_run():
    """Held-out values contradict the training values: every step away from the start makes them worse."""
    start = LinearLayer(jnp.zeros((2, 1)), jnp.zeros(1))
    opposite = [(POINTS, -VALUES)]
    trained = Trainer(50, Adam(0.05), Constant(), average=0.0, patience=3).fit(
        start, error, BATCHES, held_out=opposite
    )
    assert trained.history.stopped
    assert trained.history.best == 0
    assert len(trained.history.training) == 4
    assert float(error(trained.model, opposite[0])) == pytest.approx(trained.history.held_out[0], rel=1e-6)


def test_one_hard_held_out_batch_does_not_choose_the_epoch():
    """Its loss is nearly all of the sum and grows while those of the others fall."""
    start = LinearLayer(jnp.zeros((2, 1)), jnp.zeros(1))
    hard = (POINTS, -100 * VALUES)
    trained = Trainer(8, Adam(0.01), Constant(), average=0.0).fit(
        start, error, BATCHES, held_out=[*BATCHES, hard]
    )
    assert float(error(trained.model, hard)) > float(error(start, hard)) > 100 * error(start, BATCHES[0])
    assert trained.history.best == 7


def test_averaged_weights_lie_between_first_and_last():
    kept = [Trainer(3, Adam(0.05), average=a).fit(line(), error, BATCHES).model for a in (0.0, 0.9)]
    start = line().weight
    assert (jnp.abs(kept[1].weight - start) < jnp.abs(kept[0].weight - start)).all()


def test_an_epoch_that_loses_what_was_learned_is_undone_at_half_the_rate():
    """Labels of one epoch are wild; with what it did to the weights, the others could not end as well as they do."""

    def wild(generator):
        epochs.append(len(epochs))
        scale = 1e3 if len(epochs) == 22 else 1.0  # batches are counted once before the first epoch
        return ((points, scale * values) for points, values in BATCHES)

    epochs: list[int] = []
    trained = Trainer(30, Adam(0.1), Constant(), average=0.0).fit(line(), error, wild)
    assert np.flatnonzero(trained.history.undone).tolist() == [20]
    assert trained.history.learning_rate[[20, 21]] == pytest.approx([0.1, 0.05])
    assert trained.history.training[21] < 2 * trained.history.training[19] + 1e-3


def test_steps_with_a_gradient_that_is_not_finite_are_not_taken():
    bad = (POINTS[:16], np.full(16, np.nan, np.float32))
    in_turn = [BATCHES[0], bad, BATCHES[1]]
    trained = Trainer(2, Adam(0.05)).fit(line(), error, lambda generator: iter(in_turn))
    assert trained.history.skipped.tolist() == [1, 1]
    assert np.isfinite(trained.model.weight).all()


def test_only_leaves_called_trainable_change():
    fixed = eqx.tree_at(lambda m: m.bias, jax.tree.map(lambda _: True, line()), False)
    trained = Trainer(2, Adam(0.05)).fit(line(), error, BATCHES, trainable=fixed)
    assert (trained.model.bias == line().bias).all()
    assert (trained.model.weight != line().weight).all()


def test_numpy_arrays_are_constants_of_the_model():
    start = eqx.tree_at(lambda m: m.bias, line(), np.ones(1, np.float32))
    trained = Trainer(2, Adam(0.05)).fit(start, error, BATCHES)
    assert (trained.model.bias == start.bias).all()
    assert (trained.model.weight != start.weight).all()


def test_nothing_to_train_on_and_a_bad_start_are_said():
    with pytest.raises(ValueError, match="no batches"):
        Trainer(1).fit(line(), error, [])
    with pytest.raises(ValueError, match="nan before training"):
        Trainer(1).fit(line(), error, [(POINTS, VALUES * np.nan)])
    with pytest.raises(ValueError, match="one shape"):
        Trainer(1, LBFGS()).fit(line(), error, [BATCHES[0], (POINTS[:3], VALUES[:3])])


def test_progress_tells_the_fraction_done_and_the_time_left():
    told = []
    Trainer(3, Adam(0.01), Cosine()).fit(
        line(), error, BATCHES, progress=lambda message, fraction: told.append((message, fraction))
    )
    assert [round(fraction, 6) for _, fraction in told] == [round(k / 3, 6) for k in (1, 2, 3)]
    assert "left" in told[0][0]


def test_shifted_softplus_is_zero_at_zero_and_follows_its_argument_far_out():
    x = jnp.array([0.0, 30.0, -30.0])
    np.testing.assert_allclose(shifted_softplus(x), [0, 30 - np.log(2), -np.log(2)], atol=1e-6)


def test_an_unknown_nonlinearity_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="silu, tanh, softplus"):
        Perceptron.init((1, 2, 1), jax.random.key(0), "relu")


def only_near_the_start(model, batch):
    """The error, but not a number as soon as weights have gone some way."""
    far = jnp.abs(model.weight - line().weight).max() > 0.3
    return jnp.where(far, jnp.nan, error(model, batch))


def test_an_epoch_into_where_no_loss_is_a_number_is_undone_and_the_best_weights_are_kept():
    with pytest.warns(UserWarning, match="no loss was finite"):
        trained = Trainer(30, Adam(0.2), Constant(), average=0.0).fit(
            line(), only_near_the_start, BATCHES, held_out=BATCHES[:1]
        )
    history = trained.history
    lost = ~np.isfinite(history.held_out)
    assert history.undone[lost].all()
    np.testing.assert_allclose(history.learning_rate[:3], 0.2 * 0.5 ** np.cumsum([0, *lost[:2]]))
    assert float(error(trained.model, BATCHES[0])) == pytest.approx(np.nanmin(history.held_out), rel=1e-6)


def test_training_that_diverges_is_told_with_its_epoch():
    """From the fourth epoch on labels are no numbers."""

    def breaking(generator):
        epochs.append(len(epochs))
        bad = np.nan if len(epochs) > 4 else 1.0  # batches are counted once before the first epoch
        return ((points, bad * values) for points, values in BATCHES)

    epochs: list[int] = []
    with pytest.warns(UserWarning, match=r"no loss was finite from epoch 4 on.*after epoch 3.*learning_rate"):
        trained = Trainer(30, Adam(0.05), Constant(), average=0.0).fit(line(), error, breaking)
    assert trained.history.diverged == 3
    assert trained.history.stopped
    assert len(trained.history.training) == 3 + 5
    assert np.isfinite(trained.model.weight).all()
    assert "diverged" in trained.history.notes[0]


def test_training_without_any_finite_loss_is_refused():
    def breaking(generator):
        calls.append(1)
        bad = np.nan if len(calls) > 1 else 1.0
        return ((points, bad * values) for points, values in BATCHES)

    calls: list[int] = []
    with pytest.raises(ValueError, match="diverged: no loss of the first 5 epochs is finite"):
        Trainer(30, Adam(0.05)).fit(line(), error, breaking)


def test_steps_that_were_not_taken_are_told_with_their_epochs():
    bad = (POINTS[:16], np.full(16, np.nan, np.float32))
    trained = Trainer(3, Adam(0.05)).fit(line(), error, lambda generator: iter([BATCHES[0], bad]))
    assert "3 steps were not taken" in trained.history.notes[0]
    assert np.isfinite(trained.history.training).all()
    with pytest.warns(UserWarning, match="not finite on held-out batches"):
        Trainer(2, Adam(0.05)).fit(line(), error, BATCHES, held_out=[bad])
