"""LIF neurons over a whole sequence in one kernel for NVIDIA's GPUs, forward and backward.

`sequences.lif` is a loop of XLA: several kernels, launched again and again. Here a thread takes one neuron through all
time steps, its voltage in registers; see `cuda/lif.cu`. Like the kernels for the CPU, these add the weights of a spike
where it arrives, keep nothing for the way back and compute the voltages again, and sum in a fixed order, so the same
input gives the same bits. A forward pass is one launch, a backward pass two: the neurons, then the weights.

What they take as it is: spikes of units that fire at most once, and their weights. Everything else (dense input, lists
of events, a convolution, a synapse that rises slowly) reaches them as a current that XLA computes.

In a recurrent layer the neurons of a sample are one block, which knows at every step who fired at the step before. Its
backward pass has a third launch, for the weights inside the layer.

In a program that is compiled for anything but such a GPU, XLA runs `sequences` in their place.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from snnlab.dynamics import LifParams
from snnlab.encode import SpikeTimes
from snnlab.kernels import rows
from snnlab.kernels.axes import alike
from snnlab.kernels.devices import sharing
from snnlab.kernels.drive import Drive
from snnlab.kernels.gpu import exact, sequences
from snnlab.kernels.gpu.launch import MOST_BLOCKS, MOST_THREADS, SHARED, THREADS, launch
from snnlab.kernels.orders import no_more
from snnlab.kernels.perturbed import Static, any_perturbed, is_zero, values
from snnlab.surrogate import SURROGATES, Surrogate

PLATFORM: Final = "cuda"  # JAX's name of the devices for which a program has the kernels

RECURRENT: Final = "snnlab_recurrent"
_SENDERS = 2048  # blocks of the kernel for the weights inside a layer: some for every core of a large GPU

Results = tuple[Float[Array, "time batch n"], Float[Array, "time batch n"], Float[Array, "batch n"]]


class Options(NamedTuple):
    """What is fixed when a program is traced; `delay` and `num_steps` are those of the drive."""

    dt: float
    surrogate: Surrogate
    reset: str
    detach_reset: bool
    delay: int = 0
    num_steps: int = 0


class Given(NamedTuple):
    """What a layer is given: either times and weights of spikes, or a current; and how its neurons reach each other."""

    times: Int[Array, "batch pre"] | None
    kernel: Float[Array, "pre n"] | None
    current: Float[Array, "time batch n"] | None
    bias: Float[Array, " n"] | None
    tau_syn: Float[Array, "..."] | None
    params: LifParams
    w_rec: Float[Array, "n n"] | None = None

    @property
    def kernel_name(self) -> str:
        """Name of the kernel of its neurons; that backward ends in `_back`."""
        return "snnlab_lif" if self.w_rec is None else RECURRENT

    def drive(self, options: Options) -> Drive:
        """Return the drive that this was made of."""
        others = {"bias": self.bias, "tau_syn": self.tau_syn, "delay": options.delay}
        if self.times is None or self.kernel is None:
            return Drive(x=jnp.asarray(self.current), **others)
        x = SpikeTimes(times=self.times, num_steps=options.num_steps, num_units=len(self.kernel))
        return Drive(x=x, kernel=self.kernel, **others)


class Call(NamedTuple):
    """The first argument of every kernel, in the order of `struct Options` in `cuda/lif.cu`."""

    steps: int
    batch: int
    neurons: int
    units: int  # 0 if a current drives the neurons
    from_events: bool
    delay: int
    surrogate: int
    value_reset: bool
    detach_reset: bool
    adapts: bool
    voltages: bool = False
    d_spikes: bool = False
    d_voltages: bool = False
    learns: bool = False

    @classmethod
    def of(cls, options: Options, given: Given) -> "Call":
        """Read the shapes from what is given."""
        drive = given.drive(options)
        return cls(
            options.num_steps,
            drive.batch,
            drive.features,
            0 if given.kernel is None else len(given.kernel),
            given.kernel is not None,
            options.delay,
            list(SURROGATES.values()).index(options.surrogate),
            options.reset == "value",
            options.detach_reset,
            given.params.beta is not None,
        )

    def shape(self, *more: int, number=jnp.float32) -> jax.ShapeDtypeStruct:
        """Return the shape of an array with a value for every neuron, behind these axes."""
        return jax.ShapeDtypeStruct((*more, self.neurons), number)

    def launch(self, name: str, results, *arguments):
        """Run a kernel of neurons: a row of blocks for every sample, or one block of neurons that hear each other."""
        shared, most = shared_memory(self.steps, self.units) if self.from_events else 0, THREADS
        if name.startswith(RECURRENT):
            shared, most = shared + memory_of_peers(self.neurons), MOST_THREADS
        options = np.array(self, np.int32)
        return launch(name, results, self.batch, self.neurons, shared, options, *arguments, most=most)


def shared_memory(steps: int, units: int) -> int:
    """Return the bytes in which a block sorts the events of a sample."""
    return 4 * (steps + 1) + 2 * 2 * units


def memory_of_peers(neurons: int) -> int:
    """Return the bytes in which the neurons of a recurrent layer tell each other: `Peers::size` in `lif.cu`."""
    return 4 * (32 + 2 * neurons + (neurons + 1) // 2)


def fits(drive: Drive, recurrent: bool = False) -> bool:
    """Whether the kernels take a layer of this shape; several devices share out what XLA can look into.

    Example:
        >>> fits(Drive(x=jnp.ones((5, 2, 3)))), fits(Drive(x=jnp.ones((5, 0, 3))))
        (True, False)
    """
    some = min(drive.num_steps, drive.batch, drive.features) > 0
    return some and drive.features <= (MOST_THREADS if recurrent else MOST_BLOCKS * THREADS) and sharing() == 1


def lif(drive: Drive, params: LifParams, options: Options, w_rec: Float[Array, "n n"] | None = None) -> Results:
    """LIF neurons over the sequence, from rest; voltages are measured from it. With `w_rec` they hear each other.

    Returns:
        Spikes, voltages after the reset, and counts of spikes. Inside `jit`, those that are not read are not computed.
    """
    if drive.tau_rise is not None:
        drive = Drive(x=sequences.current(drive, dt=options.dt))
    elif not _event_driven(drive, w_rec is not None):
        drive = replace(drive, x=sequences.arriving(replace(drive, bias=None)), kernel=None, delay=0)
    x, others = drive.x, (drive.bias, drive.tau_syn, params, w_rec)
    if isinstance(x, SpikeTimes):
        given = Given(x.int32("times"), drive.weights, None, *others)
    else:
        given = Given(None, None, jnp.asarray(x), *others)
    options = options._replace(delay=drive.delay, num_steps=drive.num_steps)
    return fused_lif(options, *alike(given))


def _event_driven(drive: Drive, recurrent: bool = False) -> bool:
    """Whether the kernels add weights spike by spike; those of units without any would be an empty array."""
    x = drive.x
    if not exact.fits(x) or drive.kernel is None or not x.num_units:
        return False
    left = SHARED - (memory_of_peers(drive.features) if recurrent else 0)
    return shared_memory(x.num_steps, x.num_units) <= left


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def fused_lif(options: Options, given: Given) -> Results:
    return no_more(partial(_choose, partial(_fused, options), partial(_otherwise, options)), given)


def _choose(fused: Callable, otherwise: Callable, *arguments):
    """Call one or the other, according to what the program is compiled for."""
    return jax.lax.platform_dependent(*arguments, default=otherwise, **{PLATFORM: fused})


def _forward(options: Options, given: Given):
    learns = any_perturbed((given.tau_syn, given.params))
    given = values(given)
    return fused_lif(options, given), (given, Static(learns))


def _backward(options: Options, saved: tuple[Given, Static], cotangents):
    given, learns = saved
    incoming = {name: d for name, d in zip(("spikes", "v", "counts"), cotangents, strict=True) if not is_zero(d)}
    fused, otherwise = partial(_fused_back, options, bool(learns)), partial(_otherwise_back, options)
    return (no_more(partial(_choose, fused, otherwise), given, incoming),)


fused_lif.defvjp(_forward, _backward, symbolic_zeros=True)


def _otherwise(options: Options, given: Given) -> Results:
    return scanned(sequences, options, given)


def scanned(scans: ModuleType, options: Options, given: Given) -> Results:
    """Compute the same by `sequences` or by the reference."""
    drive, how = given.drive(options), {"reset": options.reset, "detach_reset": options.detach_reset}
    params = given.params._replace(v_rest=jax.lax.stop_gradient(given.params.v_rest))  # voltages are measured from it
    how |= {"dt": options.dt, "spike": options.surrogate.spike}
    if given.w_rec is None:
        spikes, v = scans.lif(scans.current(drive, dt=options.dt), params, **how)
    else:
        spikes, v = scans.recurrent_lif(drive, given.w_rec, params, **how)
    return spikes, v, spikes.sum(0)


def _otherwise_back(options: Options, given: Given, incoming: dict[str, Array]) -> Given:
    def run(learned: Given):
        return dict(
            zip(("spikes", "v", "counts"), _otherwise(options, learned._replace(times=given.times)), strict=True)
        )

    results, pull = jax.vjp(run, given._replace(times=None))
    return pull(jax.tree.map(jnp.zeros_like, results) | incoming)[0]


def _inputs(given: Given, constants: Float[Array, "params n"]) -> tuple:
    """The arguments of the kernels after the first: constants, weights, times, current, and weights inside the layer.

    What is absent is a number that is never read, each another: XLA hands the pointer to equal ones over only once, in
    some versions.
    """
    absent = [jnp.full(1, 1 + k, jnp.float32) for k in range(3)]
    inputs = (given.kernel, given.times, given.current)
    inside = () if given.w_rec is None else (jnp.stack([given.w_rec, given.w_rec.T]),)
    return constants, *(absent[k] if x is None else x for k, x in enumerate(inputs)), *inside


def _constants(options: Options, given: Given, bias, tau_syn, params: LifParams) -> Float[Array, "params n"]:
    drive = given._replace(bias=bias, tau_syn=tau_syn).drive(options)
    return rows.lif_rows(drive, params, options.dt)


def _fused(options: Options, given: Given) -> Results:
    call = Call.of(options, given)
    inputs = _inputs(given, _constants(options, given, given.bias, given.tau_syn, given.params))
    results = call.shape(call.steps, call.batch), call.shape(call.batch)
    spikes, counts = call.launch(given.kernel_name, results, *inputs)
    v, _ = call._replace(voltages=True).launch(given.kernel_name, results, *inputs)
    return spikes, v, counts


def _fused_back(options: Options, learns: bool, given: Given, incoming: dict[str, Array]) -> Given:
    wanted = {"d_spikes": "spikes" in incoming, "d_voltages": "v" in incoming, "learns": learns}
    call = Call.of(options, given)._replace(**wanted)
    constants, pull = jax.vjp(partial(_constants, options, given), given.bias, given.tau_syn, given.params)
    over_time = call.shape(call.steps, call.batch)
    results = [over_time, call.shape(call.batch, rows.LEARNED)]
    results += [call.shape(1 + learns + call.adapts, *over_time.shape[:2])]  # the trace
    results += [call.shape(*over_time.shape[:2], number=jnp.uint8)]  # flags
    d_spikes, d_v = (incoming.get(name, jnp.full(1, 4 + k, jnp.float32)) for k, name in enumerate(("spikes", "v")))
    d_counts = incoming.get("counts", jnp.zeros((call.batch, call.neurons), jnp.float32))
    arguments = *_inputs(given, constants), d_spikes, d_v, d_counts
    d_arriving, d_params, _, flags = call.launch(f"{given.kernel_name}_back", results, *arguments)
    d_rows = jnp.pad(d_params.sum(0), ((0, rows.NUM_PARAMS - rows.LEARNED), (0, 0)))
    d_bias, d_tau_syn, d_params = pull(d_rows)
    d_w_rec = None if given.w_rec is None else _peers_back(call, flags, d_arriving)
    learned = Given(None, None, d_arriving, d_bias, d_tau_syn, d_params, d_w_rec)
    if given.kernel is None:
        return learned
    return learned._replace(kernel=_weights_back(call, given, d_arriving), current=None)


def _weights_back(call: Call, given: Given, d_arriving: Float[Array, "time batch n"]) -> Float[Array, "pre n"]:
    results, options = [call.shape(call.units)], np.array(call, np.int32)
    return launch("snnlab_weights_back", results, call.units, call.neurons, 0, options, given.times, d_arriving)[0]


def _peers_back(call: Call, flags: UInt8[Array, "time batch n"], d_arriving: Float[Array, "time batch n"]):
    """Compute the gradient of the weights inside a layer; parts of the batch apart, to keep all cores busy."""
    parts = max(1, min(call.batch, _SENDERS // call.neurons))
    results, options = [call.shape(parts, call.neurons)], np.array(call, np.int32)
    of_all = parts * call.neurons, call.neurons, 0
    return launch("snnlab_peers_back", results, *of_all, options, flags, d_arriving)[0].sum(0)
