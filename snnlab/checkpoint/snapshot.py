"""A point of a run as arrays and JSON: all that a trainer needs to continue from there bit for bit.

A snapshot holds parameters, live values, optimizer, step and random key, of the point and of the origin; the history
with every move of a knob; and the moves that are planned or on their way. The order of the data depends on seed and
epoch alone, so the number of steps also gives the position in the data.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab.controls import EPOCHS, LEARNING_RATE
from snnlab.data.source import Place
from snnlab.errors import ArgumentError, FileFormatError, SnnlabError
from snnlab.history import History, term_names
from snnlab.history.history import METRIC, TERM
from snnlab.models import describe
from snnlab.support import arguments
from snnlab.support.keys import is_key, without_key
from snnlab.support.transfers import transfers_allowed
from snnlab.timeline import Branch, Timeline
from snnlab.train import Trainer
from snnlab.train.optimizer import length_of
from snnlab.train.point import Point
from snnlab.variables import check_values, plain

FORMAT = 1

_FACTS = ("format", "identity", "epochs", "interventions", "planned", "posted", "seconds", LEARNING_RATE, "note")
NO_RUN = "this checkpoint does not hold a run of snnlab"


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A point of a run, ready to be written.

    Args:
        arrays: `state/...` and `start/...` by the path in `snnlab.train.step.State`, `history/...` by metric;
            `used/...` by the epoch in whose middle the run stands: CRCs of the batches that it has used, see
            `snnlab.train.streamed`.
        facts: the rest, as JSON: "format"; "identity", see `identity`; "epochs", "interventions", "notes", "planned",
            "posted", "seconds"; "learning_rate", "network", "data", "knobs", see `about`; "note", of the caller.

    Example:
        >>> from snnlab import data, models
        >>> digits = data.load("digits").subset(train=256, test=64)
        >>> def make():
        ...     net = models.build(models.LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        ...     return Trainer(net, digits, epochs=2, batch_size=64)
        >>> first, second = make(), make()
        >>> _ = first.fit(until=3)
        >>> put_back(second, take(first, first.at))
        >>> len(second.history), jax.tree.all(jax.tree.map(jnp.array_equal, first.state, second.state))
        (3, True)
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of arrays and facts."""
        digest = hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode())
        for name, array in sorted(self.arrays.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).view(np.uint8).data)
        return digest.hexdigest()


def take(
    trainer: Trainer,
    point: Point,
    note: Any = None,
    timeline: Timeline | None = None,
    *,
    told: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Return a point of a trainer's run as arrays and JSON. No array is copied.

    Args:
        trainer: of the run; says what the run is of.
        point: such as `trainer.at`.
        note: kept with it, as JSON.
        timeline: of the trainer; the tips of its branches are kept, too.
        told: what `about` returns of the run, if the point is of another run of the same structure.
    """
    facts = {"format": FORMAT, **(about(trainer) if told is None else told), **_facts_of(point), "note": note}
    arrays = _arrays_of(point) | {f"start/{name}": without_key(leaf) for name, leaf in _leaves(point.origin)}
    tips = [point]
    if timeline is not None:
        tips += [branch.tip for branch in timeline.branches.values()]
        facts["here"], facts["branches"] = timeline.here, []
        for number, branch in enumerate(timeline.branches.values()):
            shown = branch.tip.history is point.history  # the point is on this branch, at its tip
            facts["branches"].append(
                {"name": branch.name, "parent": branch.parent, "start": branch.start, "here": shown}
            )
            if not shown:
                facts["branches"][-1] |= _facts_of(branch.tip)
                arrays |= {f"branch {number}/{name}": array for name, array in _arrays_of(branch.tip).items()}
    facts |= _places(trainer, tips)
    return Snapshot(arrays | _used(trainer, tips), json.loads(json.dumps(facts)))


def _used(trainer: Trainer, tips: Iterable[Point]) -> dict[str, np.ndarray]:
    """What is known of the batches of the epochs in whose middle a tip stands, to continue with the same ones."""
    found: dict[str, np.ndarray] = {}
    for tip in tips:
        epoch, position = divmod(tip.steps, trainer.steps_per_epoch)
        used = trainer.runner.feed.used.get((trainer.config.seed, epoch + 1))
        if position and used is not None and position > len(found.get(f"used/{epoch + 1}", ())):
            found[f"used/{epoch + 1}"] = used[:position].copy()  # they are noted while this is written
    return found


def _places(trainer: Trainer, tips: Iterable[Point]) -> dict[str, Any]:
    """Where the reading of the same epochs stands, if it is at a tip and the data can say it."""
    found = {}
    for tip in tips:
        epoch, position = divmod(tip.steps, trainer.steps_per_epoch)
        place = trainer.runner.feed.places.get((trainer.config.seed, epoch + 1))
        if place is not None and place.number == position - 1:
            found[str(epoch + 1)] = [place.number, place.state]
    return {"places": found} if found else {}


def _facts_of(point: Point) -> dict[str, Any]:
    past = point.past
    recorded = {"epochs": past.epochs, "interventions": past.interventions, "notes": past.notes}
    return recorded | {"planned": point.planned, "posted": dict(point.posted), "seconds": point.seconds}


def _arrays_of(point: Point) -> dict[str, np.ndarray]:
    arrays = {f"history/{name}": column for name, column in point.past.steps().items()}
    return arrays | {f"state/{name}": without_key(leaf) for name, leaf in _leaves(point.state)}


@transfers_allowed()
def put_back(trainer: Trainer, snapshot: Snapshot) -> None:
    """Put a trainer where the run of a snapshot was; model, data and settings must be the same.

    A different learning rate counts as a move of that knob, so a run that diverged can continue with a lower one. With
    more epochs the run continues to these, see `Trainer.epochs`.

    Raises:
        ArgumentError: if model, data or settings differ; the message says how.
        FileFormatError: if another version of snnlab wrote the snapshot in a format that this one cannot read, or if
            it holds something else than a run.
    """
    facts = check(snapshot)
    point = point_of(trainer, snapshot)
    try:
        used = {_epoch(name): _crcs(array) for name, array in part(snapshot.arrays, "used/").items()}
        places = {_epoch(name): _place(*place) for name, place in facts.get("places", {}).items()}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, SnnlabError) as error:
        raise FileFormatError(f"{NO_RUN} ({type(error).__name__}: {str(error)[:200]})") from error
    trainer.at = point
    feed, seed = trainer.runner.feed, trainer.config.seed
    feed.used.update({(seed, epoch): crcs for epoch, crcs in used.items()})
    feed.places.update({(seed, epoch): place for epoch, place in places.items()})
    rate = trainer.config.learning_rate
    if rate is not None and rate != facts[LEARNING_RATE]:  # another one is a move of its knob
        trainer.set({LEARNING_RATE: rate})


def point_of(trainer: Trainer, snapshot: Snapshot, own: Mapping[str, Any] | None = None) -> Point:
    """Return the point of a snapshot.

    Args:
        trainer: of the run, or of another one of the same structure.
        snapshot: of the run.
        own: what `identity` returns of the run, if it is not that of the trainer.

    Raises:
        ArgumentError, FileFormatError: as `put_back` does.
    """
    then, now = check(snapshot)["identity"], dict(identity(trainer) if own is None else own)
    epochs = epochs_of(snapshot)
    now["settings"] = now["settings"] | {EPOCHS: epochs}
    differing = [name for name in now if then.get(name) != now[name]]
    if differing:
        parts = "; ".join(f"{name} {_differences(then.get(name), now[name])}" for name in differing)
        raise ArgumentError(f"the saved run is another one: {parts}. Use another folder, or what the saved run used")
    if epochs > trainer.epochs:
        raise ArgumentError(f"epochs: must be at least the {epochs} of the saved run, got {trainer.epochs}")
    try:
        return _point(trainer, snapshot)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, SnnlabError) as error:
        raise FileFormatError(f"{NO_RUN} ({type(error).__name__}: {str(error)[:200]})") from error


def epochs_of(snapshot: Snapshot) -> int:
    """Return the number of epochs that the run of a snapshot was to have; 0 if it does not say so."""
    settings = snapshot.facts["identity"].get("settings")
    epochs = settings.get(EPOCHS) if isinstance(settings, dict) else None
    return epochs if isinstance(epochs, int) else 0


def check(snapshot: Snapshot) -> dict[str, Any]:
    """Return the facts of a snapshot.

    Raises:
        FileFormatError: if this version of snnlab cannot read them, or if they are not what `take` returns.
    """
    facts = snapshot.facts if isinstance(snapshot.facts, dict) else {}
    if facts.get("format", FORMAT) != FORMAT:
        raise FileFormatError(
            f"this checkpoint has format {facts['format']}, this version of snnlab reads format {FORMAT}; "
            "upgrade snnlab to open it"
        )
    missing = [name for name in _FACTS if name not in facts]
    if missing or not isinstance(facts["identity"], dict):
        raise FileFormatError(f"{NO_RUN} (it lacks {', '.join(missing) or 'an identity'})")
    return facts


def put_back_branches(timeline: Timeline, snapshot: Snapshot) -> None:
    """Put the branches of a snapshot back; the trainer was put back before.

    Raises:
        FileFormatError: if they are none.
    """
    facts, trainer = snapshot.facts, timeline.trainer
    try:
        branches = []
        for number, row in enumerate(facts["branches"]):
            name, parent = arguments.name("branch", row["name"]), row["parent"]
            tip = trainer.at if row["here"] else _read_point(trainer, row, part(snapshot.arrays, f"branch {number}/"))
            start = arguments.count("start", row["start"], 0, tip.steps)
            branches.append(Branch(name, parent, start, tip, trainer))
        timeline.restore(branches, facts["here"])
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError, SnnlabError) as error:
        raise FileFormatError(f"{NO_RUN} ({type(error).__name__}: {str(error)[:200]})") from error


def part(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Those arrays whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _point(trainer: Trainer, snapshot: Snapshot) -> Point:
    """Return the point of a snapshot with the trainer's structure. Raises one of many errors if it is none."""
    facts = snapshot.facts
    if facts[LEARNING_RATE] is not None:  # the optimizer has one of its own
        arguments.number(LEARNING_RATE, facts[LEARNING_RATE], 0.0)
    origin = _fill(trainer.state, "start", snapshot.arrays)
    _check_values("start", trainer.state, origin)
    return replace(_read_point(trainer, facts, snapshot.arrays), origin=origin)


def _epoch(name: str) -> int:
    return arguments.count("epoch", int(name))


def _crcs(array: np.ndarray) -> np.ndarray:
    if array.dtype != np.uint32 or array.ndim != 1:
        raise ValueError(f"CRCs are {array.dtype}{list(array.shape)}")
    return array.copy()


def _place(number, state) -> Place:
    return Place(arguments.count("place", number, 0), arguments.instance("place", state, str, "text"))


def _read_point(trainer: Trainer, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Point:
    """Return a point of the trainer's run, which began where the trainer did."""
    state, steps = _fill(trainer.state, "state", arrays), part(arrays, "history/")
    history = History.read(steps, facts["epochs"], facts["interventions"], facts.get("notes", []))
    count, epochs, box = len(history), history.num_epochs, trainer.mailbox
    if int(state.step) != count or not 0 <= count - epochs * trainer.steps_per_epoch <= trainer.steps_per_epoch:
        raise ValueError(f"the history has {count} steps and {epochs} epochs, the state {int(state.step)} steps")
    _check_history(trainer, history)
    _check_values("state", trainer.state, state)
    if trainer.scheduled:
        arguments.count("length of the schedule", length_of(state.opt_state))
    for knob in trainer.knobs_of(state):
        box.check(knob.name, knob.value)
    planned = [(arguments.count("step", s, count), *box.check(name, value)) for s, name, value in facts["planned"]]
    return Point(
        state=state,
        origin=trainer.origin,
        history=history,
        steps=count,
        epochs=epochs,
        moves=history.num_moves,
        planned=tuple(planned),
        posted=tuple(box.check(name, value) for name, value in facts["posted"].items()),
        seconds=arguments.number("seconds", facts["seconds"], 0.0),
    )


def _check_history(trainer: Trainer, history: History) -> None:
    """Check that a history has the columns of this run, and counts its epochs. Raises a ValueError if not."""
    metrics = {"epoch", *trainer.metric_names}
    results = {*trainer.scored.results, *(TERM + name for name in term_names(trainer.metric_names))}
    found = {name for name in history.results() if not name.startswith(METRIC)}
    for names, known in ((history.steps().keys(), metrics), (found, results)):
        if names and (odd := names ^ known):
            raise ValueError(f"the run has no, or the history lacks the column {min(odd)}")
    count, epochs = len(history), history.num_epochs
    if count and (history.steps()["epoch"] != 1 + np.arange(count) // trainer.steps_per_epoch).any():
        raise ValueError("the history does not count its epochs")
    if [row["epoch"] for row in history.epochs] != list(range(1, epochs + 1)):
        raise ValueError("the epochs are not in order")
    for move in history.interventions:
        arguments.choice("knob", move["knob"], [*trainer.mailbox.knobs, *([EPOCHS] if trainer.scheduled else [])])
        if move["knob"] == EPOCHS:
            arguments.count(EPOCHS, move["new"])
        arguments.count("step", move["step"], 0, count)


def _check_values(part: str, own, filled) -> None:
    """Check every array of a state for its range, see `check_values`."""

    def is_variable(leaf) -> bool:
        return isinstance(leaf, nnx.Variable)

    leaves = jax.tree_util.tree_leaves_with_path(own, is_leaf=is_variable)
    for (path, leaf), found in zip(leaves, jax.tree.leaves(filled, is_leaf=is_variable), strict=True):
        # What an optimizer remembers of a parameter has the metadata of the parameter, but not its range.
        ranged = is_variable(leaf) and path[0] != jax.tree_util.GetAttrKey("opt_state")
        variable = leaf if ranged else nnx.Variable(plain(leaf))
        for value in jax.tree.leaves(plain(found)):  # none where a part of an optimizer leaves a parameter out
            if not is_key(value):
                check_values(part + jax.tree_util.keystr(path), variable, np.asarray(value))


def about(trainer: Trainer) -> dict[str, Any]:
    """Return what a run began with as JSON: identity, learning rate, kind of network, name of the data, knobs."""
    config = describe(trainer.model).config
    return {
        "identity": identity(trainer),
        LEARNING_RATE: trainer.config.learning_rate,
        "network": type(trainer.model if config is None else config).__name__,
        "data": trainer.data.name,
        "knobs": {knob.name: knob.value for knob in trainer.knobs_of(trainer.origin)},
    }


def identity(trainer: Trainer) -> dict[str, Any]:
    """Return model, loss, data and settings of a run as JSON. A snapshot fits every run with the same identity.

    Of your own model only names and shapes are known, and nothing of what your own loss computes.
    """
    config = describe(trainer.model).config
    attributes = getattr(trainer.stepper.system["loss"], "__dict__", {})
    constants = {k: v for k, v in attributes.items() if isinstance(v, str | float | int) and not k.startswith("_")}
    return {
        "model": type(trainer.model).__name__ if config is None else json.loads(json.dumps(asdict(config))),
        "arrays": {name: f"{leaf.dtype}{list(leaf.shape)}" for name, leaf in _leaves(trainer.state)},
        "loss": {"terms": sorted(trainer.metric_names)} | constants,
        "data": trainer.runner.feed.identity,
        "settings": {name: value for name, value in asdict(trainer.config).items() if name != LEARNING_RATE},
    }


def _leaves(state) -> list[tuple[str, jax.Array]]:
    """Return every array of a state with its path."""
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(state)]


def _fill(state, part: str, arrays: Mapping[str, np.ndarray]):
    """Return a state like `state` with other values. Types stay the same, so nothing is compiled again."""

    def fill(name: str, leaf: jax.Array) -> jax.Array:
        value, plain = arrays[f"{part}/{name}"], without_key(leaf)
        if (value.shape, value.dtype) != (plain.shape, plain.dtype):
            raise ValueError(f"{part}/{name} is {value.dtype}{list(value.shape)}")
        if is_key(leaf):
            return jax.random.wrap_key_data(jnp.asarray(value), impl=jax.random.key_impl(leaf))
        return leaf.at[...].set(value) if leaf.weak_type else jnp.asarray(value)

    return jax.tree.unflatten(jax.tree.structure(state), [fill(name, leaf) for name, leaf in _leaves(state)])


def _differences(then: Any, now: Any) -> str:
    """Say which values differ."""
    if not (isinstance(then, dict) and isinstance(now, dict)):
        return f"was {then}, is {now}"
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    words = [f"{name} was {then.get(name, 'not there')}, is {now.get(name, 'not there')}" for name in names[:3]]
    return ", ".join(words) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
