"""Where a run stands, as the head of the screen says it: state, progress, what is wrong, what happened."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from snnlab.health.diagnosis import Diagnosis
from snnlab.history import Scored
from snnlab.live.frames.branches import place_words
from snnlab.live.frames.explained import FACT
from snnlab.live.frames.status import Status, View
from snnlab.live.states import RunState, Transport
from snnlab.support import numbers

HINT = "Press Start, then drag a knob: the raster shows at once what it does."
BLUNT_HINT = "Press Start, then drag a knob: the curves show what it does."  # no knob of a layer


class Said(NamedTuple):
    """A sentence, and whether it warns."""

    text: str
    warning: bool = False


def run_frame(view: View, message: Said, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Describe where the run stands.

    Args:
        view: the run and its network.
        message: what the last action of the user has to say.
        chosen: what the fields of the screen are set to.
    """
    status, said, facts = view.status, _said(view, message), _facts(view.status)
    steps = len(status.recorded.history)
    return {
        "state": str(status.state),
        "transport": str(status.transport),
        "facts": [words for _, words in facts],
        "fact_keys": [FACT + name for name, _ in facts],
        "progress": steps / status.total_steps,
        "said": said._asdict(),
        "trace": status.traceback or "",
        "repair": repair_text(view.finding),
        "knobs": {name: numbers.rounded(knob.value) for name, knob in status.knobs.items()},
        "tried": {name: numbers.rounded(value) for name, value in status.tried.items()},
        "view": dict(chosen),
        "compilations": status.compilations,
        "pace": status.pace,
        "undo": dict(view.undo),
        "accuracy": _newest_score(status),
    }


def clock(seconds: float) -> str:
    """Format a duration.

    Example:
        >>> clock(7.4), clock(187), clock(7500)
        ('7 s', '3 min 07 s', '2 h 05 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def repair_text(finding: Diagnosis | None) -> str:
    """What the repair button would do, or an empty text.

    Example:
        >>> repair_text(Diagnosis(name="silent", text="hidden layer silent", knob="hidden.v_th", value=0.3))
        'set hidden.v_th to 0.3'
    """
    if finding is None:
        return ""
    parts = [] if finding.back_to is None else [f"go back to step {finding.back_to:,}"]
    if finding.knob is not None and finding.value is not None:
        parts.append(f"set {finding.knob} to {numbers.number(finding.value)}")
    return ", ".join([*parts, *(["new seed"] if finding.new_seed else [])])


def results_frame(
    rows: Sequence[Mapping[str, Any]], epochs: int, notes: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Describe the table of the newest epochs, and the notes.

    Args:
        rows: results of the epochs, see `History.newest_epochs`.
        epochs: number of all.
        notes: see `History.notes`.

    Example:
        >>> rows, notes = [{"epoch": 3, "train_loss": 0.51234, "test_acc": 0.9}], [{"step": 7, "text": "so?"}]
        >>> frame = results_frame(rows, 3, notes)
        >>> frame["columns"], frame["rows"]
        (['epoch', 'train loss', 'train acc.', 'test loss', 'test acc.'], [['3', '0.5123', '', '', '0.9']])
        >>> frame["notes"]
        [['step 7', 'so?']]
    """
    quiet = all(row.get("spikes_per_sample") is None for row in rows)  # of a network without spikes
    titles = _columns(Scored.of(name for row in rows for name in row))
    shown = [name for name in titles if name != "spikes_per_sample" or not quiet]
    more = list(dict.fromkeys(name for row in rows for name in row.get("metrics", {})))
    cells = [
        [_cell(row.get(name)) for name in shown] + [_cell(row.get("metrics", {}).get(name)) for name in more]
        for row in reversed(rows)
    ]
    words = f"the newest {len(rows)} of {epochs:,}, the newest first" if len(rows) < epochs else "the newest first"
    noted = [[f"step {note['step']:,}", note["text"]] for note in reversed(notes)]
    columns = [*(titles[name] for name in shown), *more]
    return {"columns": columns, "rows": cells, "words": words if cells else "None yet.", "notes": noted}


def _cell(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else numbers.number(value, 4)


def _columns(scored: Scored) -> dict[str, str]:
    """The columns of the table, and their titles."""
    place, name = (
        {"validation": "val."}.get(scored.place, scored.place),
        {"accuracy": "acc."}.get(scored.name, scored.name),
    )
    titles = {"epoch": "epoch", "train_loss": "train loss", scored.train: f"train {name}"}
    return titles | {scored.loss: f"{place} loss", scored.result: f"{place} {name}", "spikes_per_sample": "spikes"}


def _facts(status: Status) -> list[tuple[str, str]]:
    """State, progress, speed, time left, the newest test result: the name of each, and its words."""
    report, history = status.report, status.recorded.history
    parts = [("state", str(status.state))]
    if report is not None:
        parts.append(("epoch", f"epoch {report.epoch:,} of {status.epochs:,}"))
        parts.append(("step", f"step {report.step:,} of {status.total_steps:,}"))
        parts.append(("samples per second", f"{report.samples_per_second:,.0f} samples/s"))
        if status.state in (RunState.TRAINING, RunState.PAUSED) and status.pace is None:
            parts.append(("time left", f"{clock(report.eta)} left"))
    elif len(history):  # resumed from a checkpoint
        parts.append(("step", f"step {len(history):,} of {status.total_steps:,}"))
    score = _newest_score(status)
    return [*parts, *([("score", f"{history.scored.words} {score}")] if score else [])]


def _newest_score(status: Status) -> str:
    """The score of the newest epoch, or an empty text."""
    history = status.recorded.history
    scored = history.scored
    return next((scored.text(row[scored.result]) for row in history.newest_epochs(1)), "")


def _said(view: View, message: Said) -> Said:
    """All there is to say: the error, the message, the problem with saving, the diagnosis; if nothing, what to do."""
    status, found = view.status, []
    if status.traceback:
        found.append(Said(f"error: {status.traceback.strip().splitlines()[-1]}", True))
    if view.going:
        found.append(Said(view.going))
    elif view.times is not None and (view.times.behind or view.times.in_turn):
        found.append(Said(place_words(view.times)))
    if message.text:
        found.append(message)
    if status.problem:
        found.append(Said(status.problem, True))
    if view.blind is not None:
        found.append(Said(f"cannot look into the network: {view.blind!r}", True))
    if view.finding is not None:
        found.append(Said(view.finding.text, True))
    if found:
        return Said(" \u00b7 ".join(said.text for said in found), any(said.warning for said in found))
    if status.transport is Transport.START:
        return Said(HINT if any("." in name for name in status.knobs) else BLUNT_HINT)
    well = [] if view.health is None else [f"Nothing wrong was found at step {view.health.step:,}."]
    longer = f"All {status.epochs:,} epochs are trained; `lab.epochs = {2 * status.epochs}` trains longer."
    return Said(" ".join([*well, *([longer] if status.transport is Transport.NOTHING else [])]))
