"""What the dashboard says: the status line, the diagnosis, the label of the repair button. HTML as text."""

from snnlab.health.diagnosis import Diagnosis
from snnlab.live.frames.status import Status, View
from snnlab.live.frames.style import VERMILION
from snnlab.live.states import RunState
from snnlab.support.markup import plain

WARNING = f"<span style='color:{VERMILION}'>&#9888;</span> "  # a sign, not only a colour


def warning(text: str) -> str:
    """A warning sign and a text.

    Example:
        >>> warning("a < b").endswith("&#9888;</span> a &lt; b")
        True
    """
    return WARNING + plain(text)


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


def error_text(traceback: str) -> str:
    """The last line of a traceback, with the whole of it to unfold below."""
    last = traceback.strip().splitlines()[-1]
    whole = f"<details><summary>traceback</summary><pre>{plain(traceback)}</pre></details>"
    return f"<b>error</b> &middot; {plain(last)}{whole}"


def status_text(status: Status, message: str) -> str:
    """State, progress, speed, time left, the newest test result; then a message and the problem with saving."""
    if status.traceback:
        return error_text(status.traceback)
    problem = warning(status.problem) if status.problem else ""
    return " &nbsp; ".join(filter(None, (" &middot; ".join(_progress(status)), message, problem)))


def _progress(status: Status) -> list[str]:
    report, history = status.report, status.recorded.history
    parts = [f"<b>{status.state}</b>"]
    if report is not None:
        parts.append(f"epoch {report.epoch} of {status.epochs}")
        parts.append(f"step {report.step} of {report.total_steps}")
        parts.append(f"{report.samples_per_second:,.0f} samples/s")
        parts.append(f"compilations {status.compilations}")
        if status.state in (RunState.TRAINING, RunState.PAUSED):
            parts.append(f"{clock(report.eta)} left")
    elif len(history):  # resumed from a checkpoint
        parts.append(f"step {len(history)} of {status.total_steps}")
    return [*parts, *(f"test accuracy {row['test_acc']:.1%}" for row in history.newest_epochs(1))]


def diagnosis_text(view: View) -> str:
    """What is wrong, or an empty text."""
    if view.blind is not None:
        return warning(f"cannot look into the network: {view.blind!r}")
    return "" if view.finding is None else warning(view.finding.text)


def repair_text(finding: Diagnosis | None) -> str:
    """What the repair button would do, or an empty text.

    Example:
        >>> repair_text(Diagnosis(name="silent", text="hidden layer silent", knob="hidden.v_th", value=0.3))
        'set hidden.v_th to 0.3'
    """
    if finding is None:
        return ""
    parts = [] if finding.back_to is None else [f"go back to step {finding.back_to}"]
    parts += [] if finding.knob is None else [f"set {finding.knob} to {finding.value:.3g}"]
    return ", ".join([*parts, *(["new seed"] if finding.new_seed else [])])


def results_table(status: Status) -> str:
    """The results of all epochs, to unfold."""
    history = status.recorded.history
    epochs = history.num_epochs
    table = history._repr_html_() if epochs else ""
    return f"<details><summary>results by epoch ({epochs})</summary>{table}</details>"
