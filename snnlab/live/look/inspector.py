"""Looks at what a tab shows, while it is seen, and keeps what is shown over the run.

Some of it costs seconds (the whole test set). So each look has a budget: after one that took `t` seconds the next comes
after `t / share`, with a larger share for what somebody watches.
"""

import copy
import time
from collections.abc import Callable
from typing import Any, cast
from weakref import WeakKeyDictionary

from flax import nnx

from snnlab.history import History
from snnlab.live.frames import mistakes
from snnlab.live.frames.activity import activity_frame, decisions_frame
from snnlab.live.frames.chosen import Chosen
from snnlab.live.frames.energy import energy_frame
from snnlab.live.frames.errors import Review, Reviews, cell_frame, confusion_frame
from snnlab.live.frames.firing import current_frame, intervals_frame
from snnlab.live.frames.targets import output_names
from snnlab.live.frames.weights import Fields, WeightLog, fields_frame
from snnlab.live.look.energy import Meter
from snnlab.live.look.reviewer import AnyReview, Reviewer
from snnlab.live.look.weights import fields, weights
from snnlab.live.look.xray import XRay, cell
from snnlab.models import describe
from snnlab.train import Trainer

WATCHED, UNWATCHED = 0.05, 0.005  # share of the time that looks may take
SOONEST = 0.5  # seconds between two looks at the same thing

Frame = dict[str, Any]


class Budget:
    """Says when something may be done again, by how long it took.

    Args:
        clock: returns the time [s].

    Example:
        >>> now = 0.0
        >>> budget = Budget(clock=lambda: now)
        >>> budget.may("review", share=0.1), budget.may("review", share=0.1)
        (True, True)
        >>> budget.took("review", 0.2)
        >>> budget.may("review", share=0.1)
        False
        >>> now = 2.0
        >>> budget.may("review", share=0.1), budget.may("review", share=0.01)
        (True, False)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._last: dict[str, tuple[float, float]] = {}  # when it ended, and how long it took

    def may(self, name: str, share: float) -> bool:
        """Whether it may be done now, if all of it may take this share of the time."""
        ended, took = self._last.get(name, (-1e9, 0.0))
        return self._clock() - ended >= max(took / share, SOONEST)

    def took(self, name: str, seconds: float) -> None:
        """Note that it was done."""
        self._last[name] = self._clock(), seconds


class _Noted:
    """What is noted over a run."""

    def __init__(self, reviews: Reviews | None):
        self.reviews, self.weights = reviews, WeightLog()


class Inspector:
    """Looks at a trainer for the tabs "Look inside", "Errors", "Weights" and "Health".

    Args:
        trainer: only read.

    Attributes:
        frame: what the tab shows, with its "tab"; empty at first.
    """

    def __init__(self, trainer: Trainer):
        self._trainer = trainer
        self._budget = Budget()
        self._makers: dict[str, Callable[[Chosen], Frame]] = {
            "Look inside": self._inside,
            "Health": self._health,
            "Errors": self._errors,
            "Weights": self._weights,
        }
        self._tools: dict[type, Any] = {}
        self.frame: Frame = {}
        self._key: tuple | None = None
        self._known: WeakKeyDictionary[History, _Noted] = WeakKeyDictionary()
        self._begin(None)

    def _begin(self, before: _Noted | None) -> None:
        """Begin with a history: with what was noted on it, or `before`, on the one that it continues."""
        self._history = history = self._trainer.history
        if history not in self._known:
            names = self._trainer.data.class_names
            fresh = _Noted(Reviews(names) if names else None)
            self._known[history] = copy.deepcopy(before) if before is not None and history.inherited else fresh
        self._over = self._known[history]
        self._review: AnyReview | None = None  # the newest one
        self._axes: dict[str, Any] = {}
        self._noted = -1

    def look(self, chosen: Chosen) -> bool:
        """Look at what the tab shows, if it is time; returns whether `frame` is new."""
        trainer = self._trainer
        if trainer.history is not self._history:
            self._begin(self._over)  # after a reset, or in another branch
        self._note()
        maker = self._makers.get(chosen.tab)
        key = (trainer.history, len(trainer.history), chosen.of_tab())
        asked = self._key is None or key[2] != self._key[2]  # somebody waits for the answer
        if maker is None or key == self._key or not (asked or self._budget.may(chosen.tab, WATCHED)):
            return False
        self.frame = {"tab": chosen.tab, **self._timed(chosen.tab, lambda: maker(chosen))}
        self._key = key
        return True

    def _timed(self, name: str, look: Callable[[], Any]) -> Any:
        started = time.monotonic()
        result = look()
        self._budget.took(name, time.monotonic() - started)
        return result

    def _tool(self, kind: type) -> Any:
        """Make what looks once; it compiles when it is first used."""
        if kind not in self._tools:
            self._tools[kind] = kind(self._trainer.stepper, self._trainer.data)
        return self._tools[kind]

    def _note(self) -> None:
        """Keep the weights, and at the end of an epoch a review, if the budget allows it."""
        trainer, steps = self._trainer, len(self._trainer.history)
        if steps != self._noted and self._budget.may("log", UNWATCHED):
            self._timed("log", lambda: self._over.weights.append(steps, weights(trainer.snapshot())))
            self._noted = steps
        epochs = trainer.history.num_epochs
        newest = -1 if self._review is None else self._review.step
        if newest < epochs * trainer.steps_per_epoch and epochs and self._budget.may("review", UNWATCHED):
            self._timed("review", self._review_now)

    def _review_now(self) -> AnyReview:
        state, review = self._trainer.state, self._review
        if review is None or review.step != int(state.step):
            review = cast(AnyReview, self._tool(Reviewer)(state))
            self._review = review
            if self._over.reviews is not None and isinstance(review, Review | mistakes.SeveralReview):
                self._over.reviews.append(review)
        return review

    # ---- the tabs ----

    def _errors(self, chosen: Chosen) -> Frame:
        data = self._trainer.data
        names, cell = output_names(data.class_names, data.num_outputs), chosen.cell
        review = self._timed("review", self._review_now)
        found: Frame = {} if self._over.reviews is None else {"classes": self._over.reviews.frame()}
        if isinstance(review, Review):
            found["confusion"] = confusion_frame(review, names)
            if cell is not None:
                listed = cell_frame if data.task == "label" else mistakes.step_cell_frame
                found["cell"] = listed(review, names, *cell, data.image)
            if data.task == "label":
                found["decisions"] = decisions_frame(self._tool(XRay)(self._trainer.state))
        elif isinstance(review, mistakes.SeveralReview):
            found["several"] = mistakes.several_frame(review, names)
            if cell is not None:
                found["cell"] = mistakes.several_cell_frame(review, names, *cell, data.image)
        elif isinstance(review, mistakes.NumbersReview):
            found["numbers"] = mistakes.numbers_frame(review, names, 0 if cell is None else cell[0])
            found["cell"] = mistakes.worst_frame(review, data.image)
        else:
            found |= {"trains": mistakes.trains_frame(review), "cell": mistakes.worst_frame(review, data.image)}
        return found

    def _weights(self, chosen: Chosen) -> Frame:
        trainer = self._trainer
        model = trainer.snapshot()
        steps = len(trainer.history)
        self._over.weights.append(steps, weights(model))
        layers = list(describe(model).layers)
        names = self._over.weights.names
        if not names or not layers:
            return {"reason": "the model does not show its layers, as a Network does"}
        layer = chosen.weights_layer if chosen.weights_layer in layers else layers[0]
        name = next((name for name in names if name.startswith(f"{layer}.")), names[0])
        sheet = fields_frame(self._fields(model, layer), chosen.weights_sort)
        return {"layers": layers, "layer": layer, "log": self._over.weights.frame(name), "fields": sheet}

    def _fields(self, model: nnx.Module, layer: str) -> Fields | None:
        data = self._trainer.data
        return fields(model, layer, data.sample_shape, events=data.has_events)

    def _inside(self, chosen: Chosen) -> Frame:
        trainer, xray = self._trainer, self._tool(XRay)
        seen = xray(trainer.state)
        layers = list(seen.activity)
        if not layers:
            return {"reason": "the model does not show its layers, as a Network does"}
        layer = chosen.selected[0] if chosen.selected and chosen.selected[0] in layers else layers[0]
        plane, self._axes[layer] = activity_frame(seen, layer, trainer.data.class_names, self._axes.get(layer))
        found: Frame = {"layer": layer, "plane": plane}
        if chosen.selected is None or chosen.selected[1] >= seen.activity[layer].shape[1]:
            return found
        train = xray.train(trainer.state, *chosen.selected)
        if train is None:
            return found
        one = cell(trainer.snapshot(), *chosen.selected)
        return found | {
            "selected": list(chosen.selected),
            "current": current_frame(one, train.current),
            "intervals": intervals_frame(train.spikes, seen.dt),
        }

    def _health(self, chosen: Chosen) -> Frame:
        return {"energy": energy_frame(self._tool(Meter)(self._trainer.state))}
