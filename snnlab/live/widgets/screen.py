"""A run on its board: each part is sent if what it depends on has changed."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from snnlab.history import History
from snnlab.live.frames import compared, curves, scenes
from snnlab.live.frames.backward import backward_frame
from snnlab.live.frames.branches import branches_frame, ghosts_frame, ghosts_key
from snnlab.live.frames.probe import Look
from snnlab.live.frames.running import Said, results_frame, run_frame
from snnlab.live.frames.status import View
from snnlab.live.frames.voltages import voltages_frame
from snnlab.live.states import RunState
from snnlab.live.widgets.cockpit import Cockpit
from snnlab.live.widgets.pump import Pump
from snnlab.live.widgets.twins import KnobRow

CURVES_EVERY = 2  # pictures; redrawing the curves costs a browser most
EPOCHS = 50  # newest ones in the table of results


class _Urgent(NamedTuple):
    """What shows in the curves at once, also while it trains."""

    moves: int
    notes: int
    window: str


class _Drawn(NamedTuple):
    """What the curves depend on."""

    history: History
    earlier: int
    steps: int
    epochs: int
    urgent: _Urgent


class _Raster(NamedTuple):
    """What the raster depends on."""

    look: Look
    layer: str
    sort: str
    selected: tuple[str, int] | None


class Screen(Pump):
    """Shows a run.

    Args:
        board: where it is shown.
        view: returns what is shown.
        twins: knobs that are shown elsewhere, too, by their full names; there may become more.
    """

    def __init__(self, board: Cockpit, view: Callable[[], View], twins: Mapping[str, KnobRow] = MappingProxyType({})):
        super().__init__(board, lambda: 1.0 / board.chosen.hz, "snnlab-pump")
        self._board, self._view, self._twins = board, view, twins
        self._shown: dict[str, Any] = {}  # by trait: what it depends on, or its value
        self._curves_at = 0.0

    def show(self) -> None:
        """Send one picture, if anything changed since the last one. Any thread may call it."""
        board = self._board
        with self._showing:
            view = self._view()
            for name, row in list(self._twins.items()):
                row.follow(view.status.knobs[name].value)
            with board.hold_sync():  # one message
                shown = [self._show_look(), self._show_run(view), self._show_results(view)]
                shown += self._show_curves_and_times(view)
                shown += [self._show_earlier(view), self._show_health(view), self._show_sample(view.look)]
                shown.append(self._show_tab(view))
                if any([*shown, self._greet()]):
                    board.beat()

    def _say(self, said: Said) -> None:
        self._board.run = self._board.run | {"said": said._asdict()}
        self._shown = {}

    def _greet(self) -> bool:
        """Send everything to a page that has just been opened; returns whether there is one."""
        greets = self._greets()
        if greets:
            self._board.send_everything()
        return greets

    def _is_new(self, trait: str, key: Any) -> bool:
        """Note what a trait depends on; returns whether that has changed."""
        if trait in self._shown and self._shown[trait] == key:
            return False
        self._shown[trait] = key
        return True

    def _show_run(self, view: View) -> bool:
        board = self._board
        frame = run_frame(view, board.message, board.chosen.fields()) | {"heard": board.heard}
        if not self._is_new("run", frame):
            return False
        board.run = frame
        return True

    def _show_look(self) -> bool:
        """Give the page the looks that a setup asks for; otherwise they are its own choice."""
        wanted, self._board.wanted_ui = self._board.wanted_ui, None
        if wanted is None:
            return False
        self._board.ui = wanted
        return True

    def _show_results(self, view: View) -> bool:
        history = view.status.recorded.history
        if not self._is_new("results", (history, history.num_epochs, history.num_notes)):
            return False
        self._board.results = results_frame(history.newest_epochs(EPOCHS), history.num_epochs, history.notes)
        return True

    def _show_curves(self, view: View) -> bool:
        board, status = self._board, view.status
        if "curves" not in board.about["show"]:
            return False
        history = status.recorded.history
        urgent = _Urgent(history.num_moves, history.num_notes, board.chosen.window)
        new = _Drawn(history, len(status.earlier), len(history), history.num_epochs, urgent)
        old = self._shown.get("curves")
        hurry = status.state is not RunState.TRAINING or (old is not None and urgent != old.urgent)
        if new == old or not (hurry or time.monotonic() > self._curves_at):
            return False
        self._shown["curves"], self._curves_at = new, time.monotonic() + (CURVES_EVERY - 0.5) / board.chosen.hz
        history, per_epoch, _ = status.recorded
        names = compared.names(status.earlier, status.recorded, compared.GHOSTS)[::-1]
        whole = None if view.times is None else view.times.lane.history
        board.curves = curves.curves_frame(history, per_epoch, status.total_steps, board.chosen.window, names, whole)
        return True

    def _show_curves_and_times(self, view: View) -> list[bool]:
        """Show where the run is together with curves that go as far: both are drawn over one axis."""
        drawn, shown = "curves" in self._board.about["show"], [self._show_curves(view)]
        if not drawn or shown[0] or view.status.state is not RunState.TRAINING:
            shown.append(self._show_times(view))
        if drawn and len(shown) > 1:
            shown.append(self._show_ghosts(view))
        return shown

    def _show_times(self, view: View) -> bool:
        if view.times is None or not self._is_new("times", view.times):
            return False
        self._board.times = branches_frame(view.times)
        return True

    def _show_ghosts(self, view: View) -> bool:
        if view.times is None or not self._is_new("ghosts", ghosts_key(view.times)):
            return False
        self._board.ghosts = ghosts_frame(view.times)
        return True

    def _show_earlier(self, view: View) -> bool:
        earlier = view.status.earlier[-compared.GHOSTS :]
        if "curves" not in self._board.about["show"] or not self._is_new("earlier", earlier):
            return False
        self._board.earlier = curves.earlier_frame([curves.curves(run.history, run.steps_per_epoch) for run in earlier])
        return True

    def _show_health(self, view: View) -> bool:
        if "health" not in self._board.about["show"] or view.health is None or view.health is self._shown.get("health"):
            return False
        self._shown["health"] = view.health  # of one step there may be two: the run goes back, and stands there again
        self._board.health = scenes.health_frame(view.health) | {"backward": backward_frame(view.health)}
        return True

    def _show_tab(self, view: View) -> bool:
        if view.inspected is self._shown.get("tab"):
            return False
        self._shown["tab"] = view.inspected
        self._board.tab = dict(view.inspected)
        return True

    def _show_sample(self, look: Look | None) -> bool:
        """Show the sample as the watcher saw it last, and the neuron that is selected in it."""
        board = self._board
        if look is None:
            return False
        selected = board.chosen.selected
        if selected is not None and selected[1] >= look.probe.states[selected[0]].shape[1]:
            selected = None  # of a wider network, before a restart
        key = _Raster(look, board.chosen.layer, board.chosen.sort, selected)
        if not self._is_new("frame", key):
            return False
        probe, names = look.probe, look.class_names
        neuron = None if selected is None else _neuron(look, *selected)
        frame = scenes.raster_frame(probe, names, key.layer, key.sort, neuron)
        more = {"preview": look.preview, "voltages": _voltages(look, selected)}
        scene = scenes.raster_scene(probe, names, look.dt, key.layer) | {"drawing": look.drawing}
        board.show_sample(scene, frame | more)
        return True


def _neuron(look: Look, layer: str, unit: int) -> dict[str, Any]:
    known = look.spiking(layer)
    return scenes.neuron_frame(look.probe, look.neuron(layer, unit), look.class_names, look.dt, known)


def _voltages(look: Look, selected: tuple[str, int] | None) -> dict[str, Any]:
    """Where the voltages of the selected layer lie; of the first one, if none is selected."""
    probe = look.probe
    layers = list(probe.states)
    if not layers:
        return {"reason": "the model does not show its layers, as a Network does"}
    layer = layers[0] if selected is None else selected[0]
    frame = voltages_frame(probe.states[layer], probe.rasters.get(layer), look.spiking(layer))
    return frame | {"layer": layer, "spikes": layer in probe.rasters}
