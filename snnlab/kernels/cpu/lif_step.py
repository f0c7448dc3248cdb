"""One step of 16 LIF neurons, forward and backward, written once for the feed-forward and the recurrent kernel.

With voltages measured from rest, `a = decay_mem`, `a_syn = decay_syn` and `gain = (1 - a) r`, as in
`snnlab.dynamics.lif_step`:

    g <- g a_syn + x,  u = v a + gain g              integrate
    u <- v while the neuron is refractory            hold
    s  = u >= v_th,  v <- u - (v_th - v_reset) s     reset (or v <- v_reset where s)

Where thresholds adapt, `s = u >= v_th + b`, and then `b <- b rho + beta s`.

`forceinline` compiles the step into the loop of each kernel: a call would cost a fifth of the time.
"""

from typing import NamedTuple

from numba import float32, njit

from snnlab.kernels.cpu import layout as at
from snnlab.kernels.cpu.simd import Vector, absolute, cosine, exp, fill, load, pack, select, square_root, unpack
from snnlab.surrogate import LEAK, LEAK_OF_BOX, MULTI_PEAK, SIDE_LOBES, WIDTH_OF_LOBES

NEVER = 1e9  # steps since the last spike of a neuron that has not fired yet


class Neurons(NamedTuple):
    """Parameters of 16 neurons."""

    bias: Vector
    a_syn: Vector
    a: Vector
    gain: Vector
    v_th: Vector
    v_reset: Vector
    hold: Vector  # refractory steps
    slope: Vector
    peak: Vector  # of the surrogate derivative
    gap: Vector  # from reset to threshold
    rho: Vector  # decay of the rise of the threshold
    beta: Vector  # what a spike adds to it
    holds: bool  # is any of them ever refractory?


@njit(forceinline=True)
def neurons_of(params, width, lane):
    """Load the parameters of the 16 neurons from `lane` on; a row of parameters has `width` values."""
    v_th, v_reset = load(params, at.V_TH * width + lane), load(params, at.V_RESET * width + lane)
    hold = load(params, at.HOLD * width + lane)
    return Neurons(
        load(params, at.BIAS * width + lane),
        load(params, at.DECAY_SYN * width + lane),
        load(params, at.DECAY_MEM * width + lane),
        load(params, at.GAIN * width + lane),
        v_th,
        v_reset,
        hold,
        load(params, at.SLOPE * width + lane),
        load(params, at.PEAK * width + lane),
        v_th - v_reset,
        load(params, at.DECAY_ADAPT * width + lane),
        load(params, at.BETA * width + lane),
        pack(hold >= fill(float32(1.0))) != 0,
    )


@njit(forceinline=True)
def integrate(n, v, g, x):
    """Add the arriving weights `x` to the currents `g`; return the voltages `u` that follow, and the new currents."""
    g = g * n.a_syn + x
    return v * n.a + n.gain * g, g


@njit(forceinline=True)
def hold(n, v, u, age, threshold):
    """Hold refractory neurons at `v`; call it if `n.holds`.

    `age` counts the steps since the last spike, as of the step before. Returns the voltages, the new ages, and 16 bits
    that tell which neurons were held.
    """
    age = age + fill(float32(1.0))
    stuck = age <= n.hold
    u = select(stuck, v, u)
    return u, select(u >= threshold, fill(float32(0.0)), age), pack(stuck)


@njit(forceinline=True)
def adapted(n, b, s):
    """Return the rise `b` of the threshold after a step with the spikes `s`."""
    return b * n.rho + select(s, n.beta, fill(float32(0.0)))


@njit(forceinline=True)
def reset(n, u, threshold, value_reset):
    """Return which neurons fire at the voltage `u`, and their voltages after the reset.

    With `value_reset` a spike sets the voltage to `v_reset`, else it subtracts `v_th - v_reset`.
    """
    s = u >= threshold
    return s, select(s, n.v_reset if value_reset else u - n.gap, u)


class Change(NamedTuple):
    """Gradients on the way back through one step, and the surrogate derivative."""

    dv: Vector  # of the voltage before the step
    dg: Vector  # of the current, which is that of what arrived, too
    moved: Vector  # of the voltage that the neuron moved to; 0 where it was held
    jump: Vector  # of the voltage after the reset, where there was a spike
    ds: Vector  # of the spike, through the reset too
    h: Vector  # the surrogate derivative


@njit(forceinline=True)
def step_back(n, u, threshold, held, dv, dg, ds, value_reset, detach, surrogate):
    """Go back through one step.

    Args:
        n: the `Neurons`.
        u, threshold: voltages before the reset, and what they are compared with.
        held: bits of the held neurons; without `n.holds` they are not read.
        dv: gradient of the voltage after the step.
        dg: gradient of the current of the step after.
        ds: gradient of the spikes.
        value_reset: as for `reset`.
        detach: let no gradient through the reset.
        surrogate: index in `snnlab.surrogate.SURROGATES`.
    """
    zero, one = fill(float32(0.0)), fill(float32(1.0))
    s, h = u >= threshold, _derivative(u - threshold, n.slope, n.peak, surrogate)
    # The reset: what is left of u, and what a spike takes from it.
    kept = select(s, zero, one) if value_reset else one
    taken = zero if detach else (n.v_reset - u if value_reset else n.v_reset - n.v_th)
    du = dv * (kept + taken * h) + ds * h  # in this order only one operation waits for the step after
    moved, left = du, du * n.a
    if n.holds:
        stuck = unpack(held)
        moved, left = select(stuck, zero, du), select(stuck, du, left)
    return Change(left, dg * n.a_syn + moved * n.gain, moved, select(s, dv, zero), ds + dv * taken, h)


class Shares(NamedTuple):
    """Gradients of the parameters from one step.

    That of `v_reset` is `Change.jump`; `add_threshold` adds that of `v_th`.
    """

    a_syn: Vector
    a: Vector
    gain: Vector


@njit(forceinline=True)
def shares_of(change, v_before, g_before, g):
    """Return the `Shares` of a step, from voltage and current before it and the current after it."""
    return Shares(change.dg * g_before, change.moved * v_before, change.moved * g)


@njit(forceinline=True)
def add_threshold(total, change, value_reset):
    """Add to `total` what one step contributes to the gradient of `v_th`: two terms, one after the other."""
    total = total - change.ds * change.h
    return total if value_reset else total - change.jump


@njit
def _derivative(x, slope, peak, surrogate):
    """Compute the surrogate derivative with index `surrogate` in `snnlab.surrogate.SURROGATES`, times its peak."""
    one, y = fill(float32(1.0)), slope * x
    if surrogate == 0:  # inv_square
        d = one + absolute(y)
        return peak / (d * d)
    if surrogate == 1:  # arctan
        return peak / (one + y * y)
    if surrogate == 2:  # sigmoid
        return peak * _bell(y)
    if surrogate == 3:  # triangular
        d = one - absolute(y)
        return peak * select(fill(float32(0.0)) >= d, fill(float32(0.0)), d)  # NaN stays NaN
    if surrogate == 4:  # gaussian
        return peak * exp(fill(float32(-0.5)) * y * y)
    return peak * _rarer(y, surrogate)


@njit
def _rarer(y, surrogate):
    """Compute one of the surrogate derivatives that are rarely used, of `y = slope x`; NaN stays NaN.

    A call of its own, so that the loops of the others keep their registers.
    """
    zero, one = fill(float32(0.0)), fill(float32(1.0))
    if surrogate == 5:  # exponential
        return exp(zero - absolute(y))
    if surrogate == 6:  # boxcar
        return _or_nan(y, select(one >= absolute(y), one, zero))
    if surrogate == 7:  # reciprocal
        return one / (one + absolute(y))
    if surrogate == 8:  # secant
        return _secant(y)
    if surrogate == 9:  # circular
        d = one + y * y
        return one / (d * square_root(d))
    if surrogate == 10:  # multi_gaussian
        return _multi_gaussian(y)
    if surrogate == 11:  # s2nn
        return select(y >= zero, one / (one + y), _bell(fill(float32(4.0)) * y))
    if surrogate == 12:  # leaky_boxcar
        return _or_nan(y, select(one >= absolute(y), one, fill(float32(LEAK_OF_BOX))))
    if surrogate == 13:  # log_tailed
        return select(y >= zero, _secant(y), _or_nan(y, zero))
    if surrogate == 14:  # leaky_relu
        return _or_nan(y, select(y >= zero, one, fill(float32(LEAK))))
    if surrogate == 15:  # square_wave
        c = cosine(y)
        return (c * c + c * c - one) * c
    return _or_nan(y, one)  # straight_through


@njit(forceinline=True)
def _or_nan(y, value):
    return select(y >= y, value, y)


@njit(forceinline=True)
def _bell(y):
    """`4 q (1 - q)` with `q = 1 / (1 + e^-y)`."""
    one = fill(float32(1.0))
    q = one / (one + exp(fill(float32(0.0)) - y))
    return fill(float32(4.0)) * q * (one - q)


@njit(forceinline=True)
def _secant(y):
    """`min(1, 1 / |y|)`."""
    one, size = fill(float32(1.0)), absolute(y)
    return one / select(one >= size, one, size)


@njit(forceinline=True)
def _multi_gaussian(y):
    one, width = fill(float32(1.0)), fill(float32(-0.5 / WIDTH_OF_LOBES**2))
    left, right = y + one, y - one
    lobes = exp(width * left * left) + exp(width * right * right)
    middle = fill(float32((1.0 + SIDE_LOBES) / MULTI_PEAK)) * exp(fill(float32(-0.5)) * y * y)
    return middle - fill(float32(SIDE_LOBES / WIDTH_OF_LOBES / MULTI_PEAK)) * lobes
