"""The kernels compute what the reference computes, value and gradient, wherever JAX may call them from."""

import subprocess
import sys
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snnlab import kernels
from snnlab.encode import Events
from snnlab.errors import ArgumentError
from snnlab.kernels import reference

T, B, P, N = 23, 3, 11, 7


def make(seed=0, *, num_steps=T, batch=B, pre=P, post=N, events=None, low=-2, high=3):
    """Random events, some of them out of range on either side; `events` of random units, or one of each unit."""
    rng = np.random.default_rng(seed)
    times = jnp.asarray(rng.integers(low, num_steps + high, (batch, pre if events is None else events)), jnp.int32)
    units = None if events is None else jnp.asarray(rng.integers(-2, pre + 3, times.shape), jnp.int32)
    kernel = jnp.asarray(rng.normal(size=(pre, post)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(num_steps, batch, post)), jnp.float32)
    return Events(times=times, units=units, num_steps=num_steps, num_units=pre), kernel, weights


def gradient(project, events, kernel, weights):
    return jax.grad(lambda kernel: (project(events, kernel) * weights).sum())(kernel)


@pytest.fixture(autouse=True)
def numba_backend():
    assert kernels.backend() == "numba"


sizes = st.integers(1, 17)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    num_steps=sizes,
    batch=sizes,
    pre=sizes,
    post=sizes,
    events=st.none() | st.integers(1, 40),
    burst=st.booleans(),
)
def test_projection_is_the_reference(seed, num_steps, batch, pre, post, events, burst):
    """Any shape, single steps and single neurons included; all spikes at once; several of one unit; out of range."""
    sizes = {"num_steps": num_steps, "batch": batch, "pre": pre, "post": post, "events": events}
    spikes, kernel, weights = make(seed, **sizes)
    if burst:
        spikes = Events(times=jnp.zeros_like(spikes.times), units=spikes.units, num_steps=num_steps, num_units=pre)
    found, expected = kernels.project(spikes, kernel), reference.project(spikes, kernel)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-5)
    found, expected = (gradient(project, spikes, kernel, weights) for project in (kernels.project, reference.project))
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-5)


def test_samples_without_spikes_project_to_nothing():
    spikes, kernel, weights = make(low=T, high=5)
    assert (kernels.project(spikes, kernel) == 0).all() and (
        gradient(kernels.project, spikes, kernel, weights) == 0
    ).all()


def test_events_out_of_range_never_touch_memory():
    """Times and units of any 32-bit value: dropped, as in the dense view, however far out they are."""
    extreme = jnp.array([[-(2**31), 2**31 - 1, -1, T, 0, 0, 0, 0]] * B, jnp.int32)
    units = jnp.array([[0, 0, 0, 0, -(2**31), 2**31 - 1, -1, P]] * B, jnp.int32)
    events = Events(times=extreme, units=units, num_steps=T, num_units=P)
    _, kernel, weights = make()
    assert (kernels.project(events, kernel) == 0).all()
    assert (gradient(kernels.project, events, kernel, weights) == 0).all()


def test_same_input_same_bits():
    spikes, kernel, weights = make(events=500)
    runs = [(kernels.project(spikes, kernel), gradient(kernels.project, spikes, kernel, weights)) for _ in range(3)]
    for found in runs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found, runs[0], strict=True))


def test_under_jit_vmap_and_scan():
    spikes, kernel, _ = make()
    expected = reference.project(spikes, kernel)
    np.testing.assert_allclose(jax.jit(kernels.project)(spikes, kernel), expected, atol=1e-5)
    stacked = jnp.stack([kernel, 2 * kernel])
    many = jax.vmap(kernels.project, (None, 0))(spikes, stacked)
    np.testing.assert_allclose(many[1], 2 * expected, atol=1e-5)
    by_time = jax.tree.map(lambda x: jnp.stack([x, x + 1]), spikes)
    np.testing.assert_allclose(jax.vmap(kernels.project, (0, None))(by_time, kernel)[1, 1:], expected[:-1], atol=1e-5)
    _, scanned = jax.lax.scan(lambda carry, w: (carry, kernels.project(spikes, w)), 0, stacked)
    np.testing.assert_array_equal(scanned, many)


def test_from_two_threads_at_once():
    """As in a live session: the train thread and the probe, many times each, never wrong and never a crash."""
    cases = [make(seed, batch=41, pre=101, post=31) for seed in range(2)]
    expected = [np.asarray(kernels.project(spikes, kernel)) for spikes, kernel, _ in cases]
    run = jax.jit(kernels.project)
    wrong: list[int] = []

    def work(k):
        for _ in range(200):
            if not np.array_equal(run(*cases[k][:2]), expected[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in (0, 1)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert wrong == []


def test_dense_input_and_double_precision_take_the_reference():
    spikes, kernel, _ = make()
    np.testing.assert_array_equal(kernels.project(spikes.dense(), kernel), spikes.dense() @ kernel)
    with jax.enable_x64(True):
        double = kernels.project(spikes, kernel.astype(jnp.float64))
        assert double.dtype == jnp.float64


def test_the_choice_may_fall_in_the_middle_of_a_trace():
    """The first use of all is inside `jit`, with warnings as errors."""
    script = (
        "import jax, jax.numpy as jnp; from snnlab import kernels; from snnlab.encode import Events\n"
        "events = Events(times=jnp.zeros((1, 2), jnp.int32), num_steps=1, num_units=2)\n"
        "print(jax.jit(kernels.project)(events, jnp.ones((2, 3))).tolist(), kernels.backend())"
    )
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "[[[2.0, 2.0, 2.0]]] numba", done.stderr


def test_backend_is_chosen_by_the_environment(monkeypatch):
    monkeypatch.setenv("SNNLAB_KERNELS", "reference")
    assert kernels.backend() == "reference"
    monkeypatch.setenv("SNNLAB_KERNELS", "fast")
    with pytest.raises(ArgumentError, match="SNNLAB_KERNELS: must be one of 'auto', 'numba', 'reference', got 'fast'"):
        kernels.backend()


def test_without_numba_the_reference_runs_with_one_warning():
    script = (
        "import sys, warnings; sys.modules['numba'] = None; warnings.simplefilter('always')\n"
        "import jax.numpy as jnp; from snnlab import kernels; from snnlab.encode import Events\n"
        "events = Events(times=jnp.zeros((1, 2), jnp.int32), num_steps=1, num_units=2)\n"
        "print(kernels.project(events, jnp.ones((2, 3))).tolist(), kernels.backend())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[[2.0, 2.0, 2.0]]] reference"
    assert done.stderr.count("numba kernels do not work here") == 1
