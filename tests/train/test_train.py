"""The engine: it learns, bit for bit reproducibly, without ever compiling twice, whatever is plugged in."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from networks import SMALL, make_trainer

from snnlab import losses, models
from snnlab.config import LstmConfig, SnnConfig
from snnlab.encode import Latency, Rate
from snnlab.errors import ArgumentError, DivergenceError, StateError
from snnlab.history import column_of, term_names
from snnlab.layers import LSTM, Expon, Leaky, LifRef, Projection, Stack
from snnlab.live.figure import figure
from snnlab.live.frames.status import Recorded
from snnlab.record import Record
from snnlab.surrogate import arctan, make_surrogate
from snnlab.train import Trainer
from snnlab.train.step import _compiled
from snnlab.variables import Live


def weights(trainer) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(trainer.state.params)]


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(weights(a), weights(b), strict=True))


def test_reports_tell_the_run(small):
    reports = list(trainer := make_trainer(small, loss=losses.Classification(l1=1e-3, l2=1e-3)))
    assert [r.phase for r in reports if r.phase == "epoch"] == ["epoch", "epoch"]
    assert reports[-1].step == reports[-1].total_steps == len(trainer.history) == 16
    steps = trainer.history.steps()
    names = {"epoch", "loss", "accuracy", "cross_entropy", "l1", "l2", "spikes_per_sample", "grad_norm"}
    assert set(steps) == names
    np.testing.assert_allclose(steps["loss"], steps["cross_entropy"] + steps["l1"] + steps["l2"], rtol=1e-5)
    np.testing.assert_allclose(steps["l1"], 1e-3 * steps["spikes_per_sample"], rtol=1e-5)
    result = trainer.history.epochs[-1]
    np.testing.assert_allclose(result["train_loss"], steps["loss"][8:].mean())
    assert set(result["terms"]) == {"cross_entropy", "l1", "l2"} and result["samples_per_second"] > 0


def test_terms_may_have_any_names(small):
    """The sum of the terms is minimized whatever they are called, to the bit, and every term has its curve."""
    odd = ["loss", "accuracy", "grad_norm", "spikes_per_sample", "epoch", "test_loss", "test_acc", "ghost:loss"]
    odd += ["term loss", "term term loss", "terms.loss", "model", ""]

    def trained(names):
        def loss(record, labels):
            spikes = sum(map(losses.spike_l1, record.counts.values()))
            more = {name: 0.001 * k * spikes for k, name in enumerate(names) if k}
            return {names[0]: losses.cross_entropy(record.peak, labels)} | more

        trainer = make_trainer(small, loss=loss, epochs=1)
        trainer.fit()
        return trainer

    plain = [f"t{k}" for k in range(len(odd))]
    expected, found = trained(plain), trained(odd)
    assert same(expected, found)
    columns = [column_of(name) for name in odd]
    assert set(term_names(found.metric_names)) == set(columns) and len(set(columns)) == len(odd)
    steps = found.history.steps()
    assert len(steps) == len(expected.history.steps())
    for usual, column in zip([*plain, "loss", "accuracy"], [*columns, "loss", "accuracy"], strict=True):
        np.testing.assert_array_equal(steps[column], expected.history.steps()[usual])
    rows = [trainer.history.epochs[-1] for trainer in (expected, found)]
    assert rows[1]["terms"] == {name: rows[0]["terms"][usual] for name, usual in zip(columns, plain, strict=True)}
    assert all(rows[1][name] == rows[0][name] for name in ("test_loss", "test_acc", "epoch"))
    run = Recorded(found.history, found.steps_per_epoch)
    whole = figure(run, terms=columns, spiking=True, earlier=(), total_steps=found.total_steps)
    drawn = [trace.meta for trace in whole.data]
    assert set(columns) <= set(drawn) and len(drawn) == len(set(drawn))


@pytest.mark.parametrize(
    ("returned", "said"),
    [({}, "returned no term"), ({1: 0.0}, "must be a string, got 1"), ({"a": jnp.ones(2)}, r"'a' must be one number")],
)
def test_terms_that_are_none(small, returned, said):
    with pytest.raises(ArgumentError, match=said):
        make_trainer(small, loss=lambda record, labels: returned)


@pytest.mark.parametrize(("config", "rate"), [(SMALL, 5e-3), (LstmConfig(hidden=48), 1e-2)], ids=["snn", "lstm"])
def test_it_learns_real_digits(digits, config, rate):
    trainer = make_trainer(digits, config, epochs=8, learning_rate=rate)
    trainer.fit()
    first, last = trainer.history.epochs[0], trainer.history.epochs[-1]
    assert last["test_acc"] > 0.85 and last["train_loss"] < 0.6 * first["train_loss"]


def test_test_metrics_are_those_of_the_whole_test_set(digits):
    """100 samples in batches of 32, 32, 32 and 4: the means are over samples, not over batches."""
    part = digits.subset(train=256, test=100)
    trainer = make_trainer(part, loss=losses.Classification())
    trainer.fit()
    call = nnx.jit(lambda model, x: model(x))
    records = [call(trainer.model, part.x_test[k : k + 32]) for k in range(0, 100, 32)]
    scores = jnp.concatenate([record.readout.max(0) for record in records])
    counts = jnp.concatenate([record.spikes["hidden"].sum(0) for record in records])
    result, labels = trainer.history.epochs[-1], jnp.asarray(part.y_test)
    np.testing.assert_allclose(result["test_acc"], losses.accuracy(scores, labels), atol=1e-6)
    np.testing.assert_allclose(result["test_loss"], losses.cross_entropy(scores, labels), rtol=1e-5)
    np.testing.assert_allclose(result["spikes_per_sample"], losses.spike_l1(counts), rtol=1e-5)


@pytest.mark.parametrize(
    "encoder",
    [Latency(num_steps=40), pytest.param(Rate(num_steps=40), marks=pytest.mark.endure)],
    ids=["latency", "rate"],
)
def test_same_seed_same_bits(small, encoder):
    def run(seed):
        net = models.snn(SMALL, sample_shape=(8, 8), num_classes=10, rngs=nnx.Rngs(params=0))
        net.encoder = encoder
        trainer = Trainer(net, small, epochs=2, batch_size=32, seed=seed)
        trainer.fit()
        return trainer

    assert same(run(3), run(3))
    assert not same(run(3), run(4))


def test_cutting_a_run_into_pieces_does_not_change_its_bits(small):
    """Chunk lengths depend on the clock, and a user stops and goes on at will: neither may show in the weights."""
    whole, pieces = make_trainer(small), make_trainer(small)
    whole.fit()
    while not pieces.done:
        for report in pieces:
            pieces._steps_in_chunk = 1 + report.step % 3
            if report.phase == "train" and report.step % 4 == 0:
                break
    assert same(whole, pieces) and len(pieces.history) == 16
    np.testing.assert_array_equal(whole.history.steps()["loss"], pieces.history.steps()["loss"])
    assert whole.history.epochs[-1]["test_acc"] == pieces.history.epochs[-1]["test_acc"]


def test_nothing_is_compiled_again_after_any_knob_move(small):
    trainer = make_trainer(small, loss=losses.Classification(l1=1e-4, l2=1e-4, min_rate=1.0, max_rate=100.0))
    knobs = list(trainer.mailbox.knobs.values())
    assert {
        "hidden.tau_mem",
        "hidden.tau_syn",
        "hidden.v_th",
        "hidden.slope",
        "l1",
        "l2",
        "learning_rate",
    } <= {knob.name for knob in knobs}
    for report in trainer:
        for knob in knobs:
            trainer.set({knob.name: (1.0 + 0.01 * report.step) * knob.value + 1e-6})
    moved = [move["knob"] for move in trainer.history.interventions]
    assert all(moved.count(knob.name) >= 2 for knob in knobs)
    assert trainer.compilations == 1


def test_equal_structures_share_a_program(small):
    """And not their values: each has the bits that it has alone."""

    def fitted(seed, **options):
        net = models.build(SMALL, sample_shape=(8, 8), num_classes=10, seed=seed)
        trainer = Trainer(net, small, **{"epochs": 2, "batch_size": 32} | options)
        trainer.fit()
        assert trainer.compilations == 1
        return trainer

    one, two, larger = fitted(1), fitted(2), fitted(1, batch_size=64)
    assert one.runner._chunk is two.runner._chunk and one.runner._chunk is not larger.runner._chunk
    assert not same(one, two)
    _compiled.cache_clear()
    alone = fitted(2)
    assert alone.runner._chunk is not two.runner._chunk and same(alone, two)


@pytest.mark.parametrize(
    "where", ["loss", *(pytest.param(where, marks=pytest.mark.endure) for where in ("model", "optimizer"))]
)
def test_code_of_the_user_is_read_anew(small, where):
    """It may use a global that has another value by now."""
    scale = 1.0
    usual = losses.Classification()

    def loss(record, y):
        return {"mine": scale * losses.cross_entropy(record.peak, y)}

    class Mine(models.Network):
        def __call__(self, x, key=None):
            record = super().__call__(x, key=key)
            return Record(readout=scale * record.readout, layers={})

    plain = optax.sgd(0.1)
    scaled = plain._replace(update=lambda *args, **more: jax.tree.map(lambda u: scale * u, plain.update(*args, **more)))

    def loss_after_some_steps():
        net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
        if where == "model":
            net = Mine(net.encoder, net.stack)
        optimizer = scaled if where == "optimizer" else None
        trainer = Trainer(net, small, loss=loss if where == "loss" else usual, optimizer=optimizer, batch_size=32)
        return trainer.fit(until=4).steps()["loss"][-1]

    before = loss_after_some_steps()
    assert loss_after_some_steps() == before
    scale = 2.0
    assert loss_after_some_steps() != before


def test_what_decides_whether_a_program_is_shared(small):
    def identity(surrogate="arctan"):
        neurons = LifRef(16, surrogate=surrogate)
        hidden, out = Projection(64, neurons, rngs=nnx.Rngs(0)), Projection(16, Leaky(10), rngs=nnx.Rngs(0))
        net = models.Network(Latency(num_steps=20), Stack(hidden=hidden, out=out))
        return Trainer(net, small, batch_size=32).stepper.structure.identity

    usual, own = identity(), make_surrogate(lambda x, slope: 1.0 / (1.0 + slope * abs(x)), arctan.smooth)
    assert usual is not None and identity() == usual
    assert identity("sigmoid") not in (None, usual) and identity(own) is None


def test_a_program_knows_its_backend(small, monkeypatch):
    """Runs on two backends share none, and none is traced for a backend that it is not filed under."""

    def trainer():
        return Trainer(models.build(SMALL, sample_shape=(8, 8), num_classes=10), small, batch_size=32)

    _compiled.cache_clear()
    usual = trainer()
    monkeypatch.setenv("SNNLAB_KERNELS", "reference")
    other = trainer()
    assert usual.runner._chunk is not other.runner._chunk and len(other.fit(until=1)) == 1
    with pytest.raises(StateError, match="SNNLAB_KERNELS: the backend was 'numba' when this run was made"):
        usual.fit(until=1)
    monkeypatch.delenv("SNNLAB_KERNELS")
    assert len(usual.fit(until=1)) == 1


def test_a_model_with_a_list_of_numbers(small):
    """Its graph has no hash, and needs none."""
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    net.sizes = [1, 2]
    trainer = Trainer(net, small, batch_size=32)
    assert trainer.stepper.structure.identity is None and len(trainer.fit(until=1)) == 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(trainer.stepper.structure.training)


def test_a_knob_reaches_the_step(small):
    """A threshold that no voltage reaches silences the layer from the next chunk on."""
    trainer = make_trainer(small)
    for report in trainer:
        if report.step == 1:
            trainer.set(v_th=1e6)
    moved = trainer.history.interventions[0]
    spikes = trainer.history.steps()["spikes_per_sample"]
    assert moved["knob"] == "hidden.v_th" and moved["old"] == 1.0 and moved["new"] == 1e6
    assert moved["step"] == 1 and spikes[0] > 0 and (spikes[1:] == 0).all()


def test_learning_rate_knob_scales_the_step(small):
    """At learning rate 0 nothing moves."""
    trainer = make_trainer(small, schedule="constant")
    trainer.set(learning_rate=1e-6)
    before = weights(trainer)
    next(iter(trainer))
    assert max(np.abs(a - b).max() for a, b in zip(before, weights(trainer), strict=True)) <= 1.1e-6


@pytest.mark.parametrize(
    ("given", "lost"),
    [({"hidden": 100}, 0.0), ({"hidden": 101}, 0.1), ({"hidden": 101, "input_dropout": 0.0}, 0.0)],
)
def test_a_wide_layer_learns_without_a_tenth_of_its_input(given, lost):
    net = models.build(SnnConfig(**given, num_steps=40), sample_shape=(8, 8), num_classes=10)
    assert net.input_dropout == lost and net.deterministic


@pytest.mark.parametrize(("hidden", "pace"), [pytest.param(32, 1.0, marks=pytest.mark.endure), (100, 1.0), (400, 0.25)])
def test_the_readout_of_a_wide_layer_learns_more_slowly(small, hidden, pace):
    """Whatever the gradient, the first step of Adam is the learning rate: here times 100 / neurons."""
    trainer = make_trainer(small, SnnConfig(hidden=hidden, num_steps=40), learning_rate=1e-3)
    before = trainer.state.params["model"]["stack"]["layers"]
    next(iter(trainer))
    after = trainer.state.params["model"]["stack"]["layers"]
    steps = [np.abs(after[name]["kernel"][...] - before[name]["kernel"][...]).max() for name in ("hidden", "readout")]
    np.testing.assert_allclose(steps, [1e-3, pace * 1e-3], rtol=1e-3)


@pytest.mark.parametrize("centralize", [True, False])
def test_what_adam_sees_of_the_input_weights(small, centralize):
    """Their gradient, without its mean over the inputs; that of the readout as it is. Adam's mean is a tenth of it."""
    trainer = make_trainer(small, replace(SMALL, centralize=centralize))
    start, first = trainer.state, trainer.runner.batches(0, 1)[0]
    net = trainer.stepper.structure.merge(start)

    def objective(model):
        return sum(trainer.loss(model(small.x_train[first]), jnp.asarray(small.y_train[first])).values())

    grads = nnx.jit(nnx.grad(objective))(net["model"])["stack"]["layers"]
    hidden, readout = (np.asarray(grads[name]["kernel"][...]) for name in ("hidden", "readout"))
    mean = hidden.mean(0)
    assert np.abs(mean).max() > 0.1 * np.abs(hidden).max()
    next(iter(trainer))
    seen = optax.tree_utils.tree_get(trainer.state.opt_state, "mu")["model"]["stack"]["layers"]
    expected = {"hidden": hidden - mean * centralize, "readout": readout}
    for name, gradient in expected.items():
        np.testing.assert_allclose(seen[name]["kernel"][...], 0.1 * gradient, rtol=1e-4, atol=1e-8)


def test_it_trains_in_train_mode_and_tests_in_eval_mode(small):
    """As NNX's layers expect; the mode of the model itself stays what it was."""

    class Mode(nnx.Module):
        def __init__(self):
            self.bias, self.deterministic = nnx.Param(jnp.zeros(10)), False

        def __call__(self, x):
            sure = jnp.zeros((1, len(x), 10)).at[..., 0].set(1000.0)
            return sure * self.deterministic + self.bias

    trainer = Trainer(Mode(), small, epochs=1, batch_size=32)
    trainer.fit()
    result = trainer.history.epochs[-1]
    assert result["train_loss"] < 5.0 and result["test_loss"] > 500.0
    np.testing.assert_allclose(result["test_acc"], (small.y_test == 0).mean(), rtol=1e-6)
    assert not trainer.model.deterministic and trainer.snapshot().deterministic


def test_input_spikes_are_lost_in_training_only(small):
    net = models.build(replace(SMALL, input_dropout=1.0), sample_shape=(8, 8), num_classes=10)
    trainer = Trainer(net, small, epochs=1, batch_size=32)
    trainer.fit()
    spikes = trainer.history.steps()["spikes_per_sample"], trainer.history.epochs[-1]["spikes_per_sample"]
    assert spikes[0].max() == 0.0 and spikes[1] > 0.0
    x = jnp.asarray(small.x_test[:4])
    expected = net(x).readout
    np.testing.assert_array_equal(net(x, key=jax.random.key(3)).readout, expected)
    net.train()
    assert not net(x, key=jax.random.key(3)).readout.any()
    with pytest.raises(ArgumentError, match="key: input spikes are lost at random"):
        net(x)
    with pytest.raises(ArgumentError, match=r"input_dropout: must be a finite number >= 0\.0 and <= 1\.0, got 1\.5"):
        SnnConfig(input_dropout=1.5)


def test_the_model_passed_in_is_trained_also_after_a_break(small):
    trainer = make_trainer(small)
    start = np.asarray(trainer.model.stack.layers["hidden"].kernel[...])
    for report in trainer:
        if report.step >= 3:
            break
    kernel = np.asarray(trainer.model.stack.layers["hidden"].kernel[...])
    assert not np.array_equal(kernel, start)
    np.testing.assert_array_equal(kernel, trainer.snapshot().stack.layers["hidden"].kernel[...])


def test_learned_time_constants_and_thresholds_move_and_stay_in_range(small):
    taus = np.linspace(2.0, 20.0, 16)
    lif = LifRef(16, tau_mem=nnx.Param(taus), v_th=nnx.Param(0.5), dt=2.0)
    rngs = nnx.Rngs(0)
    net = models.Network(
        Latency(num_steps=20, dt=2.0),
        Stack(
            hidden=Projection(64, lif, synapse=Expon(16, tau_syn=nnx.Param(10.0), dt=2.0), rngs=rngs),
            out=Projection(16, Leaky(10, dt=2.0), rngs=rngs),
        ),
    )
    trainer = Trainer(net, small, optimizer=optax.adam(0.5), epochs=2, batch_size=32)
    trainer.fit()
    learned = np.asarray(lif.tau_mem[...])
    assert (np.abs(learned - taus) > 0.1).sum() > 8 and learned.min() >= 2.0
    assert float(lif.v_th[...]) >= 0.01 and "hidden.tau_mem" not in trainer.mailbox.knobs


def test_custom_everything_in_a_few_lines(small):
    """A module of one's own, a loss of one's own with a live weight, an optimizer of one's own."""

    class Mine(nnx.Module):
        def __init__(self, rngs):
            self.cell, self.drop = LSTM(8, 16, rngs=rngs), nnx.Dropout(0.1, rngs=rngs)
            self.out = nnx.Linear(16, 10, rngs=rngs)

        def __call__(self, x):
            return self.out(self.drop(self.cell(x.swapaxes(0, 1) / 255.0).output))

    class Smooth(nnx.Module):
        def __init__(self):
            self.weight = Live(jnp.float32(0.1))

        def __call__(self, record, labels):
            scores = record.readout[-1]
            return {"ce": losses.cross_entropy(scores, labels), "size": self.weight[...] * (scores**2).mean()}

    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1e-2))
    trainer = Trainer(Mine(nnx.Rngs(0)), small, loss=Smooth(), optimizer=optimizer, epochs=3, batch_size=32)
    for report in trainer:
        if report.step == 1:
            trainer.set(weight=0.2)
    steps = trainer.history.steps()
    assert {"ce", "size"} <= set(steps) and steps["loss"][-5:].mean() < steps["loss"][:5].mean()
    assert trainer.compilations == 1 and list(trainer.mailbox.knobs) == ["weight"]


def test_a_loss_may_be_one_function_of_one_number(small):
    def hinge(record, labels):
        return optax.hinge_loss(record.readout.mean(0), 2.0 * jax.nn.one_hot(labels, 10) - 1.0).mean()

    trainer = make_trainer(small, loss=hinge)
    trainer.fit()
    assert "objective" in trainer.history.epochs[0]["terms"]


def test_a_loop_by_hand(small):
    """Without the engine: the modules are ordinary NNX modules."""
    net = models.build(SMALL, sample_shape=(8, 8), num_classes=10)
    loss = losses.Classification()
    optimizer = nnx.Optimizer(net, optax.adam(1e-2), wrt=nnx.Param)

    @nnx.jit
    def step(net, optimizer, x, y):
        value, grads = nnx.value_and_grad(lambda net: sum(loss(net(x), y).values()))(net)
        optimizer.update(net, grads)
        return value

    values = [float(step(net, optimizer, small.x_train[:64], small.y_train[:64])) for _ in range(40)]
    assert values[-1] < 0.8 * values[0]


def test_divergence_keeps_the_last_good_weights(small):
    trainer = make_trainer(small, optimizer=optax.sgd(1e38), epochs=1)
    with pytest.raises(
        DivergenceError, match=r"step \d+: the update of .* is not finite; the weights kept are those of step \d+"
    ):
        trainer.fit()
    assert all(np.isfinite(w).all() for w in weights(trainer))
    assert np.isfinite(trainer.history.steps()["loss"]).all()


def test_interrupt_keeps_what_was_learned(small):
    trainer = make_trainer(small)
    with pytest.raises(KeyboardInterrupt):
        for report in trainer:
            if report.step >= 5:
                raise KeyboardInterrupt
    assert len(trainer.history) >= 5
    trainer.fit()
    assert same(trainer, (whole := make_trainer(small), whole.fit())[0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda d: make_trainer(d, batch_size=257), "batch_size: .* 256 training samples, got 257"),
        (lambda d: make_trainer(d, epochs=0), "epochs: must be an integer >= 1, got 0"),
        (lambda d: make_trainer(d, epochs=10**12), "epochs: must be at most 268435455 here, got 1000000000000"),
        (lambda d: make_trainer(d, learning_rate=-1e-3), "learning_rate: must be a finite number > 0.0, got -0.001"),
        (lambda d: make_trainer(d, schedule="warm"), "schedule: must be one of 'cosine', 'constant', got 'warm'"),
        (
            lambda d: make_trainer(d, optimizer=optax.sgd(0.3), learning_rate=0.01),
            "learning_rate: the optimizer that you passed has its own; leave it out, got 0.01",
        ),
        (
            lambda d: make_trainer(d, optimizer=optax.sgd(0.3), schedule="constant"),
            "schedule: the optimizer .*'constant'",
        ),
        (
            lambda d: Trainer(models.build(SMALL, sample_shape=(9, 9), num_classes=10), d),
            "x: has 64 units, this layer was built with in_features=81",
        ),
        (
            lambda d: Trainer(models.build(SMALL, sample_shape=(8, 8), num_classes=3), d),
            "model: has 3 outputs, the data has 10 classes",
        ),
        (lambda d: Trainer(nnx.Linear(8, 10, rngs=nnx.Rngs(0)), d), "model: its readout must be"),
        (lambda d: Trainer(SMALL, d), "model: must be an nnx.Module, .* got SnnConfig"),
        (lambda d: Trainer(nnx.Linear, d), "model: must be an nnx.Module, .* got the class Linear"),
        (lambda d: Trainer(nnx.Linear(8, 10, rngs=nnx.Rngs(0)), d.x_train), "data: must be a Dataset, .* got ndarray"),
        (lambda d: make_trainer(d, loss="mean"), "loss: must be a function of a record and labels, got str"),
        (lambda d: make_trainer(d, optimizer=1e-3), "optimizer: must be an Optax transformation, .* got float"),
        (lambda d: make_trainer(d, optimizer=optax.adam), "optimizer: .* got function"),
        (
            lambda d: models.build(d, sample_shape=(8, 8), num_classes=10),
            "config: must be SnnConfig, ConvConfig or LstmConfig",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_anything_runs(small, build, message):
    with pytest.raises(ArgumentError, match=message):
        build(small)


def test_planned_moves_act_at_their_steps_however_the_run_is_cut(small):
    """What was moved by hand at some steps, planned for the same steps, gives the same bits."""
    by_hand, planned = make_trainer(small), make_trainer(small)
    moves = [
        (3, "hidden.v_th", 0.7),
        (3, "learning_rate", 3e-3),
        (10, "hidden.tau_mem", 20.0),
        (11, "hidden.v_th", 0.9),
    ]
    for step, name, value in moves:
        by_hand.fit(until=step)
        by_hand.set({name: value})
    by_hand.fit()
    planned.plan((step, name.replace("hidden.v_th", "v_th"), value) for step, name, value in moves[::-1])
    planned._steps_in_chunk = 32
    planned.fit()
    assert [(row["step"], row["new"]) for row in planned.history.interventions if row["knob"] == "hidden.v_th"] == [
        (3, 0.7),
        (11, 0.9),
    ]
    assert len(by_hand.history.interventions) == len(planned.history.interventions) == 4
    assert same(by_hand, planned) and not same(planned, make_trainer(small))


def test_a_plan_is_checked_when_it_is_made(small):
    trainer = make_trainer(small)
    with pytest.raises(ArgumentError, match="the knob 'speed' is unknown"):
        trainer.plan([(0, "speed", 1.0)])
    with pytest.raises(ArgumentError, match=r"hidden.v_th: must be a finite number"):
        trainer.plan([(0, "v_th", float("nan"))])
    trainer.fit(until=5)
    assert len(trainer.history) == 5
    with pytest.raises(ArgumentError, match="step: 4 is taken already, the run is at 5"):
        trainer.plan([(4, "v_th", 1.0)])


def test_reset_begins_again_without_compiling(small):
    """The same start gives the same bits; moved knobs stay where they are; another seed, another run."""
    trainer, fresh = make_trainer(small), make_trainer(small)
    fresh.plan([(0, "hidden.v_th", 0.8)])
    fresh.fit(until=9)
    trainer.fit(until=4)
    trainer.set(v_th=0.8)
    trainer.fit(until=6)
    trainer.reset()
    assert len(trainer.history) == 0 and not same(trainer, fresh)
    trainer.fit(until=9)
    assert same(trainer, fresh) and trainer.history.interventions[0]["step"] == 0

    seeded = models.build(SMALL, sample_shape=(8, 8), num_classes=10, seed=7)
    trainer.reset(seeded, seed=7)
    trainer.fit(until=9)
    other = Trainer(seeded, small, epochs=2, batch_size=32, seed=7)
    other.plan([(0, "hidden.v_th", 0.8)])
    other.fit(until=9)
    assert same(trainer, other) and trainer.compilations == 1
    with pytest.raises(ArgumentError, match="model: has another structure"):
        trainer.reset(models.build(replace(SMALL, hidden=31), sample_shape=(8, 8), num_classes=10))


def test_the_learning_rate_that_is_written_is_the_one_that_was_used(small):
    """That of the default optimizer, of one whose rate is a knob, and none where it cannot be known."""
    injected = optax.inject_hyperparams(optax.sgd)(learning_rate=0.25)
    for options, rate in (({}, 0.01), ({"learning_rate": 0.02}, 0.02), ({"optimizer": injected}, 0.25)):
        assert make_trainer(small, **options).provenance["learning_rate"] == rate
    trainer = make_trainer(small, optimizer=optax.sgd(0.3))
    assert trainer.provenance["learning_rate"] is None and trainer.provenance["optimizer"] == "own"
    assert trainer.config.learning_rate is None and trainer.config.schedule is None
