"""A run at one moment, as plain values: everything that the dashboard shows of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from snnlab.controls import Knob
from snnlab.health.diagnosis import Diagnosis
from snnlab.history import History, Report
from snnlab.live.frames.branches import Times
from snnlab.live.frames.probe import Look
from snnlab.live.states import RunState, Transport

if TYPE_CHECKING:  # frames load no JAX
    from snnlab.health import Health

PANELS = ("curves", "raster", "health")  # that a dashboard can show
HZ = 0.5, 10.0  # pictures per second, at least and at most


class Recorded(NamedTuple):
    """What a run recorded.

    Attributes:
        history: everything that happened.
        steps_per_epoch: optimizer steps in an epoch.
        settings: seed, size of the network and the like, and the knobs at the end of the run, by name.
    """

    history: History
    steps_per_epoch: int
    settings: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Status:
    """Where a run stands.

    Attributes:
        state: of the session.
        transport: what the transport button does next.
        recorded: what the run recorded.
        earlier: what the runs before its restarts recorded, oldest first.
        epochs: of the whole run.
        total_steps: optimizer steps of the whole run.
        compilations: programs that the training step was compiled to.
        knobs: by name.
        tried: values of knobs that are shown and not trained with.
        pace: steps a second at most, or None for as fast as it goes.
        report: the newest report of the engine, or None.
        traceback: of the exception that ended the run, or None.
        problem: why the run cannot be saved at the moment, or None.
    """

    state: RunState
    transport: Transport
    recorded: Recorded
    earlier: tuple[Recorded, ...]
    epochs: int
    total_steps: int
    compilations: int
    knobs: Mapping[str, Knob]
    tried: Mapping[str, float] = field(default_factory=dict)
    pace: float | None
    report: Report | None
    traceback: str | None
    problem: str | None


class View(NamedTuple):
    """A run and its network at one moment.

    Attributes:
        status: where the run stands.
        finding: what is wrong with the run or the network, or None.
        look: one sample in the network, or None.
        health: the newest checkup, or None.
        blind: the exception that keeps us from looking into the network, or None.
        inspected: what the tab shows, with its name as "tab".
        undo: the knobs whose moves can be undone and redone, see `snnlab.live.undo`.
        times: the branches of the run, and where it is in them; None if there are none.
        going: where the run is being taken, in words, or an empty text.
    """

    status: Status
    finding: Diagnosis | None = None
    look: Look | None = None
    health: "Health | None" = None
    blind: Exception | None = None
    inspected: Mapping[str, Any] = MappingProxyType({})
    undo: Mapping[str, str] = MappingProxyType({"undo": "", "redo": ""})
    times: Times | None = None
    going: str = ""
