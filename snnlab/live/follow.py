"""A cell that follows a run: what a function returns, below a line that says of when it is, and anew after each epoch.

Each such cell has a thread of its own. It waits for the run, draws, and alone writes the widget of its cell. So no two
drawings of a cell run at once; one that takes long misses epochs, and the newest state is the next to be drawn.
"""

import base64
import contextlib
import inspect
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from snnlab.errors import ArgumentError
from snnlab.live import figures, frontend, reactive
from snnlab.live.run import Moment, Run
from snnlab.live.states import RunState
from snnlab.support.exit import end_at_exit
from snnlab.support.markup import plain

MOVING = (RunState.COMPILING, RunState.TRAINING)
LOOK_PERIOD = 0.1  # seconds between two looks at a run that trains
REST = 1.0  # seconds between two drawings of a run that trains, at least
REST_SHARE = 3.0  # and so many times as long as the drawing took: then it takes a quarter of a processor at most
HOW = {RunState.PAUSED: "paused ", RunState.STOPPED: "stopped ", RunState.ERROR: "ended by an error "}
HEADING = "<p style='margin: 0.5em 0; opacity: 0.7'>%s</p>"
TEXT = "<pre style='white-space: pre-wrap; word-break: normal'>%s</pre>"  # JupyterLab breaks words of other texts

Bundle = dict[str, Any]  # one output by MIME type


class Follower:
    """Shows what a function returns as runs proceed.

    Args:
        draw: the function; see `LiveTrainer.follow`.
        runs: it is called anew when one of them proceeds; the line above tells of the first.

    Raises:
        ArgumentError: if `draw` cannot be called without arguments.

    Attributes:
        awake: set it to have a look at the runs now.
    """

    def __init__(self, draw: Callable[[], object], runs: Sequence[Run]):
        self._draw, self._runs = _without_arguments(draw), tuple(runs)
        self.awake = threading.Event()
        self._closed = self._is_freed = False
        self._page: _Page | reactive.Page = _Page() if reactive.marimo() is None else reactive.Page()
        self._shown: tuple[Moment, ...] | None = None
        self._bundles: list[Any] = []  # as the page shows them
        self._next = 0.0  # when a run that trains may be drawn again
        self._thread = self._page.Thread(target=self._follow, name="snnlab-follow", daemon=True)

    def open(self) -> None:
        """Show where the run stands below the running cell, and start to follow."""
        self._page.show([_line(self._moments())])
        end_at_exit(self._thread, self.end)
        self._thread.start()

    def end(self) -> None:
        """Stop to follow, after the drawing that is at work; the page keeps what it shows. Does not wait."""
        self._closed = True
        self.awake.set()

    def close(self) -> None:
        """Stop to follow, and free the widget."""
        self._is_freed = True
        self.end()

    def show_once(self) -> None:
        """Draw now, and leave the result in the notebook, or print it; what fails raises its own error."""
        moments = self._moments()
        bundles = [_line(moments)]
        if moments[0].point.steps:
            bundles += self._drawn(moments)
        for bundle in bundles:
            if frontend.in_notebook():
                frontend.show(bundle, raw=True)
            else:
                print(bundle.get("text/plain", f"({', '.join(bundle)})"))

    def _moments(self) -> tuple[Moment, ...]:
        return tuple(run.moment for run in self._runs)

    def _drawn(self, moments: Sequence[Moment]) -> list[Any]:
        """Call the function while the runs stand still for it."""
        with contextlib.ExitStack() as stack:
            for run, moment in zip(self._runs, moments, strict=True):
                stack.enter_context(run.standing_at(moment))
            return [_bundle(part, self._page) for part in _parts(self._draw())]

    def _follow(self) -> None:
        try:
            while not self._closed:
                moments = self._moments()
                if self._is_due(moments):
                    self._show(moments)
                moving = any(moment.state in MOVING for moment in moments)
                self.awake.wait(LOOK_PERIOD if moving else None)
                self.awake.clear()
        finally:
            if self._is_freed:
                self._page.close()

    def _is_due(self, moments: tuple[Moment, ...]) -> bool:
        if moments == self._shown:
            return False
        states = [moment.state for moment in moments]
        hurry = self._shown is None or states != [moment.state for moment in self._shown]
        return hurry or time.monotonic() >= self._next

    def _show(self, moments: tuple[Moment, ...]) -> None:
        """Show the runs at these moments; if a run has only begun to move again, what was drawn is still true."""
        same = self._shown is not None and [m.point for m in moments] == [m.point for m in self._shown]
        if not moments[0].point.steps:
            self._bundles = []
        elif not (same and moments[0].state in MOVING):
            started = time.monotonic()
            try:
                self._bundles = self._drawn(moments)
            except BaseException as error:  # of the user's function, which may fail in any way; the run continues
                self._bundles = [_failure(error)]
            ended = time.monotonic()
            self._next = ended + max(REST, REST_SHARE * (ended - started))
        self._shown = moments
        if not self._closed:
            self._page.show([_line(moments), *self._bundles])


class _Page:
    """A widget below the running cell of a Jupyter notebook."""

    Thread = threading.Thread

    def __init__(self):
        self._widget: Any = None

    def form(self, part: object) -> Bundle:
        """Return a thing by MIME type."""
        if type(part).__module__.partition(".")[0] == "plotly":
            from plotly.basedatatypes import BaseFigure

            if isinstance(part, BaseFigure):
                return figures.forms(part.to_dict())
        shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
        if shell is None:
            return {"text/plain": repr(part)}
        shown, _ = shell.display_formatter.format(part)
        return {
            kind: base64.b64encode(data).decode() if isinstance(data, bytes) else data
            for kind, data in (shown or {"text/plain": repr(part)}).items()
        }

    def show(self, bundles: Sequence[Bundle]) -> None:
        """Show these in place of what was shown before."""
        outputs = tuple({"output_type": "display_data", "data": bundle, "metadata": {}} for bundle in bundles)
        if self._widget is not None:
            self._widget.outputs = outputs
            return
        import ipywidgets

        self._widget = ipywidgets.Output(outputs=outputs)
        self._widget.add_class("snnlab-follow")
        frontend.show(self._widget)

    def close(self) -> None:
        """Free the widget."""
        if self._widget is not None:
            self._widget.close()


def when(moment: Moment) -> str:
    """Say in words where a run stands.

    Example:
        >>> from snnlab import LstmConfig, Trainer, build, load_data
        >>> digits = load_data("digits").subset(train=256, test=64)
        >>> net = build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> trainer = Trainer(net, digits, epochs=2, batch_size=64)
        >>> when(Moment(RunState.IDLE, trainer, trainer.at))
        'step 0 of 8: not trained yet'
        >>> _ = trainer.fit(until=3)
        >>> when(Moment(RunState.STOPPED, trainer, trainer.at))
        'stopped at step 3 of 8, in epoch 1 of 2'
        >>> _ = trainer.fit()
        >>> when(Moment(RunState.DONE, trainer, trainer.at))
        'at the end, epoch 2'
    """
    trainer, point = moment.trainer, moment.point
    epochs, steps, total = trainer.config.epochs, point.steps, trainer.total_steps
    if not steps and moment.state in MOVING:
        return f"epoch 1 of {epochs} is not over yet: nothing is shown before"
    if not steps:
        return f"step 0 of {total:,}: not trained yet"
    if point.epochs >= epochs:
        return f"at the end, epoch {epochs}"
    how = HOW.get(moment.state, "")
    if steps == point.epochs * trainer.steps_per_epoch:
        return f"{how}after epoch {point.epochs} of {epochs}"
    return f"{how}at step {steps:,} of {total:,}, in epoch {point.epochs + 1} of {epochs}"


def _line(moments: Sequence[Moment]) -> Bundle:
    text = "; beside it: ".join(when(moment) for moment in moments)
    return {"text/html": HEADING % plain(text), "text/plain": text}


def _without_arguments(draw: Callable[[], object]) -> Callable[[], object]:
    """Refuse at once what could only fail later, in a thread."""
    try:
        inspect.signature(draw).bind()
    except TypeError as error:
        raise ArgumentError(f"draw: must be a function without arguments, got {draw!r:.100} ({error})") from None
    except ValueError:  # a function in C, which does not tell
        pass
    return draw


def _parts(result: object) -> list[object]:
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _bundle(part: object, page: "_Page | reactive.Page") -> Any:
    """Return one thing as the page shows it."""
    if part is None:
        return {
            "text/plain": "The function returned None. Return what is to be shown: a text, a figure, or a list of them."
        }
    if isinstance(part, str):
        return {"text/html": TEXT % plain(part), "text/plain": part}
    return page.form(part)


def _failure(error: BaseException) -> Bundle:
    """A sentence, and the traceback to unfold; it begins in the function itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    last = plain(text.strip().splitlines()[-1])
    whole = f"<details><summary>traceback</summary><pre>{plain(text)}</pre></details>"
    return {"text/html": f"<b>error</b> &middot; {last}{whole}", "text/plain": text}
