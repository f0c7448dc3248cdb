"""The choice of the backend: the numba kernels on a CPU, those for a GPU there, the reference elsewhere."""

import functools
import os
from dataclasses import replace
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from snnlab.dynamics import LifParams, approach
from snnlab.errors import ArgumentError
from snnlab.kernels import gpu, reference
from snnlab.kernels.drive import Drive, Input
from snnlab.kernels.gpu import fused, trial
from snnlab.kernels.orders import at_most_gradient
from snnlab.kernels.packed import Packed
from snnlab.support import arguments
from snnlab.support.transfers import transfers_allowed
from snnlab.support.warn import warn
from snnlab.surrogate import SURROGATES, Surrogate

BACKENDS = ("auto", "numba", "cuda", "gpu", "reference")


class Lif(NamedTuple):
    """Results of LIF neurons. Inside `jit`, those that are not read are not computed.

    Attributes:
        spikes: spikes as 0.0 or 1.0.
        v: voltages after the reset.
        counts: number of spikes of every neuron over the sequence.
        packed: the spikes at one bit each, for the next kernel; None without numba.

    Example:
        >>> from snnlab.surrogate import arctan
        >>> p = LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0)))
        >>> spikes, v, counts, packed = lif(jnp.ones((7, 2, 3)), p, dt=1.0, surrogate=arctan)
        >>> spikes.shape, v.shape, counts.shape
        ((7, 2, 3), (7, 2, 3), (2, 3))
    """

    spikes: Float[Array, "time batch n"]
    v: Float[Array, "time batch n"]
    counts: Float[Array, "batch n"]
    packed: Packed | None = None


def backend(wanted: str | None = None) -> str:
    """Return the backend in use: "numba", "cuda", "gpu" or "reference".

    Args:
        wanted: one of these, or "auto"; default: the environment variable `SNNLAB_KERNELS`, or "auto".

    Raises:
        ArgumentError: if it is none of these.

    Example:
        >>> backend() in ("numba", "cuda", "gpu", "reference")
        True
    """
    if wanted is None:
        wanted = arguments.choice("SNNLAB_KERNELS", os.environ.get("SNNLAB_KERNELS", "auto"), BACKENDS)
    arguments.choice("backend", wanted, BACKENDS)
    device = jax.default_backend()
    if wanted in ("cuda", "gpu"):
        return wanted
    if wanted == "auto" and device == "gpu":
        return "cuda" if trial.works() else "gpu"
    return "numba" if wanted != "reference" and device == "cpu" and _numba_works() else "reference"


@functools.cache
def _numba_works() -> bool:
    """Compile the kernels and run one; warn once if that fails."""
    try:
        from snnlab.kernels.cpu import calls

        one = np.ones((1, 1, 1), np.float32)  # also while JAX makes float64
        # Compiled ahead of its call, because a trace may be under way.
        copy = jax.jit(lambda x: calls.leaky(Drive(x=x), None, dt=1.0)[0]).lower(one).compile()
        with transfers_allowed():
            result = copy(one).item()
        if result != 1.0:
            raise ArithmeticError(f"a kernel that copies 1.0 gave {result}")
        return True
    except Exception as error:  # numba and the FFI fail in many ways; none of them may stop a training
        warn(f"numba kernels do not work here ({error!r}); the slower reference runs")
        return False


def in_one_precision(drive, *more):
    """Return a drive, or what makes one, and other arrays as float32, or as float64 if any of them is.

    Other types, such as bfloat16 or integers, are computed with as float32; the gradients have the types of the arrays.
    """
    drive = Drive.of(drive)
    numbers = (*drive.numbers(), *jax.tree.leaves(more))
    number = jnp.float64 if any(jnp.result_type(x) == jnp.float64 for x in numbers) else jnp.float32
    return drive.astype(number), *jax.tree.map(lambda x: jnp.asarray(x, number), more)


def has_kernel(wanted: str | None, drive: Drive, *parameters: Array | np.float32) -> bool:
    """Whether the numba kernels are in use, and these numbers are for them."""
    return backend(wanted) == "numba" and _usual(drive, *parameters)


def _usual(drive: Drive, *parameters: Array | np.float32) -> bool:
    """Whether the numbers are float32, and no more than their gradient is taken."""
    numbers = (*drive.numbers(), *parameters)
    return all(x.dtype == jnp.float32 for x in numbers) and at_most_gradient(numbers)


def _scans(wanted: str | None, drive: Drive, *parameters: Array | np.float32) -> ModuleType:
    """Return what runs without a kernel: the form for a GPU, or the reference."""
    return gpu if backend(wanted) in ("cuda", "gpu") and _usual(drive, *parameters) else reference


def _is_fused(wanted: str | None, drive: Drive, surrogate: Surrogate, recurrent: bool = False) -> bool:
    """Whether neurons run in one kernel on a GPU."""
    return backend(wanted) == "cuda" and surrogate in SURROGATES.values() and fused.fits(drive, recurrent)


def _risen(drive: Drive, dt: float) -> Drive:
    """Compute the current of a double exponential synapse: it is a leaky neuron behind an exponential synapse.

    The kernels of spiking neurons have one filter before the membrane, so they read this current.
    """
    if drive.tau_rise is None:
        return drive
    from snnlab.kernels.cpu import calls

    drive, rise = drive.unfolded(), drive.spread(drive.tau_rise)
    current = calls.leaky(replace(drive, tau_syn=rise, tau_rise=None), drive.tau_syn, dt=dt)[0]
    return Drive(x=approach(rise, dt).reshape(1, 1, -1) * current)


def from_rest(params: LifParams) -> LifParams:
    """Measure voltages from rest, so that float32 resolves those of a neuron at -65 mV as finely as at 0.

    Example:
        >>> p = LifParams(*map(jnp.float32, (10.0, -50.0, -65.0, -70.0, 1.0, 0.0, 10.0)))
        >>> [from_rest(p)._asdict()[name].item() for name in ("v_th", "v_rest", "v_reset")]
        [15.0, 0.0, -5.0]
    """
    threshold, reset = params.v_th - params.v_rest, params.v_reset - params.v_rest
    return params._replace(v_th=threshold, v_reset=reset, v_rest=jnp.zeros_like(params.v_rest))


def _kernel_options(params: LifParams, surrogate: Surrogate, reset: str, detach_reset: bool):
    from snnlab.kernels.cpu.calls import Options

    number, adapts = list(SURROGATES.values()).index(surrogate), params.beta is not None
    return Options(surrogate=number, value_reset=reset == "value", detach_reset=detach_reset, adapts=adapts)


def lif(
    drive: Drive | Float[Array, "time batch n"],
    params: LifParams,
    *,
    dt: float,
    surrogate: Surrogate,
    reset: str = "subtract",
    detach_reset: bool = False,
    backend: str | None = None,
) -> Lif:
    """LIF neurons with refractory time over the sequence, from rest; the equations are those of `dynamics.lif_step`.

    Args:
        drive: input current, or the weighted spikes that make it.
        params: see `dynamics.LifParams`.
        dt: time step [ms].
        surrogate: one of `snnlab.surrogate`, or your own, which runs on the reference.
        reset: "subtract" or "value".
        detach_reset: let no gradient through the reset.
        backend: see `backend`.

    Example:
        >>> from snnlab.surrogate import inv_square
        >>> p = LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0)))
        >>> lif(jnp.full((20, 1, 1), 1.5), p, dt=1.0, surrogate=inv_square).counts.item()  # every 10 ln 3 = 11 ms
        1.0
    """
    drive, params = in_one_precision(drive, params)
    rest, params = drive.spread(params.v_rest).reshape(1, 1, -1), from_rest(params)
    kernel = surrogate in SURROGATES.values() and has_kernel(backend, drive, *jax.tree.leaves(params))
    spread, drive = drive.spread, _risen(drive, dt) if kernel else drive
    weighed = drive.kernel is None or not isinstance(drive.x, jnp.ndarray)
    if drive.window is not None and kernel and weighed:
        from snnlab.kernels.cpu import calls_conv

        options = _kernel_options(params, surrogate, reset, detach_reset)
        packed, counts, v = calls_conv.lif(drive, params, options, dt=dt)
        return Lif(packed.dense(), rest + v, counts, packed)
    drive, params = drive.unfolded(), spread(params)
    if kernel:
        from snnlab.kernels.cpu import calls

        options = _kernel_options(params, surrogate, reset, detach_reset)
        packed, counts, v = calls.lif(drive, params, options, dt=dt)
        return Lif(packed.dense(), rest + v, counts, packed)
    scans = _scans(backend, drive, *jax.tree.leaves(params))
    if scans is gpu and _is_fused(backend, drive, surrogate):
        spikes, v, counts = fused.lif(drive, params, fused.Options(dt, surrogate, reset, detach_reset))
        return Lif(spikes, rest + v, counts)
    options = {"dt": dt, "spike": surrogate.spike, "reset": reset, "detach_reset": detach_reset}
    spikes, v = scans.lif(scans.current(drive, dt=dt), params, **options)
    return Lif(spikes, rest + v, spikes.sum(0))


def recurrent_lif(
    drive: Drive | Float[Array, "time batch n"],
    w_rec: Float[Array, "n n"],
    params: LifParams,
    *,
    dt: float,
    surrogate: Surrogate,
    reset: str = "subtract",
    detach_reset: bool = False,
    backend: str | None = None,
) -> Lif:
    """LIF neurons that also send spikes to each other, one step later and through the synapse of the drive:

        arriving[t] = x[t - delay] W + bias + s[t - 1] W_rec

    Behind a double exponential synapse they run on the reference.

    Args:
        drive, params, dt, surrogate, reset, detach_reset, backend: as for `lif`.
        w_rec: weights from neuron (row) to neuron (column).

    Raises:
        ArgumentError: if `w_rec` has another shape.

    Example:
        >>> from snnlab.surrogate import inv_square
        >>> p = LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0)))
        >>> x = jnp.zeros((3, 1, 2)).at[0, 0, 0].set(15.0)  # neuron 0 fires at once, and makes neuron 1 fire
        >>> w = jnp.array([[0.0, 15.0], [0.0, 0.0]])
        >>> recurrent_lif(x, w, p, dt=1.0, surrogate=inv_square).spikes[:, 0].tolist()
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]

    Source: Bellec et al. (2020), DOI 10.1038/s41467-020-17236-y.
    """
    drive, w_rec, params = in_one_precision(drive, w_rec, params)
    drive, params = drive.unfolded(), drive.spread(params)
    if w_rec.shape != (drive.features, drive.features):
        raise ArgumentError(f"w_rec: must have shape {(drive.features, drive.features)}, got {w_rec.shape}")
    rest, params = params.v_rest.reshape(1, 1, -1), from_rest(params)
    known = surrogate in SURROGATES.values() and drive.tau_rise is None
    if known and has_kernel(backend, drive, w_rec, *jax.tree.leaves(params)):
        from snnlab.kernels.cpu import calls_recurrent

        options = _kernel_options(params, surrogate, reset, detach_reset)
        packed, counts, v = calls_recurrent.recurrent_lif(drive, w_rec, params, options, dt=dt)
        return Lif(packed.dense(), rest + v, counts, packed)
    scans = _scans(backend, drive, w_rec, *jax.tree.leaves(params))
    if known and scans is gpu and _is_fused(backend, drive, surrogate, recurrent=True):
        spikes, v, counts = fused.lif(drive, params, fused.Options(dt, surrogate, reset, detach_reset), w_rec)
        return Lif(spikes, rest + v, counts)
    options = {"dt": dt, "spike": surrogate.spike, "reset": reset, "detach_reset": detach_reset}
    spikes, v = scans.recurrent_lif(drive, w_rec, params, **options)
    return Lif(spikes, rest + v, spikes.sum(0))


def leaky(
    drive: Drive | Float[Array, "time batch n"], tau_mem: Float[Array, "..."], *, dt: float, backend: str | None = None
) -> tuple[Float[Array, "time batch n"], Float[Array, "batch n"]]:
    """Leaky integrators over the sequence, from 0; the equation is that of `dynamics.leaky_step`.

    Returns:
        The traces, and their maximum over time; its gradient is shared evenly between ties. Inside `jit` only the
        results that are read are computed, and the maximum alone needs no array over time.

    Example:
        >>> trace, peak = leaky(jnp.ones((2, 1, 1)), jnp.float32(5.0), dt=1.0)
        >>> trace.shape, peak.item() == trace[1].item()
        ((2, 1, 1), True)
    """
    drive, tau_mem = in_one_precision(drive, tau_mem)
    drive, tau_mem = drive.unfolded(), drive.spread(tau_mem)
    if has_kernel(backend, drive, tau_mem):
        from snnlab.kernels.cpu import calls

        return calls.leaky(_risen(drive, dt), tau_mem, dt=dt)
    scans = _scans(backend, drive, tau_mem)
    trace = scans.leaky(scans.current(drive, dt=dt), tau_mem, dt=dt)
    return trace, trace.max(0)


def current(drive: Drive, *, dt: float, backend: str | None = None) -> Float[Array, "time batch n"]:
    """Compute the current of a drive at every step.

    Example:
        >>> current(Drive(x=jnp.ones((3, 2, 4)), kernel=jnp.ones((4, 5)), tau_syn=jnp.float32(10.0)), dt=1.0).shape
        (3, 2, 5)
    """
    (drive,) = in_one_precision(drive)
    drive = drive.unfolded()
    if has_kernel(backend, drive):
        from snnlab.kernels.cpu import calls

        return calls.leaky(drive, None, dt=dt)[0] if drive.tau_rise is None else _risen(drive, dt).arriving()
    return _scans(backend, drive).current(drive, dt=dt)


def arriving(drive: Drive, *, backend: str | None = None) -> Float[Array, "time batch n"]:
    """Compute what arrives behind the weights of a drive at every step, dense; neither bias nor synapse are in it.

    Example:
        >>> arriving(Drive(x=jnp.ones((3, 2, 4)), kernel=jnp.ones((4, 5)))).shape
        (3, 2, 5)
    """
    (drive,) = in_one_precision(drive)
    if drive.window is None or drive.kernel is None or not has_kernel(backend, drive):
        return drive.arriving()
    from snnlab.kernels.cpu import calls_dense

    x = drive.x if isinstance(drive.x, jnp.ndarray | Packed) else drive.x.dense()
    return drive.later(calls_dense.convolve(drive.window, x, drive.kernel))


def expon(
    x: Float[Array, "time batch n"], tau_syn: Float[Array, "..."], *, dt: float, backend: str | None = None
) -> Float[Array, "time batch n"]:
    """Exponential synapses over the sequence, from 0; the equation is that of `dynamics.expon_step`.

    Example:
        >>> expon(jnp.ones((2, 1, 1)), jnp.float32(5.0), dt=1.0).shape
        (2, 1, 1)
    """
    return current(replace(Drive.of(x), tau_syn=tau_syn), dt=dt, backend=backend)


def double_expon(
    x: Float[Array, "time batch n"],
    tau_rise: Float[Array, "..."],
    tau_syn: Float[Array, "..."],
    *,
    dt: float,
    backend: str | None = None,
) -> Float[Array, "time batch n"]:
    """Double exponential synapses over the sequence, from 0; the equation is that of `dynamics.double_expon_step`.

    Example:
        >>> double_expon(jnp.ones((2, 1, 1)), jnp.float32(2.0), jnp.float32(5.0), dt=1.0).shape
        (2, 1, 1)
    """
    return current(replace(Drive.of(x), tau_rise=tau_rise, tau_syn=tau_syn), dt=dt, backend=backend)


def project(x: Input, kernel: Float[Array, "pre post"], *, backend: str | None = None) -> Float[Array, "time batch n"]:
    """Weighted sum of the input at every step, `I[t] = x[t] W`; for spikes the dense input is never formed.

    Example:
        >>> project(jnp.ones((3, 2, 4)), jnp.ones((4, 5))).shape
        (3, 2, 5)
    """
    return current(Drive(x=x, kernel=kernel), dt=1.0, backend=backend)


def lstm(
    x: Float[Array, "time batch pre"],
    w_x: Float[Array, "pre gates"],
    w_h: Float[Array, "n gates"],
    bias: Float[Array, " gates"],
    *,
    backend: str | None = None,
) -> Float[Array, "time batch n"]:
    """LSTM over the sequence, from 0; the equations are those of `dynamics.lstm_step`.

    Raises:
        ArgumentError: if the shapes do not fit together.

    Example:
        >>> lstm(jnp.ones((7, 2, 5)), jnp.zeros((5, 12)), jnp.zeros((3, 12)), jnp.ones(12)).shape
        (7, 2, 3)
    """
    n, gates = w_h.shape
    if (*w_x.shape, *bias.shape, gates) != (x.shape[2], gates, gates, 4 * n):
        raise ArgumentError(
            f"w_x, w_h, bias: must be ({x.shape[2]}, 4 n), (n, 4 n) and (4 n,), "
            f"got {w_x.shape}, {w_h.shape} and {bias.shape}"
        )
    drive, w_x, w_h, bias = in_one_precision(x, w_x, w_h, bias)
    x = drive.arriving()
    if has_kernel(backend, drive, w_x, w_h, bias):
        from snnlab.kernels.cpu import calls_lstm

        if calls_lstm.fits(w_x, w_h):
            return calls_lstm.lstm(x, w_x, w_h, bias)
    return _scans(backend, drive, w_x, w_h, bias).lstm(x, w_x, w_h, bias)
