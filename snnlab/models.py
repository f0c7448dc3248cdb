"""The reference networks, and their construction from a config."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.typing import DTypeLike
from jaxtyping import Array, PRNGKeyArray, Shaped

from snnlab.accepted import voltage_scale
from snnlab.config import WIDE, WIDE_DROPOUT, ConvConfig, LstmConfig, SnnConfig
from snnlab.encode import Augment, Binned, Current, Delta, Latency, Population, Rows, drop_spikes
from snnlab.errors import ArgumentError
from snnlab.layers import (
    LSTM,
    BatchNorm,
    ConvProjection,
    Delay,
    DoubleExpon,
    Expon,
    Leaky,
    LifRef,
    Projection,
    Recurrent,
    Stack,
)
from snnlab.layers.fluctuations import RATE, Heard, Membrane
from snnlab.layers.weights import evenly, he_normal, lecun_normal, new_key, scaled_normal
from snnlab.record import Record
from snnlab.support import arguments
from snnlab.support.compile_cache import keep_programs
from snnlab.support.interrupt import never_lost
from snnlab.support.transfers import transfers_allowed
from snnlab.support.warn import warn
from snnlab.variables import setting

BRIEF = 0.1  # membrane time constants: in a shorter sequence, voltages stay near rest
QUIET = 0.1  # of a readout that hears thousands of spikes, times He's weights: its first scores hardly differ
# Of the variance of a voltage, from the layer's own neurons. With 0.2 the spikes of six recurrent layers depend on
# each other so much that the network has learned nothing of the digits after 264 steps; with 0.02 it comes to 0.8.
RECURRENT_SHARE = 0.02
BRIGHT = 0.3  # of the pixels fire once: 0.2 in MNIST, 0.4 in Fashion-MNIST, 0.5 in digits, all in yinyang
DARKEST = 1.25  # times the threshold of the latency code: darker pixels are few, and come late
BRIGHTNESS = 0.2  # mean square of a pixel: 0.1 in MNIST, 0.2 in Fashion-MNIST, 0.2 in digits
FAINTEST = 1e-3  # response of a receptive field
EVENT_RATE = 10.0  # Hz, of a pixel of an event camera
VALUE, CHANGES = 0.3, 0.1  # of a signal read row by row at each step; of its values that change at a step
FEW = 4.0, 3.0  # times He's weights, in the first and the second of two convolutions: He's leave small windows silent
SHARED_PACE = (
    0.3  # at which Adam moves the weights of one or two convolutions, or of normalized layers: many share each
)
DELAY_PACE = 10.0  # times that of a weight, at which Adam moves a delay: at its rate of 0.01, a tenth of a step
MOST_CHANNELS = 4  # of an image: red, green, blue and alpha


class Network(nnx.Module):
    """An encoder and a stack: images or events in, `Record` out.

    Args:
        encoder: such as `snnlab.encode.Latency()`; the first layer reads its output.
        stack: the layers.
        recipe: the arguments of `build` that made the network, or None; exported with the weights.
        input_dropout: share of the input spikes that is dropped at random in the mode of `train()`, anew at every
            call. A new network is in the mode of `eval()`; a trainer trains in the one and tests in the other.
        augment: changes images at random in the mode of `train()`, anew at every call; by default it does nothing.

    Attributes:
        code: the constants of the encoder that are knobs, such as `tau` of `Latency`; they may change while it trains.

    Raises:
        ArgumentError: if the share is out of range, if encoder and layers have different time steps or are none, or
            if a call in the mode of `train()` has no key.

    Example:
        >>> import jax.numpy as jnp
        >>> net = snn(SnnConfig(hidden=7, num_steps=5), sample_shape=(4, 4), num_classes=3, rngs=nnx.Rngs(0))
        >>> net(jnp.zeros((2, 4, 4))).readout.shape
        (5, 2, 3)
    """

    def __init__(
        self,
        encoder: Callable[..., Any],
        stack: Stack,
        recipe: "Recipe | None" = None,
        *,
        input_dropout: float = 0.0,
        augment: Augment = Augment(),  # noqa: B008 (it is frozen)
    ):
        if not callable(encoder) or isinstance(encoder, type):
            raise ArgumentError(f"encoder: must be a code, such as Latency(), got {encoder!r:.100}")
        stack = arguments.instance("stack", stack, Stack, "the layers, such as Stack(hidden=..., readout=...)")
        step = getattr(encoder, "dt", None)
        if None not in (step, stack.dt) and step != stack.dt:
            raise ArgumentError(f"dt: the encoder has steps of {step:g} ms, the layers have {stack.dt:g} ms")
        self.encoder = encoder
        self.stack = stack
        self.recipe = recipe
        self.input_dropout = arguments.number("input_dropout", input_dropout, 0.0, 1.0)
        self.augment = arguments.instance("augment", augment, Augment, "such as Augment(flip=True)")
        self.deterministic = True  # NNX's name of the mode: `train()` and `eval()` set it

    @property
    def encoder(self) -> Callable[..., Any]:
        """Turns samples into the input of the first layer; a new one brings knobs of its own."""
        return self._encoder

    @encoder.setter
    def encoder(self, encoder: Callable[..., Any]) -> None:
        self._encoder = encoder
        self.code = nnx.Dict(_knobs_of(encoder))

    def __call__(self, x: Shaped[Array, "batch *sample"], *, key: PRNGKeyArray | None = None) -> Record:
        return self.stack(self.encode(x, key=key))

    def encode(self, x: Shaped[Array, "batch *sample"], *, key: PRNGKeyArray | None = None):
        """Compute the input of the first layer: the code of the samples; in `train()`, that of changed images, less the
        dropped spikes.
        """
        drops, changes = self.input_dropout > 0.0, self.augment.changes
        if self.deterministic or not (drops or changes):
            return self._code_of(x, key)
        if key is None:
            what = "input spikes are lost" if drops else "images are changed"
            raise ArgumentError(f"key: {what} at random; pass key=jax.random.key(...), or call eval()")
        if changes:
            x = self.augment(x, key=jax.random.fold_in(key, 2))
        spikes = self._code_of(x, key)
        return drop_spikes(spikes, self.input_dropout, jax.random.fold_in(key, 1)) if drops else spikes

    def _code_of(self, x, key: PRNGKeyArray | None):
        return self.encoder(x, key=key, **{name: knob.get_value() for name, knob in self.code.items()})


def _knobs_of(encoder: Any) -> dict[str, nnx.Variable]:
    """The constants of an encoder that may change while a network trains, see `snnlab.encode.codes`."""
    known = getattr(encoder, "KNOBS", {})
    return {name: setting(name, getattr(encoder, name), 1, **bounds) for name, bounds in known.items()}


def snn(config: SnnConfig, *, sample_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs) -> Network:
    """`[Expon] -> LifRef(hidden) -> [Expon] -> Leaky(num_classes)` on images, tables, signals or events.

    Args:
        config: see `SnnConfig`.
        sample_shape: shape of one image, of one signal `(time, *frame)`, or of the sensor that sends the events.
        num_classes: width of the readout.
        rngs: random streams for the weights.

    Raises:
        ArgumentError: if a value is out of range, the samples are no images and `config.code` is None, or
            `config.most_delay` is as long as the sequence.

    Warns:
        UserWarning: if the sequence is so short that no neuron can fire.

    Example:
        >>> net = snn(SnnConfig(hidden=7, num_steps=5), sample_shape=(4, 4), num_classes=3, rngs=nnx.Rngs(0))
        >>> list(net.stack.layers)
        ['hidden', 'readout']
        >>> deep = snn(SnnConfig(hidden=(9, 7), recurrent=True), sample_shape=(4, 4), num_classes=3, rngs=nnx.Rngs(0))
        >>> [(name, type(layer).__name__) for name, layer in deep.stack.layers.items()]
        [('hidden1', 'Recurrent'), ('hidden2', 'Recurrent'), ('readout', 'Projection')]

    Source: Zenke (2019), SpyTorch, DOI 10.5281/zenodo.3724018; Wang et al. (2023), BrainPy, DOI 10.7554/eLife.86365;
    for learned delays Hammouamri, Khalfaoui-Hassani & Masquelier (2024), arXiv:2306.17670.
    """
    arguments.count("num_classes", num_classes)
    _check_duration(config)
    encoder = _encoder(config, sample_shape)
    _check_delay(config, encoder, sample_shape)
    units, layers, kind = encoder.num_units(sample_shape), {}, Recurrent if config.recurrent else Projection
    adapts: dict[str, Any] = {name: getattr(config, name) for name in ("beta", "tau_adapt") if config.neuron == "alif"}
    heard = _heard(encoder, config)
    for number, width in enumerate(config.widths, 1):
        drawn: dict[str, Any] = _starting_weights(config, heard, _gain(config, number))
        layer = kind(
            units,
            _lif(width, config, **adapts),
            synapse=_synapse(width, config),
            delay=_delay(units, config, rngs),
            use_bias=config.bias,
            rngs=rngs,
            **drawn,
        )
        heard = _of_neurons(config)
        layers["hidden" if len(config.widths) == 1 else f"hidden{number}"] = layer
        units = width
    next(iter(layers.values())).kernel.set_metadata(centralize=config.centralize)
    readout = Projection(
        units,
        Leaky(num_classes, tau_mem=config.tau_out, dt=config.dt),
        synapse=_synapse(num_classes, config),
        delay=_delay(units, config, rngs, config.delay),
        use_bias=config.bias,
        rngs=rngs,
    )
    # Adam moves every weight by the same step, so a score moves further the more neurons fire, as in wider layers.
    readout.kernel.set_metadata(pace=min(1.0, WIDE / units))
    dropout = config.input_dropout
    if dropout is None:
        dropout = WIDE_DROPOUT if config.widths[0] > WIDE else 0.0
    return Network(encoder, Stack({**layers, "readout": readout}), input_dropout=dropout)


def _synapse(features: int, config: SnnConfig) -> Expon | DoubleExpon:
    if config.synapse == "double_exponential":
        return DoubleExpon(features, tau_rise=config.tau_rise, tau_syn=config.tau_syn, dt=config.dt)
    return Expon(features, tau_syn=config.tau_syn, dt=config.dt)


def _delay(units: int, config: SnnConfig, rngs: nnx.Rngs, fixed: int = 0) -> int | Delay:
    """Return the delays of what feeds a layer: drawn anywhere in their range if they are learned."""
    if config.most_delay is None:
        return fixed
    delay = Delay(nnx.Param(config.most_delay * evenly(new_key(rngs), units)), most=config.most_delay)
    delay.steps.set_metadata(pace=DELAY_PACE)
    return delay


def _check_delay(config: SnnConfig, encoder, sample_shape: tuple[int, ...]) -> None:
    """Refuse delays at whose end nothing arrives, and no gradient leads back."""
    steps = sample_shape[0] if isinstance(encoder, Rows | Delta) else config.num_steps
    if config.most_delay is not None and config.most_delay >= steps:
        raise ArgumentError(f"most_delay: must be less than the {steps} steps of the sequence, got {config.most_delay}")


def _heard(encoder: Latency | Current | Population | Rows | Delta | Binned, config: SnnConfig | ConvConfig) -> Heard:
    """Return what a unit of the input does, as far as it can be known before there are data."""
    if isinstance(encoder, Binned):
        return Heard.steady(EVENT_RATE)
    if isinstance(encoder, Population):
        wide = 2.0 * math.sqrt(-2.0 * math.log(max(encoder.cutoff, FAINTEST))) / 1.5  # in distances of two fields
        return Heard.once(min(1.0, wide / encoder.fields), encoder.num_steps * encoder.dt)
    if isinstance(encoder, Current):
        return Heard(rate=0.0, square=BRIGHTNESS * (1000.0 / encoder.dt) ** 2)  # no single spikes: all of it lasts
    if not isinstance(encoder, Latency):
        return Heard.steady(1000.0 / config.dt * (VALUE if isinstance(encoder, Rows) else CHANGES))
    return Heard.once(BRIGHT, _duration_of_input(encoder))


def _duration_of_input(code: Latency) -> float:
    """Return how long pixels fire [ms]: the code leaves the rest of a long sequence empty."""
    return min(code.num_steps * code.dt, code.tau * math.log(DARKEST / (DARKEST - 1.0)))


def _gain(config: SnnConfig | ConvConfig, number: int) -> float:
    """Return the factor of the first weights of a hidden layer; the first one is number 1."""
    return 1.0 if config.gains is None else config.gains[number - 1]


def _starting_weights(config: SnnConfig, heard: Heard, gain: float) -> dict[str, Callable]:
    """Return how a hidden layer draws its weights."""
    if len(config.widths) == 1:
        drawn = {"kernel_init": he_normal, "recurrent_init": scaled_normal}
    else:
        share, membrane = RECURRENT_SHARE if config.recurrent else 0.0, _membrane(config)
        drawn = {
            "kernel_init": membrane.weights(heard, share=1.0 - share),
            "recurrent_init": membrane.weights(_of_neurons(config), share=share),
        }
    return {name: _times(gain, draw) for name, draw in drawn.items() if config.recurrent or name == "kernel_init"}


def _filters(config: ConvConfig, heard: Heard, number: int) -> Callable:
    """Return how a hidden layer of a convolutional network draws its weights; the first one is number 1."""
    gain = _gain(config, number)
    if config.norm:
        return he_normal
    if config.depth > len(FEW) or config.code == "current":
        return _times(gain, _membrane(config).weights(heard))
    return _times(FEW[number - 1] * gain, he_normal)


def _of_neurons(config: SnnConfig | ConvConfig, pool: int = 1) -> Heard:
    """Return what the neurons of a hidden layer do at the start, or sums over their images."""
    return Heard.slow(max(config.tau_mem, config.dt), pool**2)


def _times(gain: float, draw: Callable) -> Callable:
    return lambda key, shape: gain * draw(key, shape)


def _membrane(config: SnnConfig | ConvConfig) -> Membrane:
    """Return what a spike does to a hidden neuron; the rise of a synapse is left out, as it brings as much in total."""
    duration = config.num_steps * config.dt
    gap = float(voltage_scale(config.v_th, config.v_rest, config.v_reset))
    if isinstance(config, SnnConfig) and config.neuron == "alif":
        gap += config.beta * RATE / 1000.0 * min(config.tau_adapt, duration / 2.0)  # by how much a threshold has risen
    return Membrane(tau_mem=config.tau_mem, tau_syn=config.tau_syn, gap=gap, dt=config.dt, num_steps=config.num_steps)


def _lif(features: int, config: SnnConfig | ConvConfig, **more: Any) -> LifRef:
    names = ("tau_mem", "tau_ref", "v_th", "v_rest", "v_reset", "surrogate", "reset", "detach_reset", "dt")
    slope = config.steepness if isinstance(config, ConvConfig) else config.slope
    return LifRef(features, slope=slope, **{name: getattr(config, name) for name in names}, **more)


def conv(config: ConvConfig, *, sample_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs) -> Network:
    """`[norm] -> [Expon] -> LifRef(channels) at every pixel -> pool -> ... -> LifRef(dense) -> ... -> [Expon] ->
    Leaky(num_classes)` on images.

    With `config.code="current"` the first convolution is computed once for a sample, not for each of its spikes.

    Args:
        config: see `ConvConfig`.
        sample_shape: (rows, columns) of one image, or (channels, rows, columns).
        num_classes: width of the readout.
        rngs: random streams for the weights.

    Raises:
        ArgumentError: if a value is out of range, if the samples are no such images, or too small for the layers.

    Warns:
        UserWarning: if the sequence is so short that no neuron can fire.

    Example:
        >>> net = conv(ConvConfig(num_steps=5), sample_shape=(8, 8), num_classes=3, rngs=nnx.Rngs(0))
        >>> [(name, layer.out_shape) for name, layer in net.stack.layers.items()]
        [('conv1', (32, 8, 8)), ('conv2', (64, 4, 4)), ('dense1', (256, 1, 1)), ('readout', (3, 1, 1))]

    Source: Lee et al. (2016), DOI 10.3389/fnins.2016.00508; for `norm`, see `snnlab.layers.BatchNorm`.
    """
    arguments.count("num_classes", num_classes)
    _check_duration(config)
    shape = _channels_first(sample_shape)
    layers: dict[str, ConvProjection] = {}
    code = _image_code(config)
    pooled, heard = 1, _heard(code, config)  # pixels that the spikes of the layer before are summed over
    for number, (channels, (window, stride, pool)) in enumerate(zip(config.channels, config.geometry, strict=True), 1):
        if min(shape[1:]) < pooled:
            raise ArgumentError(f"channels: images of {sample_shape} have no room for {len(config.channels)} layers")
        layer = ConvProjection(
            shape,
            _lif(channels, config),
            window=window,
            stride=stride,
            padding=(window - 1) // 2,
            pool=pooled,
            **_arriving(config, channels, _filters(config, heard, number), rngs),
        )
        layers[f"conv{number}"], shape, pooled = layer, layer.out_shape, pool
        heard = _of_neurons(config, pooled)
    if min(shape[1:]) < pooled:
        raise ArgumentError(f"pool: images of {sample_shape} have no room for {len(config.channels)} layers")
    for number, width in enumerate(config.dense, 1):
        filters = _filters(config, heard, len(config.channels) + number)
        parts = _arriving(config, width, filters, rngs)
        layer = ConvProjection(shape, _lif(width, config), window=_whole(shape, pooled), pool=pooled, **parts)
        layers[f"dense{number}"], shape, pooled, heard = layer, layer.out_shape, 1, _of_neurons(config)
    layers["readout"] = ConvProjection(
        shape,
        Leaky(num_classes, tau_mem=config.tau_out, dt=config.dt),
        window=_whole(shape, pooled),
        pool=pooled,
        synapse=Expon(num_classes, tau_syn=config.tau_syn, dt=config.dt),
        kernel_init=_times(QUIET, he_normal),
        rngs=rngs,
    )
    if config.norm or config.depth <= len(FEW):
        for layer in layers.values():
            norm = () if layer.norm is None else (layer.norm.scale, layer.norm.offset)
            for parameter in (layer.kernel, *norm):
                parameter.set_metadata(pace=SHARED_PACE)
    augment = Augment(flip=config.flip, shift=config.shift)
    return Network(code, Stack(layers), input_dropout=config.input_dropout, augment=augment)


def _arriving(config: ConvConfig, features: int, filters: Callable, rngs: nnx.Rngs) -> dict[str, Any]:
    """Return the parts of a hidden layer of a convolutional network in front of its neurons."""
    start = float(voltage_scale(config.v_th, config.v_rest, config.v_reset))
    return {
        "norm": BatchNorm(features, start=start) if config.norm else None,
        "synapse": Expon(features, tau_syn=config.tau_syn, dt=config.dt),
        "kernel_init": filters,
        "rngs": rngs,
    }


def _whole(shape: tuple[int, int, int], pooled: int) -> tuple[int, int]:
    """Return a window as large as an image."""
    return shape[1] // pooled, shape[2] // pooled


def _image_code(config: ConvConfig) -> Latency | Current:
    if config.code == "current":
        return Current(num_steps=config.num_steps, dt=config.dt)
    return Latency(num_steps=config.num_steps, dt=config.dt, tau=config.tau_latency, threshold=config.threshold_latency)


def _channels_first(sample_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return channels, rows and columns of an image."""
    if len(sample_shape) == 2:
        return 1, *sample_shape
    if len(sample_shape) != 3:
        raise ArgumentError(f"sample_shape: must be (rows, columns) or (channels, rows, columns), got {sample_shape}")
    if sample_shape[2] <= MOST_CHANNELS < sample_shape[0]:
        raise ArgumentError(
            f"sample_shape: {sample_shape} seems to have its channels last; put them first, x.transpose(0, 3, 1, 2)"
        )
    return sample_shape


def _check_duration(config: SnnConfig | ConvConfig) -> None:
    """Warn if a membrane hardly moves in the whole sequence, as with a time step in seconds."""
    duration = config.num_steps * config.dt
    if duration < BRIEF * config.tau_mem < math.inf and getattr(config, "code", None) not in ("rows", "delta"):
        warn(
            f"{config.num_steps} steps of dt = {config.dt:g} ms last {duration:g} ms, tau_mem is {config.tau_mem:g} "
            "ms: no neuron has time to fire; dt is in milliseconds",
        )


def _encoder(config: SnnConfig, sample_shape: tuple[int, ...]) -> Latency | Population | Rows | Delta | Binned:
    code, num_steps, dt = config.code or _code_of_images(sample_shape), config.num_steps, config.dt
    if code == "events":
        return Binned(num_steps=num_steps, dt=dt, units=math.prod(sample_shape))
    if code == "latency":
        return Latency(num_steps=num_steps, dt=dt, tau=config.tau_latency, threshold=config.threshold_latency)
    if code == "population":
        return Population(num_steps=num_steps, dt=dt)
    if len(sample_shape) < 2:
        raise ArgumentError(f"code: {code!r} needs samples (time, *frame), got sample_shape = {sample_shape}")
    if num_steps not in (SnnConfig.num_steps, sample_shape[0]):
        raise ArgumentError(f"num_steps: the samples have {sample_shape[0]} steps of their own, got {num_steps}")
    return Rows() if code == "rows" else Delta()


def _code_of_images(sample_shape: tuple[int, ...]) -> str:
    """Return "latency" for the axes of an image: values, rows and columns, or up to four channels of these."""
    if len(sample_shape) <= 2 or (len(sample_shape) == 3 and min(sample_shape[0], sample_shape[2]) <= MOST_CHANNELS):
        return "latency"
    raise ArgumentError(
        f"code: samples of shape {sample_shape} have more axes than an image; choose SnnConfig(code='rows') if the "
        "first axis is time, code='delta' to spike where such a signal changes, code='latency' for one image of it all"
    )


def lstm(config: LstmConfig, *, sample_shape: tuple[int, ...], num_classes: int, rngs: nnx.Rngs) -> Network:
    """`LSTM(hidden) -> Linear(num_classes)` on the rows of an image.

    Args:
        config: see `LstmConfig`.
        sample_shape: (rows, columns) of one image.
        num_classes: width of the readout.
        rngs: random streams for the weights.

    Raises:
        ArgumentError: for a value out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> net = lstm(LstmConfig(hidden=7), sample_shape=(8, 6), num_classes=3, rngs=nnx.Rngs(0))
        >>> net(jnp.zeros((2, 8, 6))).readout.shape
        (8, 2, 3)
    """
    arguments.count("num_classes", num_classes)
    if len(sample_shape) != 2:
        raise ArgumentError(
            f"sample_shape: must be (rows, columns), or (time, features), got {sample_shape}; give samples two "
            "axes, x.reshape(len(x), time, -1); events need SnnConfig(code='events')"
        )
    hidden = LSTM(sample_shape[-1], config.hidden, rngs=rngs)
    readout = nnx.Linear(config.hidden, num_classes, kernel_init=_linear_weights, rngs=rngs)
    return Network(Rows(), Stack(hidden=hidden, readout=readout))


def _linear_weights(key: PRNGKeyArray, shape: tuple[int, int], dtype: DTypeLike) -> Array:
    """Draw weights of `nnx.Linear`; the values are those of its default."""
    return lecun_normal(key, shape).astype(dtype)


class Recipe(NamedTuple):
    """The arguments of `build` that describe a reference network.

    Example:
        >>> Recipe(LstmConfig(hidden=20), sample_shape=(8, 8), num_classes=10).num_classes
        10
    """

    config: SnnConfig | ConvConfig | LstmConfig
    sample_shape: tuple[int, ...]
    num_classes: int


def build(
    config: SnnConfig | ConvConfig | LstmConfig, *, sample_shape: tuple[int, ...], num_classes: int, seed: int = 0
) -> Network:
    """Build the network that a config describes; the same seed gives the same network.

    Args:
        config: `SnnConfig`, `ConvConfig` or `LstmConfig`.
        sample_shape: shape of one image, or of the sensor that sends the events.
        num_classes: width of the readout.
        seed: seed of the weights, 0 to 2**32 - 1.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> build(LstmConfig(hidden=20), sample_shape=(8, 8), num_classes=10).recipe.config
        LstmConfig(hidden=20)
    """
    arguments.instance("config", config, tuple(_MAKERS), "SnnConfig, ConvConfig or LstmConfig")
    seed = arguments.seed("seed", seed)
    if isinstance(sample_shape, str) or not isinstance(sample_shape, Iterable):
        raise ArgumentError(f"sample_shape: must be the shape of a sample, such as (8, 8), got {sample_shape!r}")
    sample_shape = tuple(arguments.count("sample_shape", size) for size in sample_shape)
    with never_lost(), transfers_allowed():
        keep_programs()
        rngs = nnx.Rngs(params=seed)
        make = next(make for kind, make in _MAKERS.items() if isinstance(config, kind))
        net = make(config, sample_shape=sample_shape, num_classes=num_classes, rngs=rngs)
    net.recipe = Recipe(config, sample_shape, num_classes)
    return net


_MAKERS: dict[type, Callable[..., Network]] = {SnnConfig: snn, ConvConfig: conv, LstmConfig: lstm}


@dataclass(frozen=True, kw_only=True)
class LayerDescription:
    """The parts of one layer of a model, as far as they are known.

    Attributes:
        module: the layer.
        neuron: its attribute `neuron`, or the layer itself.
        synapse: its attribute `synapse`, or None.
        features: number of units, or None.
        dt: time step of the neurons [ms], or None.

    Example:
        >>> linear = LayerDescription.of(nnx.Linear(5, 3, rngs=nnx.Rngs(0)))
        >>> linear.features, linear.synapse, linear.dt
        (3, None, None)
    """

    module: Callable
    neuron: Callable
    synapse: Callable | None = None
    features: int | None = None
    dt: float | None = None

    @classmethod
    def of(cls, module: Callable) -> "LayerDescription":
        """Read the attributes that layers of snnlab and of `flax.nnx` have."""
        neuron = getattr(module, "neuron", module)
        return cls(
            module=module,
            neuron=neuron,
            synapse=getattr(module, "synapse", None),
            features=getattr(module, "features", getattr(module, "out_features", None)),
            dt=getattr(neuron, "dt", None),
        )


@dataclass(frozen=True, kw_only=True)
class Description:
    """The parts of a model, as far as they are known; None or empty otherwise.

    Attributes:
        encoder: turns samples into the input of the first layer.
        dt: time step of the encoder [ms].
        stack: the layers that the model runs.
        layers: the same layers by name, in order; the last one is the readout.
        recipe: the arguments of `build` that make such a model.
        network: the model itself, if calling it is `stack(encode(x))`, so that `Stack.walk` does the same.

    Example:
        >>> net = build(SnnConfig(hidden=7), sample_shape=(4, 4), num_classes=3)
        >>> known = describe(net)
        >>> known.dt, known.hidden, known.config.hidden, known.layers["readout"].features
        (1.0, ['hidden'], 7, 3)
        >>> describe(nnx.Linear(5, 3, rngs=nnx.Rngs(0))).hidden
        []
    """

    encoder: Callable | None = None
    dt: float | None = None
    stack: Stack | None = None
    layers: Mapping[str, LayerDescription] = field(default_factory=dict)
    recipe: Recipe | None = None
    network: Network | None = None

    @property
    def step(self) -> float | None:
        """Time step of the encoder, or else of the layers [ms]; None if neither has one."""
        return self.dt if self.dt is not None or self.stack is None else self.stack.dt

    @property
    def hidden(self) -> list[str]:
        """Names of the layers before the readout."""
        return list(self.layers)[:-1]

    @property
    def config(self) -> SnnConfig | ConvConfig | LstmConfig | None:
        """Settings that describe the model."""
        return None if self.recipe is None else self.recipe.config


def describe(model: nnx.Module) -> Description:
    """Describe any model: a `Network` completely, a model of your own by its attributes of the same names.

    Example:
        >>> describe(Stack(readout=Leaky(3))).layers["readout"].dt
        1.0
    """
    encoder, recipe = getattr(model, "encoder", None), getattr(model, "recipe", None)
    stack = getattr(model, "stack", model)
    stack = stack if isinstance(stack, Stack) else None
    plain = type(model).__call__ is Network.__call__ and type(stack).__call__ is Stack.__call__
    return Description(
        encoder=encoder,
        dt=getattr(encoder, "dt", None),
        stack=stack,
        layers={} if stack is None else {name: LayerDescription.of(stack.layers[name]) for name in stack.names},
        recipe=recipe if isinstance(recipe, Recipe) else None,
        network=model if plain and isinstance(model, Network) else None,
    )
