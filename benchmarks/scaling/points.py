"""What is measured: which sizes grow, and how far the reference can follow."""

from typing import NamedTuple


class Point(NamedTuple):
    """One measurement.

    Attributes:
        backend: "auto" for the kernels, or "reference".
        scope: "network", or "layer" for its hidden layer alone with a loss of the spike counts only.
        inputs: units of the input.
        events: input spikes a sample.
        steps: length of the sequence.
        hidden: LIF neurons.
        batch: samples.
    """

    backend: str = "auto"
    scope: str = "network"
    inputs: int = 784
    events: int = 300
    steps: int = 100
    hidden: int = 100
    batch: int = 256

    @property
    def neuron_steps(self) -> int:
        """Hidden neurons x samples x time steps: what back-propagation through time goes through."""
        return self.steps * self.batch * self.hidden

    @property
    def input_steps(self) -> int:
        """Inputs x samples x time steps: what a dense projection goes through, and what it has to store."""
        return self.steps * self.batch * self.inputs


class Series(NamedTuple):
    """One size grows, all others stay as in `base`."""

    name: str
    values: tuple[int, ...]
    base: Point = Point()

    @property
    def title(self) -> str:
        """What grows, and what is unusual about the rest."""
        others = [f"{k} {v}" for k, v in self.base._asdict().items() if v != getattr(Point(), k)]
        return f"As {self.name} grow{'s' if self.name in ('hidden', 'batch') else ''}" + "".join(
            f", at {other}" for other in others
        )


SERIES = (
    Series("events", (10, 100, 300, 784, 3000)),
    Series("steps", (100, 400, 1000, 4000)),
    Series("inputs", (784, 12544)),
    Series("inputs", (784, 12544), Point(steps=1000)),
    Series("hidden", (100, 400, 1000, 4000)),
    Series("batch", (16, 256, 1024)),
)
QUICK = (Series("events", (10, 300)), Series("steps", (100, 400)))

REFERENCE_EVENTS = (10, 300, 784)  # it does not depend on them; three tell
REFERENCE_INPUT_STEPS = 90_000_000  # 360 MB of dense input, of which the reference may hold several copies
REFERENCE_NEURON_STEPS = 13_000_000  # about a second


def series(quick: bool) -> list[tuple[Series, list[Point]]]:
    """Points by what grows: the kernels at every size, the reference where it takes seconds and fits into memory."""
    return [
        (
            line,
            [
                point
                for value in line.values
                for backend in ("auto", "reference")
                if (point := _point(backend, line, value))
            ],
        )
        for line in (QUICK if quick else SERIES)
    ]


def _point(backend: str, line: Series, value: int) -> Point | None:
    point = line.base._replace(backend=backend, **{line.name: value})
    affordable = point.input_steps <= REFERENCE_INPUT_STEPS and point.neuron_steps <= REFERENCE_NEURON_STEPS
    return point if backend == "auto" or (affordable and point.events in REFERENCE_EVENTS) else None


def memory(quick: bool) -> list[Point]:
    """Many neuron steps and few inputs: so many that weights and events are nothing beside what they keep."""
    sizes = {"inputs": 16, "events": 100, "steps": 1000, "hidden": 1024, "batch": 8 if quick else 32}
    return [
        Point(backend=backend, scope=scope, **sizes)
        for scope in ("layer", "network")
        for backend in ("auto", "reference")
    ]
