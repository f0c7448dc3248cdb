"""Many networks of one structure in one program, each with the bits that it has alone.

The states of a block of cells are stacked, and one program takes whole chunks of steps of one cell after the other:

    jax.lax.map(chunk, (states, indices, counts))

So a network takes all of its steps while its weights are in the cache; nothing grows with the number of networks but
what they are; one compilation serves all cells. `jax.vmap` would run the kernels in turn as well, with intermediate
results of all networks in between: it is slower, needs memory, and changes the bits.

On several devices each has its share of a block, and on a GPU some networks are computed at once, see
`snnlab.study.blocks`.

Every cell has its own samples, in the order that its seed asks for, and its own number of steps: a place of the block
that is not taken has none, and costs nothing where networks take their turns.
"""

import functools
import json
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Int

from snnlab.checkpoint.snapshot import Snapshot, about, point_of, take
from snnlab.controls import EPOCHS, LEARNING_RATE
from snnlab.data import Dataset
from snnlab.errors import SnnlabError
from snnlab.history import History
from snnlab.history.report import epoch_result
from snnlab.models import build
from snnlab.study.blocks import Blocks
from snnlab.study.plan import Plan, Wanted
from snnlab.study.space import Index
from snnlab.study.work import make_trainer
from snnlab.support.compile_cache import keep_programs
from snnlab.support.keys import is_key, without_key
from snnlab.support.side_by_side import side_by_side
from snnlab.support.transfers import transfers_allowed
from snnlab.train.divergence import is_well
from snnlab.train.evaluation import Evaluation
from snnlab.train.feed import MAX_CHUNK, Loaded
from snnlab.train.knobs import find_knobs
from snnlab.train.optimizer import length_of
from snnlab.train.point import Point
from snnlab.train.step import State, Structure, code_key, compiled
from snnlab.variables import Fixed, Live

CALL_SECONDS = 0.25  # of computing in one call, about: between two calls a study can be stopped

RANGES = ("low", "begin", "high", "kept", "most")
"""Metadata of values that are not learned. A slider asks for them, no program does."""

Kinds = tuple[Hashable, ...]  # of the leaves of a state: None, or how its random keys are made


@dataclass(eq=False)
class Member:
    """One cell of a population, on the host.

    Attributes:
        index: of the cell.
        told: what `checkpoint.snapshot.about` says of its run.
        seed: of the order of its data.
        origin: the state that it began with; random keys are integers.
        state: the state where it is.
        history: of its run.
        seconds: spent on it.
        diverged: whether it is no longer finite; then it is at the end of the last epoch before.
    """

    index: Index
    told: dict[str, Any]
    seed: int
    origin: State
    state: State
    history: History = field(default_factory=History)
    seconds: float = 0.0
    diverged: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Steps and epochs so far."""
        return len(self.history), self.history.num_epochs

    @functools.cached_property
    def num_bytes(self) -> int:
        """What its arrays take, about; training does not change it."""
        return 2 * sum(leaf.nbytes for leaf in jax.tree.leaves(self.state))

    @property
    def point(self) -> Point:
        """Where the run is, as the trainer of this cell alone would say it."""
        history = self.history
        return Point(
            state=self.state,
            origin=self.origin,
            history=history,
            steps=len(history),
            epochs=history.num_epochs,
            moves=history.num_moves,
            seconds=self.seconds,
        )


def structure_of(plan: Plan, data: Dataset, index: Index) -> Hashable:
    """Return what decides which program a cell runs: cells with equal ones form a population.

    Of a network that cannot be built, it is the reason.
    """
    wanted = plan.wanted(index)
    try:
        return _key(_network(wanted, data), wanted)
    except SnnlabError as error:
        return str(error)


class Groups:
    """Which cells of a study have the same structure.

    Nobody lists which settings change a program: one network is built for every value of every axis. Where an axis
    changes nothing but values of variables, its cells belong together.

    Args:
        plan: of the study.
        data: of the study.

    Example:
        >>> from snnlab import SnnConfig, load_data
        >>> from snnlab.study.space import Space
        >>> from snnlab.study.work import id_of
        >>> digits = load_data("digits")
        >>> space = Space.of({"tau_mem": [5.0, 10.0], "hidden": [8, 9], "seed": range(2)})
        >>> plan = Plan(space=space, model=SnnConfig(), data=id_of(digits), epochs=1)
        >>> groups = Groups(plan, digits)
        >>> groups((0, 0, 0)) == groups((1, 0, 1)), groups((0, 0, 0)) == groups((0, 1, 0))
        (True, False)
    """

    def __init__(self, plan: Plan, data: Dataset):
        self._axes: list[list[int]] = []
        first = (0,) * len(plan.space.axes)
        for place, axis in enumerate(plan.space.axes):
            seen: list[Hashable] = []
            kinds = []
            for k in range(len(axis.values) if not axis.seeds else 1):
                key = structure_of(plan, data, (*first[:place], k, *first[place + 1 :]))
                if key not in seen:
                    seen.append(key)
                kinds.append(seen.index(key))
            self._axes.append(kinds * (len(axis.values) if axis.seeds else 1))

    def __call__(self, index: Index) -> tuple[int, ...]:
        """Return a name of the structure of a cell."""
        return tuple(kinds[k] for kinds, k in zip(self._axes, index, strict=True))


class Population:
    """The cells of one structure.

    Args:
        plan: of the study.
        data: of the study.
        index: one of the cells; its trainer is the model of all.
        blocks: how cells are shared out; default: one device, one network after the other.

    Attributes:
        trainer: of that cell; it does not train.
        blocks: how cells are shared out; networks that a GPU computes at once fit into its memory.
        steps_per_epoch: optimizer steps in one epoch.

    Example:
        >>> from snnlab import SnnConfig, load_data
        >>> from snnlab.study.space import Space
        >>> from snnlab.study.work import id_of
        >>> digits = load_data("digits").subset(train=256, test=64)
        >>> space, config = Space.of({"tau_mem": [5.0, 10.0]}), SnnConfig(hidden=8, num_steps=20)
        >>> plan = Plan(space=space, model=config, data=id_of(digits), epochs=2, batch_size=64)
        >>> population = Population(plan, digits, (0,))
        >>> members = [population.member(index) for index in space]
        >>> population.train(members)
        >>> [(len(member.history), member.history.num_epochs) for member in members]
        [(4, 1), (4, 1)]
        >>> alone = make_trainer(plan, digits, (1,))
        >>> history = alone.fit(until=4)
        >>> bool((history.steps()["loss"] == members[1].history.steps()["loss"]).all())
        True
    """

    @transfers_allowed()
    def __init__(self, plan: Plan, data: Dataset, index: Index, blocks: Blocks | None = None):
        keep_programs()
        self._plan, self._data = plan, data
        self.blocks = Blocks() if blocks is None else blocks
        trainer = self.trainer = make_trainer(plan, data, index)
        assert isinstance(trainer.runner.feed, Loaded)
        self._feed = trainer.runner.feed
        self.steps_per_epoch = trainer.steps_per_epoch
        self._key = structure_of(plan, data, index)
        self._about = about(trainer)
        start = trainer.origin
        self._kinds: Kinds = tuple(
            jax.random.key_impl(leaf) if is_key(leaf) else None for leaf in jax.tree.leaves(start)
        )
        self._tree = jax.tree.structure(start)
        self._parts = [self.blocks.everywhere(part) for part in self._feed.part(data.watched)]
        self._samples = self.blocks.everywhere(data.part("train"))
        self._steps_in_call = MAX_CHUNK
        if self.blocks.fitted:
            given = self.blocks.stack([_raw(start)]), *self._samples, *self.blocks.shared_out(self._indices([], {}, []))
            self.blocks = self.blocks.that_fit(lambda blocks: self._program(blocks).lower(*given).compile())
        self._chunks = self._program(self.blocks)
        self._test = compiled(_tests, trainer.stepper.structure, self._kinds, self.blocks)

    def _program(self, blocks: Blocks) -> jax.stages.Wrapped:
        stepper, names = self.trainer.stepper, self.trainer.metric_names
        return compiled(_chunks, stepper.structure, names, self._kinds, blocks, apart=self._feed.form)

    # ---- members ----

    @transfers_allowed()
    def member(self, index: Index, snapshot: Snapshot | None = None) -> Member | None:
        """Return a cell at its start, or where it was saved; None if it has another structure after all.

        Raises:
            ArgumentError: if the snapshot is of another run.
            FileFormatError: if it cannot be read.
        """
        wanted = self._plan.wanted(index)
        net = _network(wanted, self._data)
        config = net.recipe.config if net.recipe else None
        if _key(net, wanted) != self._key:
            return None
        system = nnx.Dict(model=net, loss=self.trainer.loss)
        values = jax.tree.leaves(nnx.split(system, nnx.Param, Live, ...)[1:])
        start = self.trainer.stepper.start
        more = jax.tree.leaves((start.opt_state, start.step, _key_of(wanted.seed)))
        state = jax.tree.unflatten(self._tree, list(map(without_key, (*values, *more))))
        rate = wanted.training.get(LEARNING_RATE)
        if rate is not None:
            state = _raw(self.trainer.with_move(state, LEARNING_RATE, rate)[1])
        member = Member(index, self._told(config, wanted, state), wanted.seed, state, state)
        if snapshot is not None:
            return self._put_back(member, snapshot)
        for name, value in wanted.knobs.items():
            self._move(member, name, value)
        return member

    def _told(self, config: Any, wanted: Wanted, origin: State) -> dict[str, Any]:
        """Return what `about` would say of the trainer of a cell."""
        told, identity = dict(self._about), dict(self._about["identity"])
        identity["model"] = json.loads(json.dumps(asdict(config)))
        identity["settings"] = identity["settings"] | {"seed": wanted.seed}
        told["identity"] = identity
        told[LEARNING_RATE] = wanted.training.get(LEARNING_RATE, told[LEARNING_RATE])
        told["knobs"] = {knob.name: knob.value for knob in find_knobs(origin.live, origin.opt_state, of_the_user=False)}
        return told

    def _put_back(self, member: Member, snapshot: Snapshot) -> Member:
        """Put a member where it was saved."""
        point = point_of(self.trainer, snapshot, member.told["identity"])
        member.state, member.history, member.seconds = _raw(point.state), point.history, point.seconds
        return member

    def _move(self, member: Member, name: str, value: float) -> None:
        """Move a knob of a member, as `Trainer` does before its next step."""
        old, state = self.trainer.with_move(member.state, name, float(value))
        member.history.add_intervention(step=len(member.history), knob=name, old=old, new=value)
        member.state = _raw(state)

    def snapshot(self, member: Member) -> Snapshot:
        """Return a member as its own trainer would be saved."""
        return take(self.trainer, member.point, told=member.told)

    def state_of(self, member: Member) -> State:
        """Return the state of a member with its random keys."""
        leaves = zip(jax.tree.leaves(member.state), self._kinds, strict=True)
        return jax.tree.unflatten(self._tree, [_wrapped(leaf, kind) for leaf, kind in leaves])

    # ---- training ----

    @property
    def compilations(self) -> int:
        """Number of programs compiled for the training steps; it stays at 1."""
        return self._chunks._cache_size()  # pyright: ignore[reportAttributeAccessIssue] (jit has no public count)

    def train(self, members: Sequence[Member], should_stop: Callable[[], bool] = lambda: False) -> None:
        """Train some members, at most a block of them, to the end of their epoch, and measure them.

        If it is stopped, they are in the middle of their epoch, and go on from there the next time. Threads share them
        out, see `Blocks`; the first share goes first if the program is to be compiled.

        Args:
            members: that have not diverged; none twice.
            should_stop: asked several times a second, by several threads.
        """
        threads = min(self.blocks.threads, len(members))
        shares = [members[k::threads] for k in range(threads)]
        if not self.compilations:
            self._train(shares.pop(0), should_stop)
        side_by_side(lambda share: self._train(share, should_stop), shares)

    @transfers_allowed()
    def _train(self, members: Sequence[Member], should_stop: Callable[[], bool]) -> None:
        """Train members in one program, one after the other."""
        began = {member.index: (member.state, member.point) for member in members}
        for member in members:
            self._follow_schedule(member)
        going = list(members)
        orders = {(one.seed, one.history.num_epochs + 1) for one in members}
        drawn = {order: self._feed.batches(*order) for order in orders}  # one for all cells with the same seed
        batches = {one.index: drawn[one.seed, one.history.num_epochs + 1] for one in members}
        places = self.blocks.places(len(members))
        stack = self.blocks.stack([member.state for member in members])
        while unfinished := [one for one in going if self._position(one) < self.steps_per_epoch]:
            if should_stop():
                return
            started, compiled_before = time.perf_counter(), self.compilations
            index, count = self._indices(members, batches, unfinished)
            stack, logs, sound = self._chunks(stack, *self._samples, *self.blocks.shared_out((index, count)))
            logs, sound = jax.tree.map(np.asarray, (logs, sound))
            seconds = time.perf_counter() - started
            if self.compilations == compiled_before:
                self._pace(int(count.max()), seconds)
            for place, member in zip(places, members, strict=True):
                if taken := int(count[place]):
                    log = {name: values[place, :taken] for name, values in logs.items()}
                    self._note(member, log, bool(sound[place]), seconds * taken / int(count.sum()))
            self._take_states(members, stack, count)
            for member in unfinished:
                if member.diverged:
                    member.state, point = began[member.index]
                    member.history, member.seconds = point.past, point.seconds
            going = [one for one in going if not one.diverged]
        self._measure(members, going, stack, should_stop)

    def _position(self, member: Member) -> int:
        """Steps that a member has taken in its epoch."""
        return len(member.history) - member.history.num_epochs * self.steps_per_epoch

    def _follow_schedule(self, member: Member) -> None:
        """Let a run that was saved with fewer epochs follow the schedule of the new number, as `Trainer` does."""
        epochs = self._plan.epochs
        if self.trainer.scheduled and length_of(member.state.opt_state) != epochs * self.steps_per_epoch:
            self._move(member, EPOCHS, epochs)

    def _indices(
        self, members: Sequence[Member], batches: dict[Index, np.ndarray], unfinished: Sequence[Member]
    ) -> tuple[Int[np.ndarray, "cell chunk batch"], Int[np.ndarray, " cell"]]:
        """Return which samples each cell takes in its next steps, and how many steps it takes."""
        index = np.zeros((self.blocks.size, MAX_CHUNK, self._feed.samples // self._feed.steps), np.int32)
        count = np.zeros(self.blocks.size, np.int32)
        for place, member in zip(self.blocks.places(len(members)), members, strict=True):
            if member in unfinished:
                position = self._position(member)
                now = batches[member.index][position : position + self._steps_in_call]
                index[place, : len(now)], count[place] = now, len(now)
        return index, count

    def _pace(self, steps: int, seconds: float) -> None:
        """Let a call last about `CALL_SECONDS`."""
        self._steps_in_call = int(np.clip(steps * CALL_SECONDS / max(seconds, 1e-6), 1, MAX_CHUNK))

    def _note(self, member: Member, log: dict[str, np.ndarray], sound: bool, seconds: float) -> None:
        if not is_well(log, sound):
            member.diverged = True
            return
        steps = len(log["loss"])
        member.history.add_steps({"epoch": np.full(steps, member.history.num_epochs + 1), **log})
        member.seconds += seconds

    def _take_states(self, members: Sequence[Member], stack: State, count: np.ndarray) -> None:
        leaves = list(map(np.asarray, jax.tree.leaves(stack)))
        for place, member in zip(self.blocks.places(len(members)), members, strict=True):
            if count[place] and not member.diverged:
                member.state = jax.tree.unflatten(self._tree, [leaf[place] for leaf in leaves])

    def _measure(
        self, members: Sequence[Member], well: Sequence[Member], stack: State, should_stop: Callable[[], bool]
    ) -> None:
        """Measure the part of the data that is looked at, and close the epoch of those that are well."""
        if not well:
            return
        started = time.perf_counter()
        measured = []
        for number, part in enumerate(self._parts):
            if should_stop():
                return
            measured.append(jax.tree.map(np.asarray, self._test(stack, *part, np.int32(number))))
        seconds = (time.perf_counter() - started) / len(well)
        for place, member in zip(self.blocks.places(len(members)), members, strict=True):
            if member not in well:
                continue

            def pick(state, x, targets, number, place: int = place):
                return jax.tree.map(lambda values: values[place], measured[number])

            seen = Evaluation(pick, self._parts)
            for _ in seen.run(None):
                pass
            member.seconds += seconds
            self._close(member, seen)

    def _close(self, member: Member, seen: Evaluation) -> None:
        history, trainer = member.history, self.trainer
        before = float(history.results().get("seconds", np.empty(0)).sum())
        seconds = max(member.seconds - before, 1e-9)
        history.add_epoch(
            epoch_result(
                history.num_epochs + 1,
                history.steps(),
                self.steps_per_epoch,
                seen.totals,
                trainer.task.results(seen.sums),
                trainer.scored,
                seconds,
                self._feed.samples / seconds,
            )
        )


def _network(wanted: Wanted, data: Dataset) -> Any:
    assert wanted.config is not None
    return build(wanted.config, sample_shape=data.sample_shape, num_classes=data.num_outputs, seed=wanted.seed)


def _key(net: Any, wanted: Wanted) -> Hashable:
    """Return the structure of a network without what no program asks for; the network loses that."""
    net.recipe = None
    for _, part in nnx.iter_graph(net):
        if isinstance(part, Live | Fixed):
            part.set_metadata(**{name: None for name in RANGES if name in part.get_metadata()})
    graph, state = nnx.split(net)
    shapes = tuple((leaf.shape, str(leaf.dtype)) for leaf in jax.tree.leaves(state))
    training = tuple(sorted((name, value) for name, value in wanted.training.items() if name != LEARNING_RATE))
    return graph, shapes, training


@functools.lru_cache(maxsize=64)
def _key_of(seed: int) -> Array:
    return code_key(seed)


def _raw(state: State) -> State:
    """Return a state on the host, with random keys as integers."""
    return jax.tree.map(lambda leaf: leaf if isinstance(leaf, np.ndarray) else without_key(leaf), state)


def _wrapped(leaf: Any, kind: Hashable) -> Any:
    return leaf if kind is None else jax.random.wrap_key_data(leaf, impl=kind)  # pyright: ignore[reportArgumentType]


def _joined(state: State, kinds: Kinds) -> State:
    leaves: Iterable = zip(jax.tree.leaves(state), kinds, strict=True)
    return jax.tree.unflatten(jax.tree.structure(state), [_wrapped(leaf, kind) for leaf, kind in leaves])


def _apart(state: State) -> State:
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, state)


def _chunks(
    structure: Structure,
    names: tuple[str, ...],
    kinds: Kinds,
    blocks: Blocks,
    states: State,
    x,
    targets,
    index,
    count,
):
    """Take a chunk of steps of each cell; see `Structure.chunk`."""

    def one(data, cell):
        (x, targets), (state, index, count) = data, cell
        state, log, sound = structure.chunk(names, _joined(state, kinds), x, targets, index, count)
        return _apart(state), log, sound

    return blocks.map(one, (x, targets), (states, index, count))


def _tests(structure: Structure, kinds: Kinds, blocks: Blocks, states: State, x, targets, number):
    """Measure a batch with each cell; see `Structure.test`."""

    def one(batch, state):
        # Or XLA would cut the state out of the stack, and take what is the same for all cells out of the loop, in ways
        # that sum up a loss in another order than for a network alone.
        batch, state = jax.lax.optimization_barrier((batch, state))
        return jax.lax.optimization_barrier(structure.test(_joined(state, kinds), *batch))

    return blocks.map(one, (x, targets, number), states)
