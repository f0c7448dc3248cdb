"""Settings: frozen dataclasses with a unit and a reason beside each default.

Only the top reads them (`snnlab.models`, `snnlab.train.trainer` and the command line); everything below takes plain
keyword arguments.
"""

from dataclasses import dataclass
from typing import Any

from snnlab import accepted
from snnlab.errors import ArgumentError
from snnlab.support import arguments

PerLayer = int | tuple[int, ...]  # one number for all layers, or one for each; the last one also holds for all further

WIDE = 100  # neurons; a wider layer learns at a lower rate and drops a share of its input spikes, because it overfits
WIDE_DROPOUT = 0.1  # the share that it drops

RATE = 1e-2  # of Adam, at the start

DEEP_SLOPE = 3.0
"""Slope of the surrogate in three convolutions or more, and behind `norm`.

With 10, and without `norm`, six of them fall silent in the first epochs: after 54 steps 0.10 of 1,200 digits are right,
and 0.60 at a tenth of the learning rate; with 3 it is 0.94. Three or four convolutions learn alike with both.
"""

CODES = ("latency", "population", "rows", "delta", "events")
"""Codes of the spiking network: one early spike for a bright pixel; twelve units for every number of a table, each of
which fires early near a number of its own; the frames of a signal `(time, *frame)`, one per step, as currents; the
changes of such a signal; and samples that already are events."""

CONV_CODES = ("current", "latency")
"""Codes of the convolutional network: a constant current for each pixel; they are convolved once, and the first spikes
are those of the first convolution. Or one early spike for a bright pixel."""

LATENCY_GEOMETRY: dict[str, tuple[int, ...]] = {"window": (5, 3), "stride": (1, 2), "pool": (2, 1)}
"""Of the convolutional network that reads the latency code: a wide window first, and few places behind it."""

NEURONS = ("lif", "alif")
"""Neurons of the spiking network: leaky integrate-and-fire, and the same with a threshold that adapts."""

SYNAPSES = ("exponential", "double_exponential")
"""Synapses of the spiking network: the current of a spike jumps and decays, or rises first."""

SPIKING_LOSS: dict[str, Any] = {"readout": "mean", "l1": 1e-4, "l2": 1e-4}
"""The default loss of a network that spikes, as arguments of `snnlab.losses.Classification`.

The mean over time teaches at every step, the maximum at one only: 0.88 of Fashion-MNIST instead of 0.87. The
regularizers are shown and can be turned up, but hardly act.
"""

CONV_L1 = 1e-6
"""The default weight `l1` of a `ConvConfig` network: of its thousands of spikes, each costs a hundredth."""


@dataclass(frozen=True, kw_only=True)
class SnnConfig:
    """Settings of the spiking network: code -> LifRef(hidden) -> Leaky readout, each behind an Expon synapse.

    With `hidden=(256, 128)` there are two hidden layers, one behind the other; with `recurrent` the neurons of a hidden
    layer also reach each other, one step later; with `neuron="alif"` their thresholds adapt.

    A network with one hidden layer begins with He's weights, at which few of its neurons fire. In deeper networks
    nothing would reach the end, so the weights of each layer follow from theory, see `snnlab.layers.fluctuations`, and
    `snnlab.balanced(config, data)` corrects them for the data.

    With `most_delay=25`, the spikes of an input or a neuron arrive up to 25 steps later, at all neurons that they reach
    alike: delays are one per unit, not one per connection. They begin anywhere in this range, and are learned; see
    `snnlab.layers.Delay`. What is delayed is computed densely.

    Time constants are >= 0 and may be infinite. Voltages may have any unit, with `v_th` > `v_reset`; see
    `snnlab.layers.LifRef`.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> SnnConfig(hidden=200, tau_mem=20.0).hidden
        200
        >>> SnnConfig(hidden=(256, 128), recurrent=True, neuron="alif").widths
        (256, 128)
    """

    hidden: int | tuple[int, ...] = 100  # neurons; several numbers are as many layers
    recurrent: bool = False  # neurons of a hidden layer also reach each other
    neuron: str = "lif"  # or "alif": a spike raises the threshold
    code: str | None = None  # one of CODES; None: "latency" for images, other samples need a choice
    num_steps: int = 100  # steps; with "rows" and "delta" the samples have their own
    dt: float = 1.0  # ms: 100 steps last ten membrane time constants; with the tutorial's 0.1 ms they last one
    # With these two a pixel of brightness 1 fires at 6 ms, one of 1/8 at 97 ms. SpyTorch's 20 ms and 0.2 leave two
    # thirds of the time empty and drop dark pixels: 0.7 % more errors on Fashion-MNIST (on training images held out).
    tau_latency: float = 60.0  # ms
    threshold_latency: float = 0.1  # the weakest pixel that fires, in 0..1
    input_dropout: float | None = None  # share of input spikes dropped in training; None: see WIDE_DROPOUT
    tau_mem: float = 10.0  # ms
    tau_syn: float = 10.0  # ms
    tau_out: float = 5.0  # ms, membrane of the readout
    tau_ref: float = 0.0  # ms
    v_th: float = 1.0  # in the unit of all voltages
    v_rest: float = 0.0
    v_reset: float = 0.0
    slope: float = 10.0  # of the surrogate: wide enough that a silent neuron still learns
    surrogate: str = "inv_square"  # a name in `snnlab.surrogate.SURROGATES`
    reset: str = "subtract"  # or "value": set `v_reset`
    detach_reset: bool = False  # let no gradient through the reset
    beta: float = 0.2  # of "alif", in the unit of all voltages: five spikes double a threshold of 1
    tau_adapt: float = 200.0  # ms, of "alif": how long a network remembers, in the tasks of Bellec et al. (2018)
    synapse: str = "exponential"  # or "double_exponential": the current of a spike rises before it decays
    tau_rise: float = 2.0  # ms, of "double_exponential": a fifth of the decay
    delay: int = 0  # steps, from the hidden layer to the readout
    most_delay: int | None = None  # steps; if given, every input and hidden neuron has a delay of its own, which is
    # learned, from 0 to so many steps
    centralize: bool = True  # the gradient of the input weights; see `snnlab.train.optimizer.centralized`
    bias: bool = False  # a learned constant that arrives at every step: one step of Adam moves the voltage far
    gains: tuple[float, ...] | None = (
        None  # factors of the first weights of each hidden layer, which `balanced` measures
    )

    def __post_init__(self):
        object.__setattr__(self, "hidden", _widths("hidden", self.hidden))
        arguments.flag("recurrent", self.recurrent)
        arguments.choice("neuron", self.neuron, NEURONS)
        arguments.number("beta", self.beta)
        arguments.one("tau_adapt", arguments.time_constant("tau_adapt", self.tau_adapt))
        arguments.choice("synapse", self.synapse, SYNAPSES)
        arguments.one("tau_rise", arguments.time_constant("tau_rise", self.tau_rise))
        for name, choice, needed in (
            ("beta", "neuron", "alif"),
            ("tau_adapt", "neuron", "alif"),
            ("tau_rise", "synapse", "double_exponential"),
        ):
            chosen = getattr(self, choice)
            if chosen != needed and getattr(self, name) != getattr(SnnConfig, name):
                raise ArgumentError(f'{name}: does nothing with {choice}={chosen!r}; pass {choice}="{needed}"')
        if self.code is not None:
            arguments.choice("code", self.code, CODES)
        arguments.count("num_steps", self.num_steps, 1, accepted.MAX_STEPS)
        arguments.time_step("dt", self.dt)
        arguments.number("tau_latency", self.tau_latency, 0.0, strict=True, unit="ms")
        arguments.number("threshold_latency", self.threshold_latency, 0.0, 1.0)
        if self.input_dropout is not None:
            arguments.number("input_dropout", self.input_dropout, 0.0, 1.0)
        for name in ("tau_latency", "threshold_latency"):
            if self.code not in (None, "latency") and getattr(self, name) != getattr(SnnConfig, name):
                raise ArgumentError(f"{name}: does nothing with code={self.code!r}; leave it out")
        _check_neurons(self)
        arguments.count("delay", self.delay, 0, accepted.MAX_STEPS)
        if self.most_delay is not None:
            arguments.count("most_delay", self.most_delay, 1, accepted.MAX_STEPS)
            if self.delay:
                raise ArgumentError("delay: does nothing with most_delay, with which delays are learned; leave it out")
        for name in ("detach_reset", "centralize", "bias"):
            arguments.flag(name, getattr(self, name))
        object.__setattr__(self, "gains", _gains(self.gains, len(self.widths)))

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of neurons of each hidden layer."""
        return self.hidden if isinstance(self.hidden, tuple) else (self.hidden,)


def _widths(name: str, given) -> int | tuple[int, ...]:
    """Check one width or several; several are a tuple, also if a file has them as a list."""
    if not isinstance(given, list | tuple):
        return arguments.count(name, given, 1, accepted.MAX_UNITS)
    if not given:
        raise ArgumentError(f"{name}: must be a number of neurons, or one for each layer, got {given!r}")
    return _each(name, given)


def _each(name: str, given: "list[int] | tuple[int, ...]") -> tuple[int, ...]:
    """Check a number of units for each layer."""
    return tuple(arguments.count(f"{name}[{k}]", number, 1, accepted.MAX_UNITS) for k, number in enumerate(given))


def _per_layer(name: str, given, layers: int) -> "PerLayer":
    """Check a number for every convolution, see `PerLayer`; a file has a list."""
    if not isinstance(given, list | tuple):
        return arguments.count(name, given)
    if not 1 <= len(given) <= layers and tuple(given) != LATENCY_GEOMETRY[name]:  # of which one layer has the first
        raise ArgumentError(f"{name}: must be one number, or one for each of {layers} convolutions, got {given!r}")
    return _each(name, given)


def _gains(given, layers: int) -> tuple[float, ...] | None:
    """Check a factor for each hidden layer; a file has a list."""
    if given is None:
        return None
    if not isinstance(given, list | tuple) or len(given) != layers:
        raise ArgumentError(f"gains: must be a factor of the weights for each of {layers} hidden layers, got {given!r}")
    return tuple(arguments.number(f"gains[{k}]", gain, 0.0, strict=True) for k, gain in enumerate(given))


def _check_neurons(config: "SnnConfig | ConvConfig") -> None:
    for name in ("tau_mem", "tau_syn", "tau_out"):
        arguments.one(name, arguments.time_constant(name, getattr(config, name)))
    arguments.number("tau_ref", config.tau_ref, 0.0, unit="ms")
    for name in ("v_th", "v_rest", "v_reset"):
        arguments.number(name, getattr(config, name))
    accepted.check_threshold(config.v_th, config.v_reset)
    if config.slope is not None or isinstance(config, SnnConfig):
        arguments.number("slope", config.slope, 0.0)
    arguments.choice("surrogate", config.surrogate, accepted.SURROGATES)
    arguments.choice("reset", config.reset, accepted.RESETS)


TUTORIAL_SNN = SnnConfig(
    dt=0.1, tau_latency=2.0, threshold_latency=0.2, slope=100.0, delay=1, centralize=False, bias=True
)
"""Settings of BrainPy's tutorial. The network hardly learns: its 100 steps last one time constant, its surrogate is
steep, and its biases (the default of BrainPy's `Linear`) learn faster than its weights.

In BrainPy a spike decays for one step on arrival. With the same weights, currents here are larger by
`e^(dt/tau_syn)`, one per cent.
"""


@dataclass(frozen=True, kw_only=True)
class ConvConfig:
    """Settings of the convolutional spiking network for images: code -> convolutions of LifRef neurons, each over the
    pooled spikes of the layer before -> layers of LifRef neurons that see the whole image -> Leaky readout, each behind
    an Expon synapse.

    With `norm`, what arrives at the spiking layers is normalized, see `snnlab.layers.BatchNorm`: they learn in a few
    epochs, however many there are. Without it, the first weights matter. One or two convolutions behind the latency
    code begin with three to four times He's weights, to which they are tuned; those of all other networks follow from
    theory, as those of `SnnConfig`.

    The defaults are those of constant currents, which need few steps. `LATENCY_CONV` has others, for the latency code.

    `window`, `stride` and `pool` are one number for all convolutions, or one for each; of fewer numbers, the last one
    also holds for all further convolutions.

    Time constants are >= 0 and may be infinite. Voltages may have any unit, with `v_th` > `v_reset`; see
    `snnlab.layers.LifRef`. Where no other reason is given, a value is that of `SnnConfig`.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> ConvConfig(channels=(8, 16, 32)).channels
        (8, 16, 32)
        >>> ConvConfig().steepness, ConvConfig(norm=False).steepness
        (3.0, 10.0)
    """

    channels: tuple[int, ...] = (32, 64)  # of each convolution; 16 at a time fill a vector of the processor
    window: PerLayer = 3  # rows and columns, padded by half of them: then the smallest image has room for it
    stride: PerLayer = 1  # pixels from one place of the window to the next
    pool: PerLayer = 2  # pixels along rows and columns whose spikes are summed for the next layer
    dense: tuple[int, ...] = (256,)  # neurons of each layer behind the convolutions that sees the whole image
    norm: bool = True  # normalize what arrives at the spiking layers
    code: str = "current"  # one of CONV_CODES
    flip: bool = False  # mirror half of the training images, see `snnlab.encode.Augment`
    shift: int = 0  # pixels; move the training images by up to so many
    num_steps: int = 4  # steps; with 2, 0.7 % more of the images that it sees for the first time are wrong
    dt: float = 10.0  # ms
    tau_latency: float = SnnConfig.tau_latency  # ms
    threshold_latency: float = SnnConfig.threshold_latency  # the weakest pixel that fires, in 0..1
    input_dropout: float = 0.0  # share of input spikes dropped in training; shared weights overfit less
    tau_mem: float = 15.0  # ms: half of a voltage is left after a step
    tau_syn: float = 0.0  # ms: what arrives lasts one step, like the next one
    tau_out: float = 0.0  # ms, membrane of the readout
    tau_ref: float = SnnConfig.tau_ref  # ms
    v_th: float = SnnConfig.v_th  # in the unit of all voltages
    v_rest: float = SnnConfig.v_rest
    v_reset: float = SnnConfig.v_reset
    slope: float | None = None  # of the surrogate; None: `DEEP_SLOPE`, or that of `SnnConfig` in a few layers
    surrogate: str = SnnConfig.surrogate  # a name in `snnlab.surrogate.SURROGATES`
    reset: str = SnnConfig.reset  # or "value": set `v_reset`
    detach_reset: bool = SnnConfig.detach_reset  # let no gradient through the reset
    gains: tuple[float, ...] | None = (
        None  # factors of the first weights of each hidden layer, which `balanced` measures; not with `norm`
    )

    def __post_init__(self):
        if not isinstance(self.channels, list | tuple) or not self.channels:
            raise ArgumentError(f"channels: must be a tuple, a number for each convolution, got {self.channels!r}")
        object.__setattr__(self, "channels", _each("channels", self.channels))  # a file has a list
        if not isinstance(self.dense, list | tuple):
            raise ArgumentError(f"dense: must be a tuple, a number for each layer, or (), got {self.dense!r}")
        object.__setattr__(self, "dense", _each("dense", self.dense))
        arguments.flag("norm", self.norm)
        for name in ("window", "stride", "pool"):
            object.__setattr__(self, name, _per_layer(name, getattr(self, name), len(self.channels)))
        arguments.choice("code", self.code, CONV_CODES)
        arguments.flag("flip", self.flip)
        arguments.count("shift", self.shift, 0)
        object.__setattr__(self, "gains", _gains(self.gains, self.depth))
        if self.norm and self.gains is not None:
            raise ArgumentError("gains: does nothing with norm, which undoes factors of the weights; leave it out")
        arguments.count("num_steps", self.num_steps, 1, accepted.MAX_STEPS)
        arguments.time_step("dt", self.dt)
        arguments.number("tau_latency", self.tau_latency, 0.0, strict=True, unit="ms")
        arguments.number("threshold_latency", self.threshold_latency, 0.0, 1.0)
        arguments.number("input_dropout", self.input_dropout, 0.0, 1.0)
        for name in ("tau_latency", "threshold_latency"):
            if self.code != "latency" and getattr(self, name) != getattr(ConvConfig, name):
                raise ArgumentError(f"{name}: does nothing with code={self.code!r}; leave it out")
        _check_neurons(self)
        arguments.flag("detach_reset", self.detach_reset)

    @property
    def depth(self) -> int:
        """Number of spiking layers."""
        return len(self.channels) + len(self.dense)

    @property
    def geometry(self) -> tuple[tuple[int, int, int], ...]:
        """Window, stride and pool of each convolution."""

        def of(given: PerLayer, layer: int) -> int:
            return given if isinstance(given, int) else given[min(layer, len(given) - 1)]

        chosen = (self.window, self.stride, self.pool)
        rows = [[of(given, layer) for given in chosen] for layer in range(len(self.channels))]
        return tuple((window, stride, pool) for window, stride, pool in rows)

    @property
    def steepness(self) -> float:
        """Slope of the surrogate: `slope` if it is given, or what the number of convolutions asks for."""
        if self.slope is not None:
            return self.slope
        return DEEP_SLOPE if self.norm or len(self.channels) > 2 else SnnConfig.slope


LATENCY_CONV = ConvConfig(
    channels=(16, 96),
    window=LATENCY_GEOMETRY["window"],
    stride=LATENCY_GEOMETRY["stride"],
    pool=LATENCY_GEOMETRY["pool"],
    dense=(),
    norm=False,
    code="latency",
    num_steps=12,  # with 6, 0.3 % more of the images that it sees for the first time are wrong
    dt=7.5,  # as long as those of `SnnConfig` in all
    tau_mem=20.0,  # a few steps, like the next one
    tau_syn=20.0,
    tau_out=5.0,
)
"""Settings of a convolutional network that reads one early spike for a bright pixel. Only events are computed with, and
there is one for each pixel: a pixel that nothing reaches costs nothing."""


@dataclass(frozen=True, kw_only=True)
class LstmConfig:
    """Settings of the LSTM network, which reads an image row by row: LSTM(hidden) -> linear readout.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> LstmConfig().hidden
        100
    """

    hidden: int = 100  # units

    def __post_init__(self):
        arguments.count("hidden", self.hidden, 1, accepted.MAX_UNITS)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of the training.

    Raises:
        ArgumentError: if a value is out of range.

    Example:
        >>> TrainConfig(epochs=3).epochs
        3
    """

    epochs: int = 10  # passes over the training samples
    batch_size: int = 128  # samples; with the tutorial's 256 a small data set has few steps an epoch
    learning_rate: float | None = RATE  # None: an optimizer of your own has one
    schedule: str | None = "cosine"  # of the learning rate: "cosine" falls to zero at the last step, "constant" stays
    seed: int = 0  # of codes drawn at random and of the order of the samples; 0 to 2**32 - 1

    def __post_init__(self):
        arguments.count("epochs", self.epochs)
        arguments.count("batch_size", self.batch_size)
        if self.learning_rate is not None:
            arguments.number("learning_rate", self.learning_rate, 0.0, strict=True)
        if self.schedule is not None:
            arguments.choice("schedule", self.schedule, ("cosine", "constant"))
        arguments.seed("seed", self.seed)

    @classmethod
    def of(
        cls, *, own_optimizer: bool, learning_rate: float | None, schedule: str | None, **others: Any
    ) -> "TrainConfig":
        """Return the settings of a training; what is None has its default, or is left to an optimizer of your own.

        Raises:
            ArgumentError: if a value is out of range, or would do nothing because the optimizer is your own.

        Example:
            >>> TrainConfig.of(own_optimizer=False, learning_rate=None, schedule=None).learning_rate
            0.01
        """
        if not own_optimizer:
            learning_rate = RATE if learning_rate is None else learning_rate
            schedule = cls.schedule if schedule is None else schedule
        for name, value in (("learning_rate", learning_rate), ("schedule", schedule)):
            if own_optimizer and value is not None:
                raise ArgumentError(f"{name}: the optimizer that you passed has its own; leave it out, got {value!r}")
        return cls(learning_rate=learning_rate, schedule=schedule, **others)
