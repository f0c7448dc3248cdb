"""Inside `jax.shard_map`, on several devices, the gradients are those of one device with the whole batch."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from snnlab import kernels
from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes
from snnlab.kernels import Drive
from snnlab.kernels.axes import varying
from snnlab.layers import IF, LSTM, Expon, Leaky, LifRef, Projection, Recurrent, Stack
from snnlab.surrogate import inv_square

DEVICES = 4
# They fire often; each has its own constants, because in the gradient of a shared one nearly all cancels.
NEURONS = {"tau_mem": nnx.Param(np.full(20, 8.0)), "v_th": nnx.Param(np.full(20, 0.7)), "r": 20.0}


def mesh(devices: int) -> jax.sharding.Mesh:
    return jax.make_mesh((devices,), ("batch",), axis_types=(jax.sharding.AxisType.Auto,))


def networks() -> dict:
    """One network for each kernel, with all that can be learned."""
    rngs, synapse = (
        nnx.Rngs(0),
        {"synapse": Expon(20, tau_syn=nnx.Param(np.full(20, 5.0))), "use_bias": True, "rngs": nnx.Rngs(0)},
    )
    readout = {"readout": Projection(20, Leaky(3, tau_mem=nnx.Param(np.full(3, 5.0))), delay=1, rngs=rngs)}
    return {
        "lif": Stack(hidden=Projection(30, LifRef(20, **NEURONS), **synapse), **readout),
        "recurrent": Stack(hidden=Recurrent(30, LifRef(20, **NEURONS), **synapse), **readout),
        "if": Stack(hidden=Projection(30, IF(20, v_th=nnx.Param(np.full(20, 0.7))), rngs=rngs), **readout),
        "lstm": Stack(hidden=LSTM(30, 20, rngs=rngs), readout=nnx.Linear(20, 3, rngs=rngs)),
    }


def objective(params, x, *, graph, rest):
    """The mean over the batch of something that reads every result."""
    record = nnx.merge(graph, params, rest)(x)
    counts = sum(counts.mean() for counts in record.counts.values())
    return (record.readout**2).mean() + record.peak.mean() + 0.1 * counts


def compare() -> None:
    """Compare gradients on four devices with those on one; in a process that has four."""
    rng = np.random.default_rng(0)
    dense = jnp.asarray(rng.poisson(0.3, (23, 8, 30)), jnp.float32)
    times = SpikeTimes(times=jnp.asarray(rng.integers(0, 23, (8, 30)), jnp.int32), num_steps=23, num_units=30)
    spec = PartitionSpec("batch"), PartitionSpec(None, "batch")
    for name, net in networks().items():
        inputs = [(dense, spec[1])] if name == "lstm" else [(dense, spec[1]), (times, spec[0])]
        graph, params, rest = nnx.split(net, nnx.Param, ...)
        mean = functools.partial(objective, graph=graph, rest=rest)
        for x, where in inputs:
            one = jax.jit(jax.grad(mean))(params, x)

            def shared_out(params, x, mean=mean):
                return jax.grad(lambda params: jax.lax.pmean(mean(params, x), "batch"))(params)

            specs = {"mesh": mesh(DEVICES), "in_specs": (PartitionSpec(), where), "out_specs": PartitionSpec()}
            many = jax.jit(jax.shard_map(shared_out, **specs))(params, x)
            for found, expected in zip(jax.tree.leaves(many), jax.tree.leaves(one), strict=True):
                size = float(jnp.abs(expected).max())
                assert size > 0, name
                np.testing.assert_allclose(found, expected, atol=1e-4 * size, err_msg=name)


@pytest.mark.endure
@pytest.mark.parametrize("backend", ["numba", "cuda", "gpu", "reference"])
def test_gradients_on_four_devices(backend):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}"
    environment = os.environ | {"XLA_FLAGS": flags, "SNNLAB_KERNELS": backend}
    subprocess.run([sys.executable, __file__], env=environment, check=True)


@pytest.mark.parametrize("backend", ["numba", "cuda", "gpu", "reference"])
def test_what_comes_out_varies_over_the_axes_of_what_goes_in(backend):
    """Or JAX leaves out the sum over the devices. Also where weights or parameters alone differ between devices."""
    params = LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0)))
    weights = {"x": jnp.ones((5, 2, 3)), "kernel": jnp.ones((3, 4)), "tau_syn": jnp.float32(5.0)}
    options = {"dt": 1.0, "surrogate": inv_square, "backend": backend}
    gates = jnp.ones((3, 16)), jnp.ones((4, 16)), jnp.ones(16)

    def results(x, weights, params, gates):
        drive = Drive(**weights)
        return [
            kernels.lif(drive, params, **options),
            kernels.recurrent_lif(drive, jnp.ones((4, 4)), params, **options),
            kernels.leaky(drive, params.tau_mem, dt=1.0, backend=backend),
            kernels.lstm(x, *gates, backend=backend),
        ]

    arguments = (weights["x"], weights, params, gates)
    for differing, reached in [((0,), (3,)), ((1,), (0, 1, 2)), ((2,), (0, 1, 2)), ((3,), (3,)), ((), ())]:

        def axes(*given, reached=reached):
            for number, result in enumerate(results(*given)):
                for leaf in jax.tree.leaves(result):
                    assert varying(leaf) == ({"batch"} if number in reached else set())
            return 0.0

        where = tuple(PartitionSpec("batch") if k in differing else PartitionSpec() for k in range(len(arguments)))
        given = jax.tree.map(lambda leaf: leaf[None] if leaf.ndim == 0 else leaf, arguments)
        specs = {"mesh": mesh(1), "in_specs": where, "out_specs": PartitionSpec()}
        jax.eval_shape(jax.shard_map(lambda *a: axes(*a), **specs), *given)


if __name__ == "__main__":
    compare()
