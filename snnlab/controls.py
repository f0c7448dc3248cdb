"""The only way in from outside: knobs, and the mailbox through which their new values reach the engine.

Standard library only, safe from any thread. A slider posts `(knob, value)`; the engine drains the
mailbox between two chunks, so the last value of a chunk wins and no value is lost.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace

from snnlab.errors import ArgumentError

LEARNING_RATE = "learning_rate"  # the knob
CALM_RATE = 0.01  # Adam's usual range ends here: from a rate far above it a tenth leads nowhere


def calmer(rate: float) -> float:
    """The learning rate to try where `rate` was too high: a tenth of it, at most `CALM_RATE`.

    Example:
        >>> calmer(0.03), calmer(2.0)
        (0.003, 0.01)
    """
    return float(f"{min(rate / 10.0, CALM_RATE):.2g}")


@dataclass(frozen=True, kw_only=True)
class Knob:
    """A number that may be changed while it trains.

    Attributes:
        name: such as "hidden.tau_mem" or "learning_rate".
        value: its value now; for a parameter that differs between neurons, their mean.
        low: least value accepted.
        high: where its slider ends; larger values are accepted.
        unit: such as "ms".
        log: its slider is logarithmic.

    Example:
        >>> Knob(name="hidden.tau_mem", value=10.0, low=1.0, high=100.0, unit="ms", log=True).value
        10.0
    """

    name: str
    value: float
    low: float
    high: float
    unit: str = ""
    log: bool = False


class Mailbox:
    """New values of knobs on their way to the engine.

    Args:
        knobs: the knobs that there are.

    Example:
        >>> box = Mailbox([Knob(name="hidden.v_th", value=1.0, low=0.01, high=4.0)])
        >>> box.post("v_th", 0.5)
        'hidden.v_th'
        >>> box.post("hidden.v_th", 0.6), box.drain(), box.drain()
        ('hidden.v_th', {'hidden.v_th': 0.6}, {})
    """

    def __init__(self, knobs: list[Knob]):
        self._lock = threading.Lock()
        self._knobs = {knob.name: knob for knob in knobs}
        self._posted: dict[str, float] = {}

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """The knobs by name, with the values that were last posted."""
        with self._lock:
            return dict(self._knobs)

    @property
    def posted(self) -> dict[str, float]:
        """The new values that are still on their way."""
        with self._lock:
            return dict(self._posted)

    def post(self, name: str, value: float) -> str:
        """Ask for a new value; it acts on the next chunk.

        Args:
            name: of the knob, or an ending of it that no other knob has: "v_th" for "hidden.v_th".
            value: finite, at least the knob's `low`.

        Returns:
            The knob's full name.

        Raises:
            ArgumentError: if there is no such knob, or the value is out of range.
        """
        name, number = self.check(name, value)
        with self._lock:
            self._posted[name] = number
            self._knobs[name] = replace(self._knobs[name], value=number)
        return name

    def check(self, name: str, value: float) -> tuple[str, float]:
        """The knob's full name and the value as a number; raises as `post` does."""
        knob = self._knobs[self._find(name)]
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or number < knob.low:
            raise ArgumentError(f"{knob.name}: must be a finite number >= {knob.low:g} {knob.unit}, got {value!r}")
        return knob.name, number

    def drain(self) -> dict[str, float]:
        """Take what was posted since the last call."""
        with self._lock:
            posted, self._posted = self._posted, {}
            return posted

    def _find(self, name: str) -> str:
        if name in self._knobs:
            return name
        found = [full for full in self._knobs if full.endswith("." + name)]
        if len(found) == 1:
            return found[0]
        what = "is ambiguous: say one of" if found else "is unknown: there are"
        raise ArgumentError(f"name: the knob {name!r} {what} {', '.join(found or self._knobs)}")
