"""The fused kernels for NVIDIA's GPUs: the same source, run on the CPU, computes what the reference computes.

No GPU is needed: see `cuda_on_cpu`. What XLA does with the PTX text is not run here, only compiled.
"""

import dataclasses
import functools
import re

import cuda_on_cpu
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from test_gpu import spikes_and_gradients_against_double_precision
from test_kernels import (
    PATTERNS,
    by_hand,
    close,
    f32,
    flags,
    in_every_neuron,
    make_drive,
    make_input,
    make_params,
    outputs_and_gradient,
    run_lif,
)
from test_recurrent import make_w_rec, run_recurrent
from tiers import drawn

from snnlab import kernels
from snnlab.dynamics import LifParams
from snnlab.encode import Steady
from snnlab.kernels import rows
from snnlab.kernels.gpu import fused, trial
from snnlab.kernels.gpu.cuda import SOURCE
from snnlab.surrogate import SURROGATES

sizes, seeds = st.integers(1, 40), st.integers(0, 2**31)


@pytest.fixture(autouse=True)
def on_this_cpu(monkeypatch):
    cuda_on_cpu.use(monkeypatch)


@pytest.mark.parametrize("backend", ["auto", "cuda", "gpu", "reference"])
def test_a_dense_layer_of_steady_currents_is_that_of_the_same_current_at_every_step(backend):
    x = Steady(values=jnp.array([[1.0, 2.0, 0.5], [0.0, 1.0, 1.0]]), num_steps=30)
    kernel, options = jnp.full((3, 5), 0.4), {"dt": 1.0, "surrogate": SURROGATES["arctan"], "backend": backend}
    params = LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0)))
    found = kernels.lif(kernels.Drive(x=x, kernel=kernel), params, **options)
    # by the closed form a current of 1.4 crosses 1 every ceil(10 ln 3.5) = 13 steps; 0.8 never does
    assert found.counts.tolist() == [[2.0] * 5, [0.0] * 5]
    same = kernels.lif(kernels.Drive(x=x.dense(), kernel=kernel), params, **options)
    assert (found.spikes == same.spikes).all() and jnp.allclose(found.v, same.v, atol=1e-6)


@drawn(
    25,
    seed=seeds,
    shape=st.tuples(sizes, st.integers(1, 9), sizes, st.one_of(sizes, st.integers(120, 140))),
    pattern=st.sampled_from(PATTERNS),
    per_neuron=flags,
    adapts=flags,
    synapse=st.sampled_from(["none", "expon", "double"]),
    bias=flags,
    delay=st.integers(0, 3),
    options=st.fixed_dictionaries(
        {
            "reset": st.sampled_from(["subtract", "value"]),
            "detach_reset": flags,
            "surrogate": st.sampled_from(list(SURROGATES.values())),
        }
    ),
)
def test_lif_is_the_reference(seed, shape, pattern, per_neuron, adapts, synapse, bias, delay, options):
    """Spikes, voltages, counts, and the gradient of all of them in weights, input and every constant."""
    rng = np.random.default_rng(seed)
    num_steps, batch, pre, post = shape
    x = make_input(rng, pattern, num_steps, batch, pre)
    drive = make_drive(rng, x, post, synapse=synapse != "none", bias=bias, delay=delay)
    if synapse == "double":
        drive = dataclasses.replace(drive, tau_rise=f32(rng.uniform(1.0, 5.0, post)))
    params = make_params(rng, post, per_neuron, adapts)
    run = functools.partial(run_lif, **options)
    found, df = outputs_and_gradient(run, "cuda", drive, params, seed)
    expected, de = outputs_and_gradient(run, "reference", drive, in_every_neuron(params, post), seed)
    if synapse != "double":
        spikes, closest = by_hand(drive, params, options["reset"])
        assume(closest > 1e-5)  # otherwise rounding decides whether it is a spike
        np.testing.assert_array_equal(found["spikes"], spikes)
    np.testing.assert_array_equal(found["spikes"], expected["spikes"])
    close(found, expected)
    close(df, de, 1e-4)


@drawn(
    12,
    seed=seeds,
    shape=st.tuples(sizes, st.integers(1, 9), sizes, st.one_of(sizes, st.sampled_from([64, 128, 200]))),
    pattern=st.sampled_from(PATTERNS),
    adapts=flags,
    synapse=flags,
    bias=flags,
    delay=st.integers(0, 3),
    options=st.fixed_dictionaries(
        {
            "reset": st.sampled_from(["subtract", "value"]),
            "detach_reset": flags,
            "surrogate": st.sampled_from(list(SURROGATES.values())),
        }
    ),
)
def test_recurrent_layers_are_the_reference(seed, shape, pattern, adapts, synapse, bias, delay, options):
    """Also in the gradient of the weights inside the layer."""
    rng = np.random.default_rng(seed)
    num_steps, batch, pre, post = shape
    x = make_input(rng, pattern, num_steps, batch, pre)
    drive, w_rec = make_drive(rng, x, post, synapse=synapse, bias=bias, delay=delay), make_w_rec(rng, post)
    params = make_params(rng, post, adapts=adapts)

    def run(backend, drive, arrays):
        return run_recurrent(backend, drive, *arrays, **options)

    spikes, closest = by_hand(drive, params, options["reset"], w_rec)
    assume(closest > 1e-5)  # otherwise rounding decides whether it is a spike
    both = (outputs_and_gradient(run, backend, drive, (w_rec, params), seed) for backend in ("cuda", "reference"))
    (found, df), (expected, de) = both
    np.testing.assert_array_equal(found["spikes"], spikes)
    close(found, expected)
    close(df, de, 1e-4)


def test_a_recurrent_layer_is_three_launches_and_a_wide_one_runs_on_xla(monkeypatch):
    rng, launched = np.random.default_rng(0), []
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)

    def noted(name, *arguments, **most):
        launched.append(name)
        return cuda_on_cpu.launch(name, *arguments, **most)

    def gradient():
        def loss(w_rec):
            return run_recurrent("cuda", drive, w_rec, params, surrogate=SURROGATES["arctan"])["counts"].sum()

        return jax.jit(jax.grad(loss))(make_w_rec(np.random.default_rng(1), drive.features))

    monkeypatch.setattr(fused, "launch", noted)
    fast = gradient()
    assert {"snnlab_recurrent", "snnlab_recurrent_back", "snnlab_peers_back"} <= set(launched)
    launched.clear()
    monkeypatch.setattr(fused, "MOST_THREADS", drive.features - 1)
    close(gradient(), fast)
    assert launched == []


@pytest.mark.parametrize("name", SURROGATES)
def test_every_surrogate_and_adaptation(name):
    """The gradient in all constants, against the reference in double precision: to 1e-6 of the largest, and what the
    reference in single precision is off. Thresholds adapt, and neurons are refractory."""
    rng = np.random.default_rng(1)
    drive = make_drive(rng, make_input(rng, "random", batch=9), delay=1)
    params = make_params(rng, adapts=True, v_scale=np.full(7, 0.7))
    run = functools.partial(run_lif, surrogate=SURROGATES[name], reset="value")
    found, single = (outputs_and_gradient(run, b, drive, params, 1) for b in ("cuda", "reference"))
    with jax.enable_x64(True):
        params = jax.tree.map(lambda value: jnp.asarray(np.float64(value)), params)
        double = outputs_and_gradient(run, "reference", drive.astype(jnp.float64), params, 1)
        double = jax.tree.map(np.asarray, double)
    np.testing.assert_array_equal(found[0]["spikes"], double[0]["spikes"])
    assert double[0]["spikes"].dtype == np.float64 and double[0]["spikes"].sum() > 20
    for f, s, d in zip(*(jax.tree.leaves(gradient) for _, gradient in (found, single, double)), strict=True):
        allowed = 1e-6 * np.abs(d).max() + 2.0 * np.abs(s - d).max() + 1e-9
        np.testing.assert_allclose(f, d, atol=allowed, rtol=0)


def test_two_layers_are_as_exact_as_float32_allows():
    spikes_and_gradients_against_double_precision("cuda")


@pytest.mark.smoke
def test_weights_are_summed_sample_by_sample():
    """So the bits are those of this sum, in every run. With `slope = 0` and no leak, what arrives at a step has the
    gradient of all later steps; here the loss reads the last one."""
    rng, (batch, pre, n, num_steps) = np.random.default_rng(0), (37, 5, 33, 4)
    times = rng.integers(0, num_steps, (batch, pre)).astype(np.int32)
    d_arriving = rng.normal(size=(num_steps, batch, n)).astype(np.float32)
    call = fused.Call(num_steps, batch, n, pre, True, 1, 0, False, False, False)
    given = fused.Given(jnp.asarray(times), jnp.zeros((pre, n)), None, None, None, None)
    expected = np.zeros((pre, n), np.float32)
    for b in range(batch):
        for unit in range(pre):
            if times[b, unit] + 1 < num_steps:
                expected[unit] += d_arriving[times[b, unit] + 1, b]
    np.testing.assert_array_equal(fused._weights_back(call, given, jnp.asarray(d_arriving)), expected)


def test_what_is_not_read_is_not_computed():
    """Counts alone: no voltages forward; backward nothing is read over time, and no constant learns."""
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)

    def loss(kernel):
        return run_lif("cuda", dataclasses.replace(drive, kernel=kernel), params, surrogate=SURROGATES["arctan"])[
            "counts"
        ].sum()

    launched = []

    def noted(name, results, *arguments, **most):
        launched.append((name, [r.shape for r in results]))
        return cuda_on_cpu.launch(name, results, *arguments, **most)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused, "launch", noted)
        program = jax.jit(jax.grad(loss)).lower(drive.kernel).compile().as_text()
    trace = next(shapes[2] for name, shapes in launched if name == "snnlab_lif_back")
    assert trace[0] == 1 and program.count("callback") >= 2
    assert [name for name, _ in launched if name != "snnlab_lif"] == ["snnlab_lif_back", "snnlab_weights_back"]


@pytest.mark.smoke
def test_shapes_beyond_the_limits_run_on_something_else(monkeypatch):
    """More events than fit into a block's memory arrive as a current; an empty batch runs on XLA alone."""
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)
    run = functools.partial(run_lif, drive=drive, params=params, surrogate=SURROGATES["arctan"])
    assert fused._event_driven(drive)
    before = run("cuda")
    monkeypatch.setattr(fused, "SHARED", fused.shared_memory(drive.num_steps, drive.x.num_units) - 1)
    assert not fused._event_driven(drive)
    close(run("cuda"), before)
    empty = dataclasses.replace(drive, x=make_input(rng, "random", batch=0))
    assert not fused.fits(empty) and run("cuda", drive=empty)["spikes"].shape[1] == 0
    mesh = jax.sharding.AbstractMesh((2,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))
    with jax.sharding.use_abstract_mesh(mesh):
        assert not fused.fits(drive)


def test_under_vmap_and_where_results_vary_over_a_mesh():
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)
    taus = jnp.stack([params.tau_mem, 2.0 * params.tau_mem])

    def counts(tau, backend="cuda"):
        return run_lif(backend, drive, params._replace(tau_mem=tau), surrogate=SURROGATES["arctan"])["counts"]

    together = jax.vmap(counts)(taus)
    np.testing.assert_array_equal(together, jnp.stack([counts(tau) for tau in taus]))


# ---- Where they are used


@pytest.mark.smoke
def test_a_program_for_a_cpu_never_has_them(monkeypatch):
    """Even if they are asked for by name: then it computes what the backend "gpu" does, and has its gradient."""
    monkeypatch.setattr(fused, "PLATFORM", "cuda")
    monkeypatch.setattr(fused, "launch", None)
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)
    run = functools.partial(run_lif, surrogate=SURROGATES["arctan"])
    monkeypatch.undo()
    monkeypatch.setattr(fused, "PLATFORM", "cuda")
    (found, df), (expected, de) = (outputs_and_gradient(run, backend, drive, params, 0) for backend in ("cuda", "gpu"))
    np.testing.assert_array_equal(found["spikes"], expected["spikes"])
    close((found, df), (expected, de))
    lowered = jax.jit(lambda: run("cuda", drive, params)).lower()
    assert "gpu.ptx" not in lowered.as_text()


@pytest.mark.smoke
def test_a_gpu_has_them_if_a_first_run_is_right(monkeypatch):
    monkeypatch.delenv("SNNLAB_KERNELS", raising=False)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for works, chosen in ((True, "cuda"), (False, "gpu")):
        monkeypatch.setattr(trial, "works", lambda works=works: works)
        assert kernels.backend() == chosen and kernels.backend("cuda") == "cuda" and kernels.backend("gpu") == "gpu"


def first_run(monkeypatch) -> bool:
    """As a process does it: JAX must not take the program of another test."""
    both = trial._both
    monkeypatch.setattr(trial, "_both", lambda given: both(given))
    return trial.works.__wrapped__()


@pytest.mark.smoke
def test_the_first_run_is_right_here(monkeypatch):
    assert first_run(monkeypatch)


@pytest.mark.smoke
@pytest.mark.parametrize("kernel", cuda_on_cpu.KERNELS)
def test_a_kernel_that_errs_is_not_used(kernel, monkeypatch):
    """By one part in a thousand, in one number of its first result."""

    def wrong(name, results, *arguments, **most):
        first, *others = cuda_on_cpu.launch(name, results, *arguments, **most)
        middle = tuple(length // 2 for length in first.shape)
        error = 1.0 if name in ("snnlab_lif", "snnlab_recurrent") else 1e-3 * jnp.abs(first).max()
        return [first.at[middle].add(error) if name == kernel else first, *others]

    monkeypatch.setattr(fused, "launch", wrong)
    with pytest.warns(UserWarning, match="fused kernels for this GPU do not work here .*differ"):
        assert not first_run(monkeypatch)


@pytest.mark.smoke
def test_a_call_that_fails_is_not_used(monkeypatch):
    monkeypatch.setattr(fused, "launch", lambda *_, **__: 1 / 0)
    with pytest.warns(UserWarning, match="ZeroDivisionError"):
        assert not first_run(monkeypatch)


@pytest.mark.smoke
def test_no_voltage_of_the_first_run_is_close_to_its_threshold():
    """Or rounding could decide whether it succeeds."""
    for given in trial.trials():
        drive = jax.tree.map(jnp.asarray, given).drive(trial.TRIAL)
        spikes, closest = by_hand_of(drive, given)
        assert closest > 2e-5 and spikes.sum() > 500


def by_hand_of(drive, given):
    if drive.kernel is None:
        drive = dataclasses.replace(drive, kernel=jnp.eye(drive.features))
    return by_hand(drive, given.params, trial.TRIAL.reset, given.w_rec)


# ---- The text of the kernels


def source_without_comments() -> str:
    return re.sub(r"//.*", "", SOURCE.read_text())


@pytest.mark.smoke
def test_options_and_rows_are_those_of_the_source():
    found = re.search(r"struct Options \{(.*?)\};", source_without_comments(), re.DOTALL)
    names = re.findall(r"\w+", found[1].replace("int", ""))
    assert tuple(names) == fused.Call._fields
    (order,) = re.findall(r"enum \{(.*?)\}", source_without_comments())
    values, value = {}, -1
    for entry in order.split(","):
        name, _, given = (part.strip() for part in entry.partition("="))
        value = values[given] if given else value + 1
        values[name] = value
    assert values == {name: getattr(rows, name) for name in values} and len(values) == rows.NUM_PARAMS + 1
