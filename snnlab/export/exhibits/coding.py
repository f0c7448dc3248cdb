"""The constants of an encoder as sliders: how the page codes the input at every stop, told in a few numbers.

For the codes that give each byte one spike, a table for every pair of stops would be larger than the network. So the
page has a rule, which is right for nearly all of them, and a list of the others. The rate code is drawn with Python's
own random numbers, and the delta code compares and adds; both the page computes as Python does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from snnlab.encode import Binned, Delta, Latency, Population, Rate, Rows
from snnlab.export.exhibits.exact import Single
from snnlab.export.exhibits.plan import CODE, Slider, slider_of
from snnlab.models import Network

BYTES: Any = np.arange(256).astype(np.uint8)[:, None]  # a sample each; of NumPy, see `plan.sliders_of`
SURE = 1e-9  # steps: nearer to a whole number, the last bit of a logarithm could decide


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How a code depends on its constants.

    Attributes:
        sliders: of its constants, in the order of their `KNOBS`.
        rule: "latency", "cutoff", "rate", "delta", or "" for a code that the page does not compute.
        listed: stop, stop, byte and step, where the rule of "latency" gives another step than the encoder.
        opened: of "cutoff", the step of every byte and unit where nothing is cut off.
        limits: of "cutoff", the first stop at which it is silent.
        numbers: of "rate", the number of each byte.
        chances: of "rate", what such a number is multiplied by, at each stop: the chance of a spike in a step.
        words: what the page says of the code: why it has no slider, or what one does.

    Example:
        >>> Coding().rule
        ''
    """

    sliders: Sequence[Slider] = ()
    rule: str = ""
    listed: Sequence[Sequence[int]] = field(default_factory=list)
    opened: NDArray[np.uint16] | None = None
    limits: NDArray[np.uint8] | None = None
    numbers: Single | None = None
    chances: Single | None = None
    words: str = ""


_UNKNOWN = Coding(words="The page does not know this code: it plays what Python made of the samples.")
_PLAIN = {
    Rows: "The rows are read as they are: this code has no constant.",
    Binned: "Each event is a spike of its pixel: this code has no constant.",
}


def coding_of(network: Network, x: np.ndarray) -> Coding:
    """Return how the page codes samples, with sliders for the constants of the code; or the reason why it has none.

    Example:
        >>> from snnlab import SnnConfig, build
        >>> net = build(SnnConfig(hidden=7), sample_shape=(4, 4), num_classes=3)
        >>> coding = coding_of(net, np.zeros((1, 4, 4), np.uint8))
        >>> coding.rule, [slider.name for slider in coding.sliders], len(coding.listed) < 30
        ('latency', ['tau', 'threshold'], True)
    """
    encoder = network.encoder
    if type(encoder) in _PLAIN:
        return Coding(words=_PLAIN[type(encoder)])
    if isinstance(encoder, Latency | Population) and x.dtype != np.uint8:
        return Coding(words="The samples are numbers, not bytes: only Python computes when they fire, as trained.")
    makers = {Latency: _latency, Population: _cutoff, Rate: partial(_rate, x.dtype), Delta: _delta}
    found = [slider_of(CODE, name, knob, getattr(encoder, "dt", 1.0)) for name, knob in network.code.items()]
    sliders = [slider for slider in found if slider is not None]
    if type(encoder) not in makers or len(sliders) < len(found):
        return _UNKNOWN
    return makers[type(encoder)](encoder, sliders)


def _latency(encoder: Latency, sliders: Sequence[Slider]) -> Coding:
    tau, threshold = (slider.values for slider in sliders)

    def steps(tau, threshold):
        return encoder(BYTES, tau=tau, threshold=threshold).times.ravel()

    every = jax.jit(jax.vmap(jax.vmap(steps, (None, 0)), (0, None)))
    python = np.asarray(jax.device_get(every(tau, threshold)))
    ruled, sure = by_rule(encoder, shortest(tau)[:, None, None], shortest(threshold)[:, None])
    others = np.argwhere((python != ruled) | ~sure)
    listed = [[*map(int, at), int(python[tuple(at)])] for at in others]
    return Coding(sliders=sliders, rule="latency", listed=listed)


def shortest(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The numbers that the page reads: the shortest decimals that are these float32.

    Example:
        >>> shortest(np.float32([0.2])).tolist()
        [0.2]
    """
    return np.array([float(str(value)) for value in values])


def by_rule(encoder: Latency, tau: np.ndarray, threshold: np.ndarray) -> tuple[np.ndarray, NDArray[np.bool_]]:
    """The steps of the 256 bytes in double precision, as the page computes them; and where every computer gets these.

        floor(tau / dt ln(x / (x - threshold)))   for x = byte / 255 > threshold

    Example:
        >>> steps, sure = by_rule(Latency(), np.float64(20.0), np.float64(0.2))
        >>> steps[[255, 128, 0]].tolist(), bool(sure.all())
        ([4, 10, 100], True)
    """
    x = np.arange(256) / 255.0
    fires = x > threshold
    exact = tau / encoder.dt * np.log(np.where(fires, x, 2.0) / np.where(fires, x - threshold, 1.0))
    steps = np.where(fires & (exact < encoder.num_steps), np.floor(exact), encoder.num_steps).astype(int)
    near = (np.abs(exact - np.rint(exact)) < SURE * (1.0 + exact)) & (exact > 0.0)  # ln 1 is 0 everywhere
    return steps, ~(fires & near & (exact < encoder.num_steps + 1))


def _cutoff(encoder: Population, sliders: Sequence[Slider]) -> Coding:
    (slider,) = sliders

    def steps(cutoff):
        return encoder(BYTES, cutoff=cutoff).times.ravel()

    python = np.asarray(jax.device_get(jax.jit(jax.vmap(steps))(slider.values)))
    silent = python == encoder.num_steps
    limits = np.where(silent.any(0), silent.argmax(0), len(slider.values))
    stops = np.arange(len(slider.values))[:, None]
    if not (python == np.where(stops < limits, python[0], encoder.num_steps)).all():
        return _UNKNOWN
    return Coding(sliders=sliders, rule="cutoff", opened=python[0].astype(np.uint16), limits=limits.astype(np.uint8))


def _rate(dtype: np.dtype, encoder: Rate, sliders: Sequence[Slider]) -> Coding:
    """The page draws the same random numbers, if JAX makes each of them from its place alone.

    For bytes, XLA multiplies all constants first: what a byte is multiplied by is the chance of the byte 1.
    """
    (slider,) = sliders
    most = max(slider.values[slider.home], np.float32(1000.0 / encoder.dt))  # at which every step has a spike
    slider = replace(slider, values=slider.values[slider.values <= most])
    inputs = BYTES if dtype == np.uint8 else (BYTES / 255.0).astype(np.float32)

    # A stop at a time, as in the network: of many together, XLA would multiply in another order.
    chance = jax.jit(encoder.chance)
    every = np.stack([jax.device_get(chance(inputs, stop))[:, 0] for stop in slider.values])
    numbers = inputs.ravel().astype(np.float32)
    of_one = every[:, np.flatnonzero(numbers == 1.0)]
    if not (jax.config.values["jax_threefry_partitionable"] and (every == numbers * of_one).all()):
        return _UNKNOWN
    words = "The random numbers are Python's, at every rate: a higher one adds spikes to those that are there."
    return Coding(sliders=[slider], rule="rate", numbers=numbers, chances=of_one.ravel(), words=words)


def _delta(_: Delta, sliders: Sequence[Slider]) -> Coding:
    return Coding(sliders=sliders, rule="delta")
