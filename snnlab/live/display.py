"""The screen of a run: its widget, and the two threads that feed it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ipywidgets import Widget

from snnlab.errors import ArgumentError
from snnlab.health import Diagnosis, diverged
from snnlab.history import metric_names, term_names
from snnlab.live.frames.about import PARTS, about_frame
from snnlab.live.frames.branches import Lane, Times
from snnlab.live.frames.chosen import Chosen
from snnlab.live.frames.paper import paper_of
from snnlab.live.frames.status import Recorded, Status, View
from snnlab.live.frames.targets import output_names
from snnlab.live.look.watcher import Watcher
from snnlab.live.run import Run
from snnlab.live.states import Transport
from snnlab.live.traveller import Traveller
from snnlab.live.undo import Undo
from snnlab.live.widgets.cockpit import Cockpit, Deeds
from snnlab.live.widgets.screen import Screen
from snnlab.live.widgets.twins import KnobRow
from snnlab.models import describe
from snnlab.support import arguments, numbers
from snnlab.support.files import inside
from snnlab.support.switching import QuickSwitching
from snnlab.train import Trainer


class Display:
    """Makes the widget of a run and starts to feed it.

    Args:
        run: what is shown, and what the controls act on.
        show: the panels, see `snnlab.live.frames.status.PANELS`.
        hz: pictures per second.

    Attributes:
        board: the widget.
        screen: the thread that writes it.
        watcher: the thread that looks at the network; a new one after a restart with another structure.
    """

    def __init__(self, run: Run, *, show: tuple[str, ...], hz: float):
        self._run, self._show = run, show
        self._deeds, self._chosen, self._undo = self._make_deeds(), Chosen(hz), Undo()
        self._paper = paper_of(run.trainer.data)
        self._twins: dict[str, KnobRow] = {}
        self._switching = QuickSwitching()
        self._switching.begin()
        self._panels: list[tuple[Cockpit, Screen]] = []
        self._traveller, self._travelling = Traveller(self._travel, self._wake_screens), False
        self.board = Cockpit(self._about(), self._deeds, self._chosen, self.wake)
        self.screen = Screen(self.board, self.view, self._twins)
        self.screen.on_answer = run.courtesy.answer
        self.watcher = self._watcher_of(run.trainer)
        self.watcher.open()
        self.screen.show()  # no page sees a board of which nothing is known yet
        self.screen.open()

    @property
    def finding(self) -> Diagnosis | None:
        """What ended the run, or what is wrong with the network as the newest checkup found it; None if nothing is."""
        return diverged(self._run.exception) or self.watcher.finding

    def view(self) -> View:
        """The run and its network as they are now."""
        watcher, times = self.watcher, times_of(self._run)
        status = status_of(self._run)
        return View(
            status,
            self.finding,
            watcher.look,
            watcher.health,
            watcher.error,
            watcher.inspected,
            self._undo.next,
            times,
            self._traveller.going,
        )

    def wake(self) -> None:
        """Have a look and a picture now; of a moment that the run is being taken to, a picture with the look."""
        self.watcher.awake.set()
        if not (self._travelling and "raster" in self._show):
            self._wake_screens()

    def _wake_screens(self) -> None:
        for screen in self._screens():
            screen.rhythm.ask()

    def _wake_for_move(self) -> None:
        """Have a look now; the picture waits for it, because two of them take twice as long to reach the page."""
        self.watcher.awake.set()
        if "raster" not in self._show:
            self.wake()
            return
        self._run.courtesy.ask()

    def watch(self, trainer: Trainer) -> None:
        """Look at another trainer."""
        self.watcher.close()
        self.watcher = self._watcher_of(trainer)
        self.watcher.open()

    def close(self) -> None:
        """End the threads and free the widgets."""
        self._switching.end()
        self._traveller.close()
        self.watcher.close()
        self.screen.close()
        for board in [*(board for board, _ in self._panels), self.board]:
            board.close()
        for twin in self._twins.values():
            twin.close()

    def panel(self, name: str) -> Cockpit:
        """Make a widget that shows one part of the screen.

        Raises:
            ArgumentError: if there is no such part.
        """
        arguments.choice("name", name, PARTS)
        board = Cockpit(self._about() | {"only": name}, self._deeds, self._chosen, self.wake)
        screen = Screen(board, self.view)
        self._panels.append((board, screen))
        board.on_close = lambda: self._drop(board)
        screen.show()
        screen.open()
        return board

    def _drop(self, closed: Cockpit) -> None:
        """End the thread of a panel whose widget is closed."""
        for board, screen in self._panels:
            if board is closed:
                screen.close()
        self._panels = [pair for pair in self._panels if pair[0] is not closed]

    def twin(self, name: str) -> Widget:
        """Make a slider, or return the one that was made before, of a knob, by its full name."""
        if name not in self._twins:
            knob = self._run.trainer.mailbox.knobs[name]
            self._twins[name] = KnobRow(knob, self._posted)
        return self._twins[name].root

    def _posted(self, name: str, value: float) -> bool:
        return self.board.do(lambda: self._move(name, value))

    def _move(self, name: str, value: float) -> None:
        old = self._run.trainer.mailbox.knobs[name].value if name in self._run.trainer.mailbox.knobs else value
        self._run.set({name: value})
        self._undo.note(name, old, value)

    def _set(self, values: Mapping[str, float]) -> None:
        """Move knobs, those that differ; each move can be undone."""
        knobs = self._run.trainer.mailbox.knobs
        moves = dict(self._run.trainer.mailbox.check(name, value) for name, value in values.items())
        changed = {
            name: value for name, value in moves.items() if numbers.rounded(knobs[name].value) != numbers.rounded(value)
        }
        self._run.set(changed)
        for name, value in changed.items():
            self._undo.note(name, knobs[name].value, value)

    @property
    def setup(self) -> dict[str, Any]:
        """The knobs and how the screen looks, as JSON."""
        self.screen.show()
        return self.board.setup

    def use_setup(self, setup: Any) -> None:
        """Put the knobs where they were and let the screen look as it did; see `Cockpit.use_setup`."""
        self.board.use_setup(setup)
        self.wake()

    def _try_out(self, move: Sequence[Any] | None) -> None:
        """For the guided tour. It trains with no value that it shows, so there is nothing to undo or to put back."""
        mailbox = self._run.trainer.mailbox
        mailbox.stop_trying() if move is None else mailbox.try_out(*move)

    def _again(self, step: tuple[str, float] | None) -> None:
        if step is not None:
            self._run.set(dict([step]))

    def _screens(self) -> list[Screen]:
        return [self.screen, *(screen for _, screen in self._panels)]

    def _seen(self, awaited: bool) -> float:
        """Show what the watcher saw: in turn, or at once if somebody waits for it; returns the seconds until then."""
        if not awaited:
            return max(screen.rhythm.take_turn() for screen in self._screens())
        look = self.watcher.look
        for screen in self._screens():
            if look is not None and (look.preview or look.probe.drawn or self._run.timeline.behind):
                screen.hurry()
            else:
                screen.rhythm.ask()
        return 0.0

    def _watcher_of(self, trainer: Trainer) -> Watcher:
        return Watcher(
            trainer,
            self._chosen,
            on_look=self._seen,
            probing="raster" in self._show,
            checking="health" in self._show,
            paper=self._paper,
            elsewhere=lambda: shown_branch(self._run) != self._run.timeline.here,
        )

    def _about(self) -> dict[str, Any]:
        run = self._run
        given = {"structure": run.structure, "folder": str(run.folder), "show": self._show, "paper": self._paper}
        return about_of(run.trainer, **given)

    def _make_deeds(self) -> Deeds:
        run = self._run
        press: dict[str, Callable[[], object]] = {
            "transport": self._transport,
            "step": run.step,
            "chunk": lambda: run.step(None),
            "stop": run.stop,
            "reset": run.reset,
            "new_seed": lambda: run.reset(seed=run.trainer.config.seed + 1),
            "repair": run.repair,
            "undo": lambda: self._again(self._undo.back()),
            "redo": lambda: self._again(self._undo.forth()),
            "go_on": run.start,
            "now": self._go_to_now,
        }
        return Deeds(
            move=self._move,
            try_out=self._try_out,
            moved=self._wake_for_move,
            set=self._set,
            press=press,
            pace=self._set_pace,
            restart=lambda values: run.reset(**values),
            export=self._export,
            note=run.note,
            time={
                "glance": self._glance,
                "rewind": self._rewind,
                "switch": self._switch,
                "run_both": self._run_both,
                "budget": self._set_budget,
            },
        )

    # ---- the time machine; what a page asks for is checked here, and done by the traveller ----

    def _travel(self, act: Callable[[], object]) -> None:
        self._travelling = True
        try:
            self.board.do(act, self._wake_for_move)
        finally:
            self._travelling = False

    def _glance(self, step: Any) -> None:
        step = self._reached(step)
        self._traveller.wish("", lambda: self._run.glance(step))

    def _rewind(self, step: Any) -> None:
        step = self._reached(step)
        self._traveller.wish(f"going back to step {step:,} \u2026", lambda: self._run.rewind(step=step))

    def _reached(self, step: Any) -> int:
        timeline = self._run.timeline
        end = max(len(self._run.trainer.history), timeline.branches[timeline.here].tip.steps)
        return arguments.count("step", step, 0, end)

    def _go_to_now(self) -> None:
        self._switch(shown_branch(self._run))

    def _switch(self, name: Any) -> None:
        arguments.choice("branch", name, tuple(self._run.timeline.branches))
        if name == shown_branch(self._run) and not self._run.timeline.behind:
            return  # it is there, and may train
        self._traveller.wish(f"going to branch {name} \u2026", lambda: self._run.switch(name))

    def _run_both(self, names: Any) -> None:
        if not isinstance(names, list) or not names:
            raise ArgumentError(f"branches: must be names of branches, got {names!r:.100}")
        for name in names:
            arguments.choice("branches", name, tuple(self._run.timeline.branches))
        self._traveller.wish("", lambda: self._run.run_branches(*names))

    def _set_budget(self, size: Any) -> None:
        self._run.timeline.budget = size

    def _set_pace(self, steps: float | None) -> None:
        self._run.pace = steps

    def _transport(self) -> None:
        run = self._run
        if run.transport is Transport.PAUSE:
            run.pause()
        elif run.transport is Transport.RESUME:
            run.resume()
        else:
            run.start()  # refuses with a reason if all epochs are trained

    def _export(self, folder: str, *, page: bool = False) -> None:
        """Export into the given folder or one inside it: a visitor of the page need not own the machine."""
        place = inside(folder, self._run.folder)
        self.board.say(f"exported {self._run.exhibit_into(place) if page else self._run.export_into(place)}")


def times_of(run: Run) -> Times:
    """The branches of a run, and where it is in them. Of branches that are trained in turn, the first is shown."""
    timeline, trainer, in_turn = run.timeline, run.trainer, _in_turn(run)
    here, branches = shown_branch(run), timeline.branches
    step, behind = branches[here].tip.steps if in_turn else len(trainer.history), timeline.behind and not in_turn
    numbers_of = {name: number for number, name in enumerate(branches)}
    lanes = [
        Lane(
            name=branch.name,
            number=numbers_of[branch.name],
            parent=branch.parent,
            start=branch.start,
            steps=max(branch.tip.steps, step) if branch.name == here else branch.tip.steps,
            epochs=branch.tip.epochs,
            history=branch.history,
            own_moves=branch.own_moves if branch.parent else {},
        )
        for _, branch in branches.rows()
    ]
    return Times(
        lanes=tuple(lanes),
        here=here,
        step=step,
        steps_per_epoch=trainer.steps_per_epoch,
        total_steps=trainer.total_steps,
        kept=tuple(point.steps for point in timeline.points),
        behind=behind,
        goes_on=not run.state.alive and not trainer.done and (behind or bool(trainer.mailbox.posted)),
        in_turn=in_turn,
        bytes=timeline.bytes,
        budget=timeline.budget,
        least=timeline.least(trainer),
    )


def shown_branch(run: Run) -> str:
    """Name of the branch that is shown: where the run is; of branches that are trained in turn, always the first."""
    return next(iter(_in_turn(run)), run.timeline.here)


def _in_turn(run: Run) -> tuple[str, ...]:
    """Names of the branches that are trained in turn."""
    return tuple(name for name in run.in_turn if name in run.timeline.branches)


def status_of(run: Run) -> Status:
    """Where the run stands, on the branch that is shown.

    Of branches that are trained in turn it is told from the tip: the trainer may be taken to another one at any moment.
    """
    in_turn, status = _in_turn(run), run.status
    if not in_turn:
        return status
    tip = run.timeline.branches[shown_branch(run)].tip
    knobs = {knob.name: knob for knob in run.trainer.knobs_of(tip.state)}
    settings = {**status.recorded.settings, **{name: knob.value for name, knob in knobs.items()}}
    return replace(status, knobs=knobs, recorded=Recorded(tip.history, status.recorded.steps_per_epoch, settings))


def about_of(trainer: Trainer, **given: Any) -> dict[str, Any]:
    """Describe the fixed part of the screen of a trainer; `given` is what it does not know, see `about_frame`."""
    described = describe(trainer.model)
    return about_frame(
        trainer.mailbox.knobs,
        order=list(described.layers),
        layers=described.hidden,
        terms=term_names(trainer.metric_names),
        metrics=metric_names(trainer.metric_names),
        scored=trainer.scored,
        task=trainer.data.task,
        devices=trainer.devices.count,
        spiking="spikes_per_sample" in trainer.metric_names,
        samples=len(trainer.data.seen.x),
        classes=output_names(trainer.data.class_names, trainer.data.num_outputs),
        **given,
    )
