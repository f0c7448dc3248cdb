"""The kernels compute what the reference computes, value and gradient, wherever JAX may call them from."""

import dataclasses
import functools
import importlib
import itertools
import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume
from hypothesis import strategies as st
from numba.core import bytecode
from tiers import UNOPTIMIZED, drawn

from snnlab import kernels
from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes, Steady
from snnlab.errors import ArgumentError
from snnlab.kernels import Drive, reference
from snnlab.kernels.cpu import kept
from snnlab.kernels.cpu import layout as at
from snnlab.kernels.packed import LANES
from snnlab.support.shelf import Shelf
from snnlab.surrogate import SURROGATES

T, B, P, N = 23, 3, 11, 7
sizes, seeds, flags = st.integers(1, 40), st.integers(0, 2**31), st.booleans()
PATTERNS = ("random", "streams", "burst", "empty", "dense", "steady")


@pytest.fixture(autouse=True)
def numba_backend():
    assert kernels.backend() == "numba"


def f32(value):
    """An array of float32, rounded by NumPy: JAX would compile a program for it."""
    return jnp.asarray(np.float32(value))


def make_input(rng, pattern, num_steps=T, batch=B, pre=P):
    """Spikes of every kind; some of the random ones out of range on either side, in time and in unit."""
    if pattern == "dense":
        return f32(rng.normal(size=(num_steps, batch, pre)))
    if pattern == "steady":
        return Steady(values=f32(rng.normal(size=(batch, pre))), num_steps=num_steps)
    units = None
    times = rng.integers(-2, num_steps + 3, (batch, pre))
    if pattern == "streams":
        times = rng.integers(-2, num_steps + 3, (batch, 3 * pre))
        units = jnp.asarray(np.int32(rng.integers(-2, pre + 2, times.shape)))
    if pattern == "burst":
        times[:] = num_steps // 2
    if pattern == "empty":
        times[:] = num_steps
    return SpikeTimes(times=jnp.asarray(np.int32(times)), units=units, num_steps=num_steps, num_units=pre)


def make_drive(rng, x, post=N, *, synapse=True, bias=True, delay=0):
    pre = x.num_units if isinstance(x, SpikeTimes | Steady) else x.shape[2]
    return Drive(
        x=x,
        kernel=f32(rng.normal(0.3, 1.0, (pre, post))),
        bias=f32(rng.normal(0.0, 0.1, post)) if bias else None,
        delay=delay,
        tau_syn=f32(rng.uniform(2.0, 20.0, post)) if synapse else None,
    )


def make_params(rng, n=N, per_neuron=True, adapts=False, **fixed) -> LifParams:
    ranges = {
        "tau_mem": (3.0, 20.0),
        "v_th": (0.3, 0.8),
        "v_rest": (-0.1, 0.1),
        "v_reset": (-0.2, 0.2),
        "r": (0.5, 2.0),
        "tau_ref": (0.0, 5.0),
        "slope": (2.0, 10.0),
    }
    ranges |= {"beta": (-0.1, 0.5), "tau_adapt": (2.0, 50.0)} if adapts else {}
    shape = (n,) if per_neuron else ()
    drawn = {name: rng.uniform(*bounds, shape) for name, bounds in ranges.items()}
    return LifParams(**{name: f32(value) for name, value in (drawn | fixed).items()})


def close(found, expected, tolerance=2e-5):
    """Equal to `tolerance` of the largest value, everywhere. For a constant that all neurons share, `expected` may be
    its gradient in every neuron: their sum is expected, to `tolerance` of the largest, however much of it cancels."""
    leaves = (map(np.asarray, jax.tree.leaves(tree)) for tree in (found, expected))
    for f, e in zip(*leaves, strict=True):
        scale = 1e-6 + np.abs(e).max() if e.size else 1.0
        e = e.sum() if f.ndim == 0 else e
        assert f.shape == e.shape
        np.testing.assert_allclose(f, e, atol=tolerance * scale, rtol=0)


def in_every_neuron(params: LifParams, n: int) -> LifParams:
    """The same constants, each with a value of its own for every neuron."""
    return jax.tree.map(lambda value: jnp.asarray(np.broadcast_to(value, (n,))), params)


def learned(drive: Drive) -> dict:
    """The arrays of a drive that have a gradient."""
    named = {"kernel": drive.kernel, "bias": drive.bias, "tau_syn": drive.tau_syn}
    if not isinstance(drive.x, SpikeTimes):
        named["x"] = drive.x
    return {name: value for name, value in named.items() if value is not None}


def run_lif(backend, drive, params, **options):
    out = kernels.lif(drive, params, dt=1.0, backend=backend, **options)
    return {"spikes": out.spikes, "v": out.v, "counts": out.counts}


def outputs_and_gradient(run, backend, drive, params, seed):
    """What comes out, and the gradient of a random projection of it in everything that goes in."""

    @functools.partial(jax.jit, compiler_options=UNOPTIMIZED if backend == "reference" else None)
    @functools.partial(jax.grad, has_aux=True)
    def objective(arrays):
        named, p = arrays
        outputs = run(backend, dataclasses.replace(drive, **named), p)
        rng = np.random.default_rng(seed)
        weighted = [(out * rng.normal(size=out.shape).astype(out.dtype)).sum() for out in jax.tree.leaves(outputs)]
        return sum(weighted), outputs

    gradient, outputs = objective((learned(drive), params))
    return outputs, gradient


def arriving_by_hand(drive):
    """Every spike, or every number, times its weights, `delay` steps later; in NumPy, float64."""
    x, late = drive.x, drive.delay
    if isinstance(x, Steady):
        x = np.repeat(np.asarray(x.values, np.float64)[None], x.num_steps, 0)
    if isinstance(x, SpikeTimes):
        times = np.asarray(x.times)
        units = np.broadcast_to(np.arange(x.num_units) if x.units is None else np.asarray(x.units), times.shape)
        there = (times >= 0) & (times < x.num_steps) & (units >= 0) & (units < x.num_units)
        x = np.zeros((x.num_steps, len(times), x.num_units))
        np.add.at(x, (times[there], np.nonzero(there)[0], units[there]), 1.0)
    arriving = np.asarray(x) @ np.asarray(drive.kernel, np.float64)
    return np.concatenate([np.zeros((late, *arriving.shape[1:])), arriving])[: len(arriving)]


def same_in_three_threads(run, times: int) -> None:
    """What `run()` returns has the same bits in every call of three threads at once."""
    expected, wrong = jax.tree.leaves(jax.tree.map(np.asarray, run())), []

    def work():
        for _ in range(times):
            if not all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(run()), expected, strict=True)):
                wrong.append(1)

    threads = [threading.Thread(target=work) for _ in range(3)]
    [thread.start() for thread in threads]
    [thread.join(timeout=600) for thread in threads]
    assert wrong == [] and not any(thread.is_alive() for thread in threads)


def by_hand(drive, params, reset, w_rec=0.0):
    """The equations in NumPy, float64, dt = 1: the spikes, and how close a voltage came to its threshold."""
    p = jax.tree.map(lambda value: np.asarray(value, np.float64), params)
    arriving, w_rec = arriving_by_hand(drive), np.asarray(w_rec, np.float64)
    a, a_syn = np.exp(-1 / p.tau_mem), 0.0 if drive.tau_syn is None else np.exp(-1 / np.float64(drive.tau_syn))
    v, g, s = np.zeros(arriving.shape[1:]) + p.v_rest, 0.0, np.zeros(arriving.shape[1:])
    since, spikes, closest, rise = np.full(s.shape, 10**9), [], np.inf, 0.0 * s
    for x in arriving:
        from_neurons = s @ w_rec if w_rec.ndim else 0.0
        g = g * a_syn + x + (0.0 if drive.bias is None else np.float64(drive.bias)) + from_neurons
        since += 1
        u = np.where(since <= p.tau_ref + 1e-3, v, p.v_rest + (v - p.v_rest) * a + (1 - a) * p.r * g)
        closest = min(closest, abs(u - p.v_th - rise).min())
        s = (u >= p.v_th + rise) * 1.0
        if p.beta is not None:
            rise = rise * np.exp(-1 / p.tau_adapt) + p.beta * s
        since[s > 0] = 0
        v = np.where(s > 0, u - (p.v_th - p.v_reset) if reset == "subtract" else p.v_reset, u)
        spikes.append(s)
    return np.array(spikes), closest


@drawn(
    25,
    seed=seeds,
    shape=st.tuples(sizes, sizes, sizes, sizes),
    pattern=st.sampled_from(PATTERNS),
    per_neuron=flags,
    refractory=flags,
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
def test_lif_is_the_reference(seed, shape, pattern, per_neuron, refractory, adapts, synapse, bias, delay, options):
    """Spikes, voltages, counts, and the gradient of all of them in weights, input and every constant."""
    rng = np.random.default_rng(seed)
    num_steps, batch, pre, post = shape
    drive = make_drive(
        rng, make_input(rng, pattern, num_steps, batch, pre), post, synapse=synapse, bias=bias, delay=delay
    )
    params = make_params(rng, post, per_neuron, adapts, **({} if refractory else {"tau_ref": 0.0}))

    def run(backend, drive, params):
        return run_lif(backend, drive, params, **options)

    expected, de = outputs_and_gradient(run, "reference", drive, in_every_neuron(params, post), seed)
    spikes, _ = by_hand(drive, params, options["reset"])
    assume(np.array_equal(spikes, expected["spikes"]))  # no voltage so close to its threshold that rounding decides
    found, df = outputs_and_gradient(run, "numba", drive, params, seed)
    np.testing.assert_array_equal(found["spikes"], expected["spikes"])
    close(found, expected)
    close(df, de, 1e-4)


@drawn(
    12,
    seed=seeds,
    shape=st.tuples(sizes, sizes, sizes, sizes),
    pattern=st.sampled_from(PATTERNS),
    synapse=flags,
    delay=st.integers(0, 3),
)
def test_leaky_and_current_are_the_reference(seed, shape, pattern, synapse, delay):
    rng = np.random.default_rng(seed)
    num_steps, batch, pre, post = shape
    drive = make_drive(rng, make_input(rng, pattern, num_steps, batch, pre), post, synapse=synapse, delay=delay)
    tau = f32(rng.uniform(2.0, 20.0, post))

    def run(backend, drive, tau):
        options = {"dt": 1.0, "backend": backend}
        v, peak = kernels.leaky(drive, tau, **options)
        return {"v": v, "peak": peak, "i": kernels.current(drive, **options)}

    close(*(outputs_and_gradient(run, backend, drive, tau, seed) for backend in ("numba", "reference")))


def by_itself(function, **_):
    """As `jax.jit`, but one operation after the other."""
    return function


# The gradient comes back as two factors, and as their product.
USUAL = [(16, 1, 0, jax.jit), (37, 4, 1, jax.jit), (16, 1, 0, by_itself)]
EVERY = [(post, *others, jax.jit) for post in (1, 16, 37) for others in [(0, 0), (1, 0), (4, 1), (1, 1)]]


@pytest.mark.parametrize(
    ("post", "delay", "read_too", "run"),
    [*USUAL, *(pytest.param(*case, marks=pytest.mark.shapes) for case in EVERY if case not in USUAL)],
)
def test_packed_spikes_feed_the_next_layer(post, delay, read_too, run):
    """From layer to layer at one bit a spike: as with dense spikes in between, also the gradient in both layers,
    whether anything else reads the spikes or not."""
    rng = np.random.default_rng(post)
    first = make_drive(rng, make_input(rng, "streams"), 33)
    params = make_params(rng, 33, tau_ref=0.0)
    second = make_drive(rng, f32(np.zeros((T, B, 33))), post, delay=delay)
    options = {"dt": 1.0, "surrogate": SURROGATES["arctan"]}

    def objective(arrays, backend):
        one, two, params = arrays
        layer = kernels.lif(dataclasses.replace(first, **one), params, backend=backend, **options)
        spikes = layer.spikes if layer.packed is None else layer.packed
        drive = dataclasses.replace(second, **(two | {"x": spikes}))
        _, peak = kernels.leaky(drive, jnp.float32(5.0), dt=1.0, backend=backend)
        read = (layer.spikes.mean(0) ** 3).sum() if read_too else 0.0
        return (peak**2).sum() + (layer.counts**2).sum() + read

    arrays = (learned(first), learned(second), params)
    del arrays[1]["x"]
    value_and_gradient = jax.value_and_grad(objective)
    a, da = run(value_and_gradient, static_argnums=1)(arrays, "numba")
    b, db = jax.jit(value_and_gradient, static_argnums=1, compiler_options=UNOPTIMIZED)(arrays, "reference")
    np.testing.assert_allclose(a, b, rtol=1e-5)
    close(da, db, 1e-4)


@pytest.mark.parametrize(
    "units", [11, 6000]
)  # of a layer of which no tile need wait for the other samples, and a wide one
def test_a_batch_is_its_samples_one_by_one(units):
    """Whatever groups of samples and tiles the kernels form: outputs are those of each alone, gradients their sum."""
    rng = np.random.default_rng(3)
    batch, hidden = 41, 3 * LANES + 1
    x = make_input(rng, "streams", batch=batch, pre=units)
    x = dataclasses.replace(x, times=x.times[:, :33], units=x.units[:, :33])
    first, params = make_drive(rng, x, hidden), make_params(rng, hidden, tau_ref=0.0)
    second = make_drive(rng, f32(np.zeros((T, 1, hidden))), 5)

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def objective(arrays, x):
        one, two = arrays
        layer = kernels.lif(dataclasses.replace(first, **one, x=x), params, dt=1.0, surrogate=SURROGATES["arctan"])
        drive = dataclasses.replace(second, **(two | {"x": layer.packed}))
        peak = kernels.leaky(drive, jnp.float32(5.0), dt=1.0)[1]
        return (peak**2).sum() + (layer.counts**2).sum(), layer.counts

    one, two = learned(first), learned(second)
    del two["x"]
    (_, counts), gradient = objective((one, two), x)
    samples = [dataclasses.replace(x, times=x.times[b : b + 1], units=x.units[b : b + 1]) for b in range(batch)]
    alone = [objective((one, two), sample) for sample in samples]
    np.testing.assert_array_equal(counts, np.concatenate([counts for (_, counts), _ in alone]))
    close(gradient, jax.tree.map(lambda *parts: np.sum(parts, axis=0), *(each for _, each in alone)), 1e-4)


def test_events_out_of_range_never_touch_memory():
    """Times and units of any 32-bit value: dropped, as in the dense view, however far out they are."""
    extreme = jnp.array([[-(2**31), 2**31 - 1, -1, T, 0, 0, 0, 0]] * B, jnp.int32)
    units = jnp.array([[0, 0, 0, 0, -(2**31), 2**31 - 1, -1, P]] * B, jnp.int32)
    events = SpikeTimes(times=extreme, units=units, num_steps=T, num_units=P)
    drive = make_drive(np.random.default_rng(0), events, bias=False)

    def currents(kernel):
        late = [dataclasses.replace(drive, kernel=kernel, delay=delay) for delay in (0, 2, T, T + 5)]
        return jnp.stack([kernels.current(one, dt=1.0) for one in late])

    @jax.jit
    def value_and_gradient(kernel):
        value, pull = jax.vjp(currents, kernel)
        return value, *pull(jnp.ones_like(value))

    assert not any(map(np.any, value_and_gradient(drive.kernel)))


def test_unsorted_events_and_events_of_any_integer_type():
    """Order means nothing; 64-bit numbers stay out of range instead of wrapping; other types are refused."""
    rng = np.random.default_rng(0)
    events = make_input(rng, "streams")
    drive = make_drive(rng, events)
    times, units = np.asarray(events.times), np.asarray(events.units)

    @jax.jit
    def current(times, units, bias=drive.bias):
        x = dataclasses.replace(events, times=times, units=units)
        return kernels.current(dataclasses.replace(drive, x=x, bias=bias), dt=1.0)

    expected, order = current(times, units), rng.permutation(times.shape[1])
    np.testing.assert_allclose(current(times[:, order], units[:, order]), expected, atol=1e-5)
    np.testing.assert_array_equal(current(np.int8(times), np.int16(units)), expected)
    with jax.enable_x64(True):
        assert not np.any(current(np.int64(times) + 2**32, units, None))
    real = dataclasses.replace(events, times=np.float32(times))
    with pytest.raises(ArgumentError, match="times: must be integers, got float32"):
        kernels.project(real, drive.kernel)


def test_same_input_same_bits_however_many_threads():
    """Sums have a fixed order: also where two calls at once compete for the threads."""
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "streams", batch=301), 50), make_params(rng, 50)

    @jax.jit
    def run(kernel):
        return jax.value_and_grad(
            lambda w: run_lif("numba", dataclasses.replace(drive, kernel=w), params, surrogate=SURROGATES["arctan"])[
                "counts"
            ].sum()
        )(kernel)

    same_in_three_threads(lambda: run(drive.kernel), 60)


def test_under_jit_vmap_and_scan():
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)
    stacked = np.stack([drive.kernel, 2 * np.asarray(drive.kernel)])

    def run(kernel, backend):
        out = run_lif(backend, dataclasses.replace(drive, kernel=kernel), params, surrogate=SURROGATES["sigmoid"])
        return out["v"].sum() + out["counts"].sum()

    both = jax.value_and_grad(run)
    by_time = jax.tree.map(lambda x: np.stack([x, x + 1]), drive.x)

    @jax.jit
    def mapped_and_scanned(kernels_, inputs):
        mapped = jax.vmap(lambda kernel: both(kernel, "numba"))(kernels_)
        _, scanned = jax.lax.scan(lambda carry, kernel: (carry, both(kernel, "numba")), 0, kernels_)
        return mapped, scanned, jax.vmap(kernels.project, (0, None))(inputs, drive.kernel)

    mapped, scanned, project = mapped_and_scanned(stacked, by_time)
    reference_of = jax.jit(functools.partial(both, backend="reference"), compiler_options=UNOPTIMIZED)
    mapped, project = jax.tree.map(np.asarray, (mapped, project))
    for k, kernel in enumerate(stacked):
        close([part[k] for part in mapped], reference_of(kernel), 1e-4)
    close(mapped, scanned, 1e-6)
    expected = jax.jit(lambda x: reference.current(Drive(x=x, kernel=drive.kernel), dt=1.0))(drive.x)
    np.testing.assert_allclose(project[1, 1:], np.asarray(expected)[:-1])


def test_what_nobody_reads_is_not_computed():
    """A step that uses counts only holds no array of a value for every neuron and step, forward or backward."""
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random", 1009, 31, 13), 17), make_params(rng, 17)

    def objective(kernel, backend):
        out = run_lif(backend, dataclasses.replace(drive, kernel=kernel), params, surrogate=SURROGATES["sigmoid"])
        return (out["counts"] ** 2).sum()

    temporary = {}
    for backend in ("numba", "reference"):
        compiled = jax.jit(jax.grad(objective), static_argnums=1).lower(drive.kernel, backend).compile()
        temporary[backend] = compiled.memory_analysis().temp_size_in_bytes / (1009 * 31 * 17)
    assert temporary["numba"] < 1.0 and temporary["reference"] > 3 * temporary["numba"]


@pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES.keys())
def test_every_surrogate_is_that_of_the_specification(surrogate):
    """From far below the threshold to far above it: voltages of one step, whose gradient is the derivative."""
    y = np.concatenate([np.linspace(-60.0, 60.0, 1009), [-1.0, 0.0, 1.0]]).astype(np.float32)
    current = jnp.asarray(1.0 + 0.1 * y).reshape(1, 1, -1)
    names = {"tau_mem": 0.0, "v_th": 1.0, "v_rest": 0.0, "v_reset": 0.0, "r": 1.0, "tau_ref": 0.0, "slope": 10.0}
    params = LifParams(**{name: jnp.float32(value) for name, value in names.items()})

    def counted(current):
        return kernels.lif(current, params, dt=1.0, surrogate=surrogate, backend="numba").counts.sum()

    found = jax.grad(counted)(current)[0, 0]
    expected = surrogate.derivative(current[0, 0] - 1.0, 10.0)
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("surrogate", SURROGATES.values(), ids=SURROGATES.keys())
def test_not_a_number_is_not_lost(surrogate):
    """A weight that is NaN must show in the gradient, or a run that diverges would go on unnoticed."""
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)
    kernel = np.array(drive.kernel)
    kernel[3, 2] = np.nan
    spoiled = dataclasses.replace(drive, kernel=jnp.asarray(kernel))

    def objective(kernel):
        out = run_lif("numba", dataclasses.replace(spoiled, kernel=kernel), params, surrogate=surrogate)
        return (out["counts"] ** 2).sum() + out["spikes"].mean()

    gradient = np.asarray(jax.grad(objective)(spoiled.kernel))
    assert np.isnan(gradient[:, 2]).any() and not np.isnan(gradient[:, 1]).any()
    assert np.isnan(np.asarray(kernels.leaky(spoiled, jnp.float32(5.0), dt=1.0)[1])[:, 2]).any()


def test_double_precision_takes_the_reference():
    with jax.enable_x64(True):
        params = jax.tree.map(lambda a: jnp.asarray(np.float64(a)), make_params(np.random.default_rng(0)))
        run = jax.jit(lambda x: run_lif(None, Drive(x=x), params, surrogate=SURROGATES["arctan"]))
        assert run(np.ones((T, B, N)))["v"].dtype == jnp.float64


def test_a_surrogate_of_ones_own_takes_the_reference():
    """Also one that differs from a known one in its step only."""
    mine = SURROGATES["arctan"]._replace(spike=SURROGATES["arctan"].smooth)
    rng = np.random.default_rng(0)
    drive, params = make_drive(rng, make_input(rng, "random")), make_params(rng)
    run = jax.jit(
        lambda kernel, backend: run_lif(backend, dataclasses.replace(drive, kernel=kernel), params, surrogate=mine)[
            "v"
        ],
        static_argnums=1,
    )
    np.testing.assert_array_equal(*(run(drive.kernel, backend) for backend in ("numba", "reference")))


def fresh_process(script: str, *options: str) -> subprocess.CompletedProcess:
    """Run a script that may use some events, with warnings as errors if `options` say so."""
    start = (
        "import jax, jax.numpy as jnp; from snnlab import kernels; from snnlab.encode import SpikeTimes\n"
        "events = SpikeTimes(times=jnp.zeros((1, 2), jnp.int32), num_steps=1, num_units=2)\n"
    )
    return subprocess.run([sys.executable, *options, "-c", start + script], capture_output=True, text=True)


def test_the_choice_may_fall_in_the_middle_of_a_trace():
    """The first use of all is inside `jit`, with warnings as errors, and where JAX makes float64; and a process that
    is not the first compiles no kernel."""
    script = (
        "for x64 in (True, False):\n"
        "    kernels.dispatch._numba_works.cache_clear()\n"
        "    jax.config.update('jax_enable_x64', x64)\n"
        "    print(jax.jit(kernels.project)(events, jnp.ones((2, 3))).tolist(), kernels.backend())\n"
        "from snnlab.kernels.cpu import filter, lif\n"
        "print(filter._filter.cache_hits, lif._lif.cache_hits)"
    )
    done = fresh_process(script, "-W", "error::UserWarning")
    assert done.stdout.splitlines() == [*2 * ["[[[2.0, 2.0, 2.0]]] numba"], "1 1"], done.stderr


def test_backend_is_chosen_by_argument_or_environment(monkeypatch):
    monkeypatch.setenv("SNNLAB_KERNELS", "reference")
    assert kernels.backend() == "reference" and kernels.backend("numba") == "numba"
    monkeypatch.setenv("SNNLAB_KERNELS", "fast")
    accepted = "must be one of 'auto', 'numba', 'cuda', 'gpu', 'reference', got 'fast'"
    with pytest.raises(ArgumentError, match=f"SNNLAB_KERNELS: {accepted}"):
        kernels.backend()
    with pytest.raises(ArgumentError, match=f"backend: {accepted}"):
        kernels.backend("fast")


def test_without_numba_the_reference_runs_with_one_warning():
    script = (
        "import sys, warnings; sys.modules['numba'] = None; warnings.simplefilter('always')\n"
        "print(kernels.project(events, jnp.ones((2, 3))).tolist(), kernels.backend())"
    )
    done = fresh_process(script)
    assert done.stdout.strip() == "[[[2.0, 2.0, 2.0]]] reference"
    assert done.stderr.count("numba kernels do not work here") == 1


def test_compiled_kernels_are_kept_where_the_cache_is(tmp_path, monkeypatch):
    """What was compiled once is loaded from then on; a folder that cannot be written costs the cache only, and a
    damaged file one compilation."""

    def kernel(pointer):
        return pointer

    def hits(name):
        monkeypatch.setattr(kept, "shelf", lambda: Shelf(tmp_path / name))
        return kept.compile_or_load(kernel).cache_hits

    (tmp_path / "file").write_text("in the way")
    assert [hits(name) for name in ("one", "one", "two")] == [0, 1, 0]
    with pytest.warns(UserWarning, match=r"file: cannot write there .* another folder with SNNLAB_CACHE"):
        assert hits("file") == 0
    (code,) = (tmp_path / "one").iterdir()
    code.write_bytes(code.read_bytes()[:-100])
    with pytest.warns(UserWarning, match=r"one: .* is damaged; it is made again"):
        assert hits("one") == 0
    assert hits("one") == 1


KERNEL = """
from numba import float32
from snnlab.kernels.cpu.ffi import RESULTS, data, over_blocks, register
from snnlab.kernels.cpu.memory import named_word
from snnlab.kernels.cpu.simd import exp, fill, store

@over_blocks
def compute(frame, block):
    x = fill(float32({number}))
    zero = exp(exp(exp(exp(exp(exp(exp(exp(x)))))))) * fill(float32(0.0))  # long, or LLVM copies it into the kernel
    store(data(frame, RESULTS, 0), 0, x + zero)

@register("{name}")
def kernel(pointer):
    compute(pointer, named_word("{name}"))
    return 0
"""


@pytest.mark.endure
def test_kernels_that_different_processes_compiled_run_in_one(tmp_path, monkeypatch):
    """Loaded from the cache, each does what it should: numba tells functions of one name apart by numbers, which begin
    anew in every process, so those of two kernels may be the same."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("SNNLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(kept, "shelf", kept.shelf.__wrapped__)
    for number, name in enumerate(("first", "second"), 1):
        (tmp_path / f"{name}.py").write_text(KERNEL.format(name=name, number=number))
        monkeypatch.setattr(bytecode.FunctionIdentity, "_unique_ids", itertools.count(10**6))  # as in a new process
        assert importlib.import_module(name).kernel.cache_hits == 0
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import first, second, numpy as np\n"
        "result = jax.ShapeDtypeStruct((16,), jnp.float32)\n"
        "print(first.kernel.cache_hits, second.kernel.cache_hits)\n"
        "print([jax.ffi.ffi_call(name, result)(np.int32([1]))[0].item() for name in ('first', 'second')])\n"
        "print('numba.np.linalg' in sys.modules)"  # what only compiling needs takes a second to import
    )
    done = fresh_process(script)
    assert done.stdout.splitlines() == ["1 1", "[1.0, 2.0]", "False"], done.stderr


def calls_in(jaxpr):
    """Every call of a kernel in a traced program, with the shapes of its arguments."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == "ffi_call":
            yield equation.params["target_name"], [value.aval.shape for value in equation.invars]
        for inner in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from calls_in(inner)


@pytest.mark.parametrize(("post", "read_too"), [(1, False), (20, False), (33, False), (20, True)])
def test_a_layer_sends_the_gradient_back_as_two_factors(post, read_too):
    """As the gradient of its current and its weights, also from within a loop: the product is never written, unless
    something else reads the spikes, too. The other way leads to the same gradient; so this shows in the traced program
    only."""
    rng = np.random.default_rng(0)
    first, params = make_drive(rng, make_input(rng, "streams"), 33), make_params(rng, 33, tau_ref=0.0)
    second = make_drive(rng, f32(np.zeros((T, B, 33))), post, delay=1)

    def loss(kernel):
        drive = dataclasses.replace(first, kernel=kernel)
        layer = kernels.lif(drive, params, dt=1.0, surrogate=SURROGATES["arctan"], backend="numba")
        after = dataclasses.replace(second, x=layer.packed)
        _, peak = kernels.leaky(after, jnp.float32(5.0), dt=1.0, backend="numba")
        return (peak**2).sum() + (layer.counts**2).sum() + ((layer.spikes.mean(0) ** 3).sum() if read_too else 0.0)

    def descend(kernel):
        return jax.lax.fori_loop(0, 2, lambda _, kernel: kernel - 0.1 * jax.grad(loss)(kernel), kernel)

    (shapes,) = [
        shapes
        for name, shapes in calls_in(jax.make_jaxpr(descend)(first.kernel).jaxpr)
        if name == "snnlab_lif_gradient"
    ]
    assert shapes[at.ONWARD] == ((0, 0, 0) if read_too else (3, post, 16))
    assert shapes[at.D_SPIKES] == (B, T, 48 if read_too else -(-post // 16) * 16)
