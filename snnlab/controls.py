"""The only way into a run from outside: knobs, and the mailbox that carries every request to the engine.

New values of knobs, moves planned for later steps, and the step at which to stop all go through one `Mailbox`, safe
from any thread. The engine empties it between two chunks. If a knob is moved several times meanwhile, the last value
counts. Loads no JAX.
"""

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from snnlab.errors import ArgumentError
from snnlab.support import arguments

LEARNING_RATE = "learning_rate"  # the knob
EPOCHS = "epochs"  # no knob, but among the moves of a run: from this step on, the schedule is that of so many epochs
MOST = float(arguments.SINGLE.max)  # that float32 holds
SLICE = 0.1  # seconds: a chunk takes at most this share of the steps of a second, if there is a pace
SHORTER = 8  # a brief chunk has so many times fewer steps, but one at least
CALM_RATE = 0.01  # the top of Adam's usual range: from a rate far above it, a tenth is still too high

Move = tuple[int, str, float]  # step, knob, new value


def calmer(rate: float) -> float:
    """Return the learning rate to try after `rate` was too high: a tenth of it, at most `CALM_RATE`.

    Example:
        >>> calmer(0.03), calmer(2.0)
        (0.003, 0.01)
    """
    return float(f"{min(rate / 10.0, CALM_RATE):.2g}")


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A number that can be changed during training.

    Attributes:
        name: full name, such as "hidden.tau_mem" or "learning_rate".
        value: current value; the mean over neurons if they differ.
        low: lower end of the slider; smaller values are accepted down to `least`.
        high: upper end of the slider; larger values are accepted.
        least: smallest value accepted.
        unit: such as "ms".
        log: whether the slider is logarithmic.

    Example:
        >>> Knob(name="hidden.tau_mem", value=10.0, low=1.0, high=100.0, unit="ms", log=True).value
        10.0
    """

    name: str
    value: float
    low: float
    high: float
    least: float = -math.inf
    unit: str = ""
    log: bool = False


class Mailbox:
    """Requests on their way to the engine. Every method may be called from any thread.

    Args:
        knobs: the knobs of the run.

    Attributes:
        brief: take chunks of an eighth of the steps, because somebody waits for each of them.

    Example:
        >>> box = Mailbox([Knob(name="hidden.v_th", value=1.0, low=0.01, high=4.0)])
        >>> box.post("v_th", 0.5)
        'hidden.v_th'
        >>> box.plan([(2, "v_th", 0.7)])
        >>> box.claim(step=0, count=8), box.drain()
        (2, {'hidden.v_th': 0.5})
        >>> box.claim(step=2, count=8), box.drain(), box.drain()
        (8, {'hidden.v_th': 0.7}, {})
    """

    def __init__(self, knobs: Iterable[Knob]):
        self._lock = threading.Lock()
        self._knobs = {knob.name: knob for knob in knobs}
        self._posted: dict[str, float] = {}
        self._tried: dict[str, float] = {}
        self._planned: list[Move] = []
        self._stop_at: int | None = None
        self._pace: float | None = None
        self.brief = False
        self._step = self._end = 0  # the engine takes the steps from `_step` to before `_end`

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """The knobs by name, with the values posted last."""
        with self._lock:
            return dict(self._knobs)

    @property
    def shown(self) -> Mapping[str, Knob]:
        """The knobs by name, with the values that are tried out."""
        with self._lock:
            return {name: replace(knob, value=self._tried.get(name, knob.value)) for name, knob in self._knobs.items()}

    @property
    def tried(self) -> dict[str, float]:
        """The values that are tried out."""
        with self._lock:
            return dict(self._tried)

    @property
    def posted(self) -> dict[str, float]:
        """New values that the engine has not taken yet."""
        with self._lock:
            return dict(self._posted)

    @property
    def planned(self) -> list[Move]:
        """Moves planned for later steps, in order."""
        with self._lock:
            return list(self._planned)

    @property
    def stop_at(self) -> int | None:
        """A step that no chunk runs across, or None. May be set at any time."""
        return self._stop_at

    @stop_at.setter
    def stop_at(self, step: int | None) -> None:
        self._stop_at = step

    @property
    def pace(self) -> float | None:
        """Steps a second at most, or None for as fast as it goes. May be set at any time."""
        return self._pace

    @pace.setter
    def pace(self, steps: float | None) -> None:
        self._pace = None if steps is None else arguments.number("pace", steps, 0.0, strict=True)

    def post(self, name: str, value: float, *, not_before: int = 0) -> str:
        """Ask for a new value of a knob; it acts on the next chunk, or on step `not_before` if that comes later.

        Args:
            name: of the knob, or an ending that only one knob has: "v_th" for "hidden.v_th".
            value: finite, at least the knob's `least`.
            not_before: first step that it may act on, counted from 0.

        Returns:
            The knob's full name.

        Raises:
            ArgumentError: if there is no such knob, or the value is out of range.
        """
        name, number = self.check(name, value)
        with self._lock:
            if not_before > self._end:
                self._plan([(not_before, name, number)])
            else:
                self._post(name, number)
        return name

    def try_out(self, name: str, value: float) -> None:
        """Show what a value of a knob would do. The engine never sees it: the run, its history and its checkpoints stay
        as they are. The next `post` of the knob ends it.

        Args:
            name, value: see `post`.

        Raises:
            ArgumentError: as `post` does.
        """
        name, number = self.check(name, value)
        with self._lock:
            self._tried[name] = number

    def stop_trying(self) -> None:
        """Show the knobs as they are."""
        with self._lock:
            self._tried = {}

    def plan(self, moves: Iterable[Move]) -> None:
        """Move knobs later: `(step, name, value)` acts exactly once, on step `step`, counted from 0.

        Raises:
            ArgumentError: if there is no such knob, a value is out of range, or a step is taken already. Then nothing
                is planned.
        """
        checked = [(arguments.count("step", step, 0), *self.check(name, value)) for step, name, value in moves]
        with self._lock:
            for step, *_ in checked:
                if step < self._end:
                    raise ArgumentError(f"step: {step} is taken already, the run is at {self._end}; plan a later step")
            self._plan(checked)

    def cancel_plans(self) -> None:
        """Forget all moves planned for later steps."""
        with self._lock:
            self._planned = []

    def check(self, name: str, value: float) -> tuple[str, float]:
        """Return the knob's full name and the value as a number; raise as `post` does."""
        knob = self._find(name, value)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not abs(number) <= MOST or number < knob.least:
            wanted = "a finite number" if knob.least == -math.inf else f"a finite number >= {knob.least:g}"
            raise ArgumentError(f"{knob.name}: must be {f'{wanted} {knob.unit}'.strip()}, got {value!r}")
        return knob.name, number

    def claim(self, step: int, count: int) -> int:
        """Announce that the engine is at `step` and wants to take `count` steps.

        Returns:
            The number of steps to take: `count`, or fewer if a planned move or `stop_at` comes before. From now on
            no move can be planned for these steps.
        """
        with self._lock:
            stops = [planned for planned, *_ in self._planned] + ([] if self._stop_at is None else [self._stop_at])
            count = min([count, *(stop - step for stop in stops if stop > step)])
            if self._pace is not None:
                count = max(1, min(count, int(self._pace * SLICE)))
            if self.brief:
                count = max(1, count // SHORTER)
            self._step, self._end = step, step + count
            return count

    def drain(self) -> dict[str, float]:
        """Take the values that act on the step claimed last: those posted since the last call, then those planned."""
        with self._lock:
            due = [move for move in self._planned if move[0] <= self._step]
            self._planned = self._planned[len(due) :]
            for _, name, value in due:
                self._post(name, value)
            posted, self._posted = self._posted, {}
            return posted

    def restore(
        self, step: int, values: Mapping[str, float], planned: Iterable[Move], posted: Mapping[str, float]
    ) -> None:
        """Put the mailbox where it was at `step`: the values of the knobs, and the requests that were on their way."""
        with self._lock:
            self._step = self._end = step
            self._planned, self._posted = sorted(planned, key=lambda move: move[0]), dict(posted)
            for name, value in {**values, **posted}.items():
                self._knobs[name] = replace(self._knobs[name], value=value)

    def _find(self, name: str, value: float) -> Knob:
        knobs = self.knobs
        if name in knobs:
            return knobs[name]
        found = [full for full in knobs if full.endswith(f".{name}")]
        if len(found) == 1:
            return knobs[found[0]]
        if not found:
            raise ArgumentError(f"name: the knob {name!r} is unknown; this run has {', '.join(knobs)}")
        raise ArgumentError(
            f"name: the knob {name!r} is ambiguous, it could be {' or '.join(found)}; "
            f'write set({{"{found[0]}": {value!r}}})'
        )

    # ---- the caller holds the lock ----

    def _plan(self, moves: Iterable[Move]) -> None:
        self._planned = sorted([*self._planned, *moves], key=lambda move: move[0])

    def _post(self, name: str, value: float) -> None:
        self._tried.pop(name, None)
        self._posted[name] = value
        self._knobs[name] = replace(self._knobs[name], value=value)
