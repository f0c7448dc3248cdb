"""One point, in a process of its own: `python -m benchmarks.scaling.worker POINT SECONDS` prints JSON.

POINT is a JSON list of the fields of `points.Point`. The environment variable `SNNLAB_KERNELS` chooses the backend.
"""

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from benchmarks import machine
from benchmarks.scaling.points import Point
from snnlab import kernels
from snnlab.encode import SpikeTimes
from snnlab.layers import Expon, Leaky, LifRef, Projection, Stack
from snnlab.losses import Classification, spike_l2

CLASSES = 10
WEIGHT = 3.0  # standard deviation of a neuron's weights of one sample, all together: a third of the neurons then fires
CALLS = 3  # at least


def events(point: Point, rng: np.random.Generator) -> SpikeTimes:
    """Latency code of random brightness: most spikes come early, however long the sequence lasts. While there are
    enough inputs, each fires at most once."""
    bright = rng.uniform(0.2001, 1.0, (point.batch, point.events))
    times = np.minimum(20.0 * np.log(bright / (bright - 0.2)), 99.0).astype(np.int32)
    if point.events <= point.inputs:
        units = np.stack([rng.permutation(point.inputs)[: point.events] for _ in range(point.batch)])
    else:
        units = rng.integers(0, point.inputs, (point.batch, point.events))
    return SpikeTimes(
        times=jnp.asarray(times),
        units=jnp.asarray(units, jnp.int32),
        num_steps=point.steps,
        num_units=point.inputs,
    )


def network(point: Point) -> nnx.Module:
    """The spiking reference network behind its encoder, or its hidden layer."""
    rngs = nnx.Rngs(params=0)
    repeats = point.events / point.inputs if point.events > point.inputs else 0.0  # their weights are the same
    init = jax.nn.initializers.normal(WEIGHT / (point.events * (1.0 + repeats)) ** 0.5)
    neurons, synapse = LifRef(point.hidden), Expon(point.hidden)
    hidden = Projection(point.inputs, neurons, synapse=synapse, kernel_init=init, rngs=rngs)
    if point.scope == "layer":
        return Stack(hidden=hidden)
    readout = Projection(point.hidden, Leaky(CLASSES), synapse=Expon(CLASSES), rngs=rngs)
    return Stack(hidden=hidden, readout=readout)


def gradient(point: Point, net: nnx.Module) -> tuple[Callable, nnx.State]:
    """`(params, events, labels) -> ((loss, spikes a sample), gradient)`, and the params."""
    graphdef, params, rest = nnx.split(net, nnx.Param, ...)
    loss = Classification(l1=1e-4, l2=1e-4)

    def objective(params, x, y):
        record = nnx.merge(graphdef, params, jax.tree.map(lambda leaf: leaf, rest))(x)
        spikes = record.counts["hidden"].sum() / point.batch
        if point.scope == "layer":
            return spike_l2(record.counts["hidden"]), spikes
        return sum(loss(record, y).values()), spikes

    return jax.value_and_grad(objective, has_aux=True), params


def resident() -> int:
    """Bytes of this process that are in memory now."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def peak() -> int:
    """Bytes of this process that were in memory when they were most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def timed(step: Callable[[], object], seconds: float) -> dict:
    """Milliseconds of every call: by the clock, by the CPU time of all threads, and the share that others had."""
    calls, started = [], time.perf_counter()
    while len(calls) < CALLS or time.perf_counter() - started < seconds:
        before, cpu, wall = machine.busy_seconds(), time.process_time(), time.perf_counter()
        jax.block_until_ready(step())
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        others = None if before is None else machine.others_share(machine.busy_seconds() - before, cpu, wall)
        calls.append((1e3 * wall, 1e3 * cpu, others))
    wall, cpu, _ = zip(*calls, strict=True)
    return {"wall": wall, "cpu": cpu}


def measure(point: Point, seconds: float) -> dict:
    """Time and memory of one point."""
    rng = np.random.default_rng(0)
    backend = kernels.backend()  # loads the kernels, so that they are no part of what the step needs
    step, params = gradient(point, network(point))
    arguments = params, events(point, rng), jnp.asarray(rng.integers(0, CLASSES, point.batch))
    before, started = jax.block_until_ready(arguments) and max(resident(), peak()), time.perf_counter()
    compiled = jax.jit(step).lower(*arguments).compile()
    compile_seconds = time.perf_counter() - started
    (loss, spikes), _ = jax.block_until_ready(compiled(*arguments))
    used = compiled.memory_analysis()
    return {
        "backend": backend,
        "spikes": float(spikes),
        "loss": float(loss),
        "compile_seconds": compile_seconds,
        **timed(lambda: compiled(*arguments), seconds),
        "temp_bytes": used.temp_size_in_bytes,
        "argument_bytes": used.argument_size_in_bytes,
        "peak_bytes": peak() - before,
    }


if __name__ == "__main__":
    print(json.dumps(measure(Point(*json.loads(sys.argv[1])), float(sys.argv[2]))))
