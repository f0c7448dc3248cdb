"""A synthetic electrocardiogram (ECG) whose waves are labelled at every step: computed, not measured.

One beat is a turn of a phase, and each wave a bump over it. With the phase `p` in radians, -pi..pi, 0 at the peak R,
and the difference `d_k = p - p_k` to the peak of wave `k`, wrapped to -pi..pi,

    z(p) = sum_k a_k exp(-d_k^2 / (2 b_k^2)),   k in P, Q, R, S, T

The published model integrates the slope of these bumps along the turning phase, with a slow return to a baseline that
wanders with the breath; here the bumps are summed, and the wandering baseline is added. Every recording draws its own
heart rate, and its own amplitudes, widths and places of the waves; every beat its own length; and white noise is added.

Source: McSharry et al. (2003), DOI 10.1109/TBME.2003.808805, for the model and the numbers in `WAVES`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from snnlab.data.dataset import Dataset
from snnlab.support import arguments

CLASS_NAMES = ("none", "P", "QRS", "T")
DT = 8.0  # ms
STEPS = 300  # 2.4 s: two to four beats


class Wave(NamedTuple):
    """A bump over the phase: its peak and width [radians], its height [mV], and its class."""

    peak: float
    height: float
    width: float
    label: int


WAVES = (
    Wave(-np.pi / 3.0, 0.15, 0.25, 1),
    Wave(-np.pi / 12.0, -0.15, 0.1, 2),
    Wave(0.0, 1.2, 0.1, 2),
    Wave(np.pi / 12.0, -0.25, 0.1, 2),
    Wave(np.pi / 2.0, 0.35, 0.4, 3),
)
"""P, Q, R, S and T: places and widths as published, heights scaled to millivolts."""

REACH = 1.5  # widths to each side of its peak that belong to a wave: at 80 beats a minute P lasts 90 ms, QRS 100
RATE = 55.0, 95.0  # beats a minute
WANDER, NOISE = 0.1, 0.03  # mV: amplitude of the baseline wander at the most, standard deviation of the noise


class Ecg(NamedTuple):
    """Some recordings.

    Attributes:
        signal: what an electrode would measure [mV].
        clean: the same without baseline wander and noise [mV].
        labels: class of every step, an index into `CLASS_NAMES`.
        rate: heart rate of each recording [beats a minute].
    """

    signal: Float[np.ndarray, "samples time"]
    clean: Float[np.ndarray, "samples time"]
    labels: Int[np.ndarray, "samples time"]
    rate: Float[np.ndarray, " samples"]


def make_ecg(samples: int, *, steps: int = STEPS, dt: float = DT, seed: int = 0) -> Ecg:
    """Make some recordings; the same seed makes the same ones.

    Args:
        samples: number of recordings.
        steps: of each.
        dt: length of a step [ms].
        seed: of all that is drawn at random.

    Raises:
        ArgumentError: if a number is out of range.

    Example:
        >>> ecg = make_ecg(3, steps=250)
        >>> ecg.signal.shape, sorted({CLASS_NAMES[k] for k in ecg.labels[0]}), bool((ecg.rate > 50.0).all())
        ((3, 250), ['P', 'QRS', 'T', 'none'], True)
        >>> highest = ecg.clean[0].argmax()
        >>> CLASS_NAMES[ecg.labels[0, highest]]
        'QRS'
    """
    samples, steps = arguments.count("samples", samples), arguments.count("steps", steps)
    dt = arguments.number("dt", dt, 0.0, strict=True, unit="ms")
    rng = np.random.default_rng(arguments.seed("seed", seed))
    rate = rng.uniform(*RATE, samples)
    phase = _phases(rng, rate, steps, dt)
    clean, labels = _waves(rng, phase)
    time = np.arange(steps) * (dt / 1000.0)
    breaths = rng.uniform(0.15, 0.35, (samples, 1))  # Hz
    wander = rng.uniform(0.0, WANDER, (samples, 1)) * np.sin(
        2.0 * np.pi * (breaths * time + rng.uniform(0.0, 1.0, (samples, 1)))
    )
    signal = clean + wander + NOISE * rng.standard_normal(clean.shape)
    return Ecg(signal.astype(np.float32), clean.astype(np.float32), labels, rate.astype(np.float32))


def _phases(rng: np.random.Generator, rate: np.ndarray, steps: int, dt: float) -> np.ndarray:
    """The phase of every step `(samples, time)`: each beat lasts as long as the rate says, give or take 5 %."""
    beats = 2 + int(np.ceil(steps * dt / 60_000.0 * RATE[1] * 1.3))
    length = 60_000.0 / rate[:, None] * np.clip(rng.normal(1.0, 0.05, (len(rate), beats)), 0.85, 1.15)  # ms
    ends = np.cumsum(length, axis=1)
    time = rng.uniform(0.0, 1.0, (len(rate), 1)) * length[:, :1] + np.arange(steps) * dt
    beat = (time[:, :, None] >= ends[:, None, :]).sum(2)
    begins = ends - length
    share = (time - np.take_along_axis(begins, beat, 1)) / np.take_along_axis(length, beat, 1)
    return 2.0 * np.pi * share - np.pi


def _waves(rng: np.random.Generator, phase: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of all waves, and the class of every step; each recording has waves of its own."""
    clean, labels, shape = np.zeros(phase.shape), np.zeros(phase.shape, np.int32), (len(phase), 1)
    begins: dict[int, np.ndarray] = {}  # of the waves of a class, the first one
    for wave in WAVES:
        peak = wave.peak + rng.normal(0.0, 0.03, shape)
        width = wave.width * rng.uniform(0.9, 1.1, shape)
        off = np.mod(phase - peak + np.pi, 2.0 * np.pi) - np.pi
        clean += wave.height * rng.uniform(0.7, 1.3, shape) * np.exp(-(off**2) / (2.0 * width**2))
        begin = begins.setdefault(wave.label, peak - REACH * width)
        labels[(begin <= phase) & (phase <= peak + REACH * width)] = wave.label
    return clean, labels


def load_ecg(train: int = 1200, test: int = 300) -> Dataset:
    """Make an ECG to train with: 300 steps of 8 ms each, and the class of every step; the same ones every time.

    Example:
        >>> load_ecg(train=40, test=10)
        Dataset('ecg': 40 train, 10 test, samples (300, 1) float32, 4 classes every step)
    """
    made, tested = make_ecg(train, seed=1), make_ecg(test, seed=2)
    return Dataset(
        name="ecg",
        x_train=made.signal[..., None],
        y_train=made.labels,
        x_test=tested.signal[..., None],
        y_test=tested.labels,
        class_names=CLASS_NAMES,
        task="step_labels",
    )
