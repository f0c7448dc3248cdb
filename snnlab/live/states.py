"""The states of a run, and what the transport button does in each."""

from enum import StrEnum


class RunState(StrEnum):
    """Where a run stands; each equals its text, so `lab.state == "done"` works.

        idle -> compiling -> training <-> paused -> stopped -> (start again) training -> done
                                     any of them -> error

    Example:
        >>> RunState.DONE, RunState.DONE == "done"
        ('done', True)
    """

    IDLE = "idle"
    COMPILING = "compiling"
    TRAINING = "training"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"
    ERROR = "error"

    __repr__ = str.__repr__  # a notebook shows `lab.state` as the text that users compare it with

    @property
    def alive(self) -> bool:
        """The training thread runs; it may be paused."""
        return self in (RunState.COMPILING, RunState.TRAINING, RunState.PAUSED)


class Transport(StrEnum):
    """What the transport button does next."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    NOTHING = "nothing"  # all epochs are trained
