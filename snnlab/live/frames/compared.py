"""Earlier runs beside the present one: what each is called, by what truly differs."""

from collections.abc import Mapping, Sequence

from snnlab.live.frames.status import Recorded
from snnlab.support import numbers

GHOSTS = 3  # earlier runs that are shown in the dashboard, the newest ones

Ends = tuple[float, float]  # a setting where a run began and where it ended


def names(earlier: Sequence[Recorded], now: Recorded, most: int | None = None) -> list[str]:
    """Name earlier runs: their number, the settings that differ among them and the present run, their steps.

    Args:
        earlier: what all earlier runs recorded, oldest first.
        now: what the present run has recorded.
        most: only the newest ones; default: all.

    Returns:
        The names, oldest first.

    Example:
        >>> from snnlab.history import History
        >>> runs = [Recorded(History(), 8, {"seed": seed, "hidden": 100, "hidden.v_th": 1.0}) for seed in (0, 1)]
        >>> names(runs[:1], runs[1])
        ['run 1: seed 0, 0 steps']
        >>> moved = History()
        >>> moved.add_intervention(step=3, knob="hidden.v_th", old=1.0, new=0.8)
        >>> names([Recorded(moved, 8, {"seed": 1, "hidden": 100, "hidden.v_th": 0.8})], runs[1])
        ['run 1: v_th 1 \u2192 0.8, 0 steps']
    """
    first = max(0, len(earlier) - most) if most is not None else 0
    shown = earlier[first:]
    every = [_settings(run) for run in (*shown, now)]
    keys = list(dict.fromkeys(key for settings in every for key in settings))
    different = [key for key in keys if len({settings.get(key) for settings in every}) > 1]
    return [
        f"run {first + k + 1}: " + ", ".join([*_words(different, settings), numbers.count(len(run.history), "step")])
        for k, (run, settings) in enumerate(zip(shown, every, strict=False))
    ]


def _settings(run: Recorded) -> dict[str, Ends]:
    """What the run began with, and what its knobs were moved to."""
    moves = run.history.interventions
    began = {move["knob"]: move["old"] for move in reversed(moves) if move["step"] > 0}
    ended = dict(run.settings) | {move["knob"]: move["new"] for move in moves}
    return {name: (numbers.rounded(began.get(name, value)), numbers.rounded(value)) for name, value in ended.items()}


def _words(keys: Sequence[str], settings: Mapping[str, Ends]) -> list[str]:
    short = [key.rpartition(".")[2] for key in keys]
    said = []
    for key, name in zip(keys, short, strict=True):
        if key in settings:
            began, ended = settings[key]
            said.append(f"{key if short.count(name) > 1 else name} {_way(began, ended)}")
    return said


def _way(began: float, ended: float) -> str:
    """Format a setting that may have been moved."""
    one = [numbers.number(int(value) if value == int(value) else value) for value in (began, ended)]
    return one[0] if began == ended else " \u2192 ".join(one)
