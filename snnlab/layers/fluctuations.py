"""Initial weights of deep networks, from theory: voltages that fluctuate as widely as the threshold is away.

As long as a neuron does not fire, its voltage is a sum over all spikes that arrive, `v(t) = sum_j w_j h_j(t)`, where
`h_j(t)` adds up the responses to the spikes of input `j`. If the weights of `n` inputs have mean 0 and deviation `w`,
the voltage has mean 0 and the variance

    sigma^2 = n w^2 E[h^2],        E[h(t)^2] = E[p] sum_{k<=t} e[k]^2 + E[p^2] (sum_{k<=t} e[k])^2

for inputs that fire with probability `p = rate dt / 1000` in a step, and a response `e[k]` of synapse and membrane, `k`
steps after the spike. The first term comes from single spikes, the second from what lasts: every neuron weighs the
rates of its inputs in its own way.

How often such a voltage reaches the threshold follows from `sigma / gap`, with the way `gap` from rest to threshold. A
fast voltage crosses it `exp(-gap^2 / (2 sigma^2)) / (2 pi sqrt(tau_mem tau_syn))` times a second (Rice). Under a slow
one a neuron fires at the rate of a constant current, `r = (x - 1/2) / tau_mem` for `x = v / gap > 1`. For `sigma = gap`
and time constants of 10 ms these are 10 and 16 Hz. So weights are drawn with `sigma = gap`, and hidden layers are taken
to fire as under a slow voltage.

What theory cannot make good: rates grow faster than the variance that causes them, `d ln E[r^2] / d ln sigma^2 = 1.6`
at `sigma = gap`. So a first layer that hears more than it was taken to makes the next ones fire more and more, and one
that hears less makes activity fade. `snnlab.balanced` measures that on the data, layer by layer, and corrects it.

Sources: Rice (1945), DOI 10.1002/j.1538-7305.1945.tb00453.x, for the rate of crossings; Rossbroich, Gygax & Zenke
(2022), DOI 10.1088/2634-4386/ac97bb, for weights that make voltages fluctuate; Mishkin & Matas (2016),
arXiv:1511.06422, for correcting one layer after the other on a batch.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from snnlab.layers.weights import he_normal

RATE = 15.0
"""Mean rate at which hidden layers of a deep network are to start [Hz]."""

LOWEST, HIGHEST = 5.0, 60.0
"""Mean rates of a layer between which a network starts well [Hz]: deeper layers hear it, and it is not saturated."""

_DENSITY = math.exp(-0.5) / math.sqrt(2.0 * math.pi)  # of a normal variable at 1
_TAIL = 0.5 * math.erfc(math.sqrt(0.5))  # the probability that it is larger


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What the inputs of a layer do.

    Attributes:
        rate: mean rate [Hz].
        square: mean square of the rates [Hz^2]; 0 if each fires once at most, so that nothing of it lasts.

    Example:
        >>> Heard.slow(tau_mem=10.0)
        Heard(rate=16.26, square=1983.0)
    """

    rate: float
    square: float

    @classmethod
    def steady(cls, rate: float) -> "Heard":
        """Inputs that all have the same rate."""
        return cls(rate=rate, square=rate**2)

    @classmethod
    def once(cls, share: float, duration: float) -> "Heard":
        """Inputs of which a share fires once in a duration [ms]."""
        return cls(rate=1000.0 * share / duration, square=0.0)

    @classmethod
    def slow(cls, tau_mem: float, inputs: int = 1) -> "Heard":
        """Sums of so many neurons whose slow voltages have the deviation `gap`: `r = (x - 1/2) / tau_mem` for `x > 1`.

        With the density `f` and the tail `q` of a normal variable at 1, `E[r] = (f - q/2) / tau_mem` and
        `E[r^2] = 5/4 q / tau_mem^2`. The neurons of a sum are neighbours, and taken to fire alike.
        """
        unit = 1000.0 * inputs / tau_mem
        return cls(rate=round(unit * (_DENSITY - 0.5 * _TAIL), 2), square=round(unit**2 * 1.25 * _TAIL, 0))


@dataclass(frozen=True, kw_only=True)
class Membrane:
    """What a spike does to the voltage of a neuron at rest, behind an exponential synapse; see `dynamics.lif_step`.

    Attributes:
        tau_mem: time constant of the membrane [ms].
        tau_syn: time constant of the synapse [ms].
        gap: way from rest to the threshold.
        dt: time step [ms].
        num_steps: length of the sequence.

    Example:
        >>> Membrane(tau_mem=10.0, tau_syn=10.0, gap=1.0, dt=1.0, num_steps=100).response()[:3].round(3).tolist()
        [0.095, 0.172, 0.234]
    """

    tau_mem: float
    tau_syn: float
    gap: float
    dt: float
    num_steps: int

    def response(self) -> Float[np.ndarray, " time"]:
        """Compute the voltage after a spike of weight 1, step by step.

        e[k] = (1 - a) sum_{i=0..k} a_syn^i a^(k-i),    a = e^(-dt/tau_mem),  a_syn = e^(-dt/tau_syn)
        """
        k = np.arange(self.num_steps)
        a, a_syn = (_decay(tau, self.dt) for tau in (self.tau_mem, self.tau_syn))
        if abs(a - a_syn) < 1e-6:  # the limit of what follows
            return (1.0 - a) * (k + 1) * a**k
        return (1.0 - a) * (a ** (k + 1) - a_syn ** (k + 1)) / (a - a_syn)

    def mean_square(self, heard: Heard) -> float:
        """Compute `E[h^2]` of one input, averaged over the sequence; see the module.

        Example:
            >>> long = Membrane(tau_mem=10.0, tau_syn=10.0, gap=1.0, dt=0.1, num_steps=100_000)
            >>> round(long.mean_square(Heard.once(share=1.0, duration=10.0)), 2)  # about tau / 4 for each
            0.25
        """
        e, per_step = self.response(), self.dt / 1000.0
        single, lasting = per_step * heard.rate * np.cumsum(e**2), per_step**2 * heard.square * np.cumsum(e) ** 2
        return float(np.mean(single + lasting))

    def weights(self, heard: Heard, *, share: float = 1.0) -> Callable[[PRNGKeyArray, tuple[int, int]], Array]:
        """Return a function that draws weights `(in, out)` of deviation `w = gap sqrt(share / (in E[h^2]))`.

        Args:
            heard: what the inputs do.
            share: of the variance of the voltage that these weights make.

        Example:
            >>> import jax
            >>> membrane = Membrane(tau_mem=10.0, tau_syn=10.0, gap=1.0, dt=1.0, num_steps=100)
            >>> heard = Heard.steady(15.0)
            >>> w = membrane.weights(heard)(jax.random.key(0), (50, 160))
            >>> round(float(w.std()) * (50 * membrane.mean_square(heard)) ** 0.5, 1)
            1.0
        """
        square = self.mean_square(heard)
        if square == 0.0:  # no spike moves the voltage, whatever its weight
            return he_normal
        gain = self.gap * math.sqrt(share / (2.0 * square))
        return lambda key, shape: gain * he_normal(key, shape)


def _decay(tau: float, dt: float) -> float:
    return math.exp(-dt / tau) if tau > 0.0 else 0.0
