"""Several processes as one run: process 0 leads it, and the others compute what it says.

A program on the devices of several processes (`jax.distributed`) runs if all of them start it. Process 0 has the run:
its history, knobs, checkpoints and dashboard. Before each program it says a word: which one it is, and whether it
starts from another state than the last one ended with, because a knob was moved or the run was put elsewhere; then that
state follows, and the indices of the samples. So all that can happen to a run may happen in process 0, and the others
know nothing of it. Between two words they wait, however long a pause is.
"""

import atexit
import base64
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from snnlab.errors import StateError

END = "end"
PATIENCE = 10_000  # ms: how long a process waits before it asks again
READY = 60  # times as long: for all processes to compile
CANNOT = "cannot take part: "
IN_A_WORD = 1 << 18  # bytes; more go through a collective, which takes longer to begin
REMEMBERED = 100  # words

_lines: list["Line"] = []


class LostError(StateError):
    """Another process has ended without a word, so that this one had better not wait for it at its own end."""


class Line:
    """From process 0 to all others. Every process makes its lines in the same order."""

    def __init__(self):
        self._name, self._said, self._met = f"snnlab/{len(_lines)}", 0, False
        _lines.append(self)
        if leads():
            atexit.register(self.say, {"program": END})

    def meet(self, digest: str) -> None:
        """Wait until all processes are here.

        Args:
            digest: of all that must be the same in all of them.

        Raises:
            StateError: if one does not come, says that it cannot take part, or has another digest.
        """
        client = _client()
        if not leads():
            self._come(digest)
        for process in range(1, jax.process_count()) if leads() else ():
            found = _wait_for(client, f"{self._name}/ready/{process}", READY)
            if found is None:
                raise StateError(f"process {process} has not come to the run; start the same command in all processes")
            if found.startswith(CANNOT):
                raise StateError(f"process {process} {found}")
            if found != digest:
                raise StateError(
                    f"process {process} has another model, other data or other settings than process 0; start the same "
                    "command in all processes, with the same files"
                )

    def cannot(self, reason: str) -> None:
        """Take no part in the run. Process 0 then says the reason; if this is process 0, it ends the others."""
        if not leads() and not self._met:
            self._come(CANNOT + reason)

    def _come(self, text: str) -> None:
        self._met = True
        _client().key_value_set(f"{self._name}/ready/{jax.process_index()}", text)

    def say(self, word: dict[str, Any], content: bytes = b"") -> None:
        """In process 0: say a word to all others, with some bytes."""
        small = len(content) <= IN_A_WORD
        word = word | {"size": len(content), "content": base64.b64encode(content).decode() if small else None}
        client = _client()
        client.key_value_set(f"{self._name}/{self._said}", json.dumps(word))
        if self._said >= REMEMBERED:
            client.key_value_delete(f"{self._name}/{self._said - REMEMBERED}")
        self._said += 1
        if not small:
            broadcast(content, len(content))

    def hear(self) -> tuple[dict[str, Any], bytes]:
        """In the others: wait for the next word, and the bytes with it.

        Raises:
            LostError: if process 0 has ended without one.
        """
        text = None
        while text is None:
            text = _wait_for(_client(), f"{self._name}/{self._said}")
        self._said += 1
        word = json.loads(text)
        small = word["content"] is not None
        return word, base64.b64decode(word["content"]) if small else broadcast(None, word["size"])


def cannot_take_part(reason: str) -> None:
    """Say to the other processes that the run begins without this one: in process 0 it is over, else 0 says why."""
    (_lines[-1] if _lines else Line()).cannot(reason)


def leads() -> bool:
    """Whether this is process 0, or the only one.

    Example:
        >>> leads()
        True
    """
    return jax.process_index() == 0


def forms_of(arrays: Sequence) -> list:
    """Return shapes and types of arrays as JSON."""
    return [[list(array.shape), array.dtype.name] for array in arrays]


def packed(arrays: Sequence) -> bytes:
    """Return the bytes of arrays."""
    return b"".join(np.asarray(array).tobytes() for array in arrays)


def unpacked(content: bytes, forms: Sequence) -> list[np.ndarray]:
    """Return the arrays of these bytes.

    Example:
        >>> arrays = [np.arange(3), np.array(-0.0, np.float32)]
        >>> [array.tolist() for array in unpacked(packed(arrays), forms_of(arrays))]
        [[0, 1, 2], -0.0]
    """
    shapes = [(tuple(shape), np.dtype(kind)) for shape, kind in forms]
    ends = np.cumsum([0, *(int(np.prod(shape)) * kind.itemsize for shape, kind in shapes)])
    parts = [content[start:end] for start, end in itertools.pairwise(ends)]
    return [np.frombuffer(part, kind).reshape(shape) for part, (shape, kind) in zip(parts, shapes, strict=True)]


def broadcast(content: bytes | None, size: int) -> bytes:
    """Return bytes of process 0 in all processes; the others pass None. No bit changes on the way."""
    mine = np.zeros(size, np.uint8) if content is None else np.frombuffer(content, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(mine)).tobytes()


def together(function: Callable) -> Callable:
    """Decorate what needs all processes.

    Raises:
        LostError: if one has ended.
    """

    def call(*arguments):
        try:
            return function(*arguments)
        except jax.errors.JaxRuntimeError as error:
            if jax.process_count() == 1:
                raise
            reason = str(error).partition("\n")[0][:200]
            kept = "The model has learned from all steps before. " if leads() else ""
            raise LostError(
                f"the processes of this run have lost each other ({reason}): one may have ended. {kept}Start the run "
                "anew from its checkpoints, on any number of processes"
            ) from error

    return call


def _client() -> Any:
    """Return the client of JAX's coordination service, which has no public name; read from JAX 0.10."""
    from jax._src import distributed

    return distributed.global_state.client


def _wait_for(client, key: str, times: int = 1) -> str | None:
    """Return what stands under a key, or None if nothing does for long."""
    for _ in range(times):
        try:
            return client.blocking_key_value_get(key, PATIENCE)
        except jax.errors.JaxRuntimeError as error:
            if "DEADLINE_EXCEEDED" not in str(error):
                raise LostError("process 0 has ended; start the run anew from its checkpoints") from error
    return None
