"""What all tasks have in common."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from jaxtyping import Array, Float

from snnlab.data.targets import Targets
from snnlab.record import Record

Sums = Mapping[str, Any]


@runtime_checkable
class Task(Protocol):
    """How targets of one kind are scored.

    A metric of a whole data set is no mean over its batches. So a batch is measured by sums, which can be added, and
    the metrics are computed from the total.

    Attributes:
        score: name of the score in the history, such as "accuracy": the larger, the better.

    Example:
        >>> from snnlab.tasks import LabelTask
        >>> isinstance(LabelTask(10), Task)
        True
    """

    score: ClassVar[str]

    def loss(self, *, spiking: bool) -> Callable:
        """Return the default loss.

        Args:
            spiking: whether the network has a layer that spikes.
        """
        ...

    def compared(self, loss: Callable | None, record: Record) -> Float[Array, "batch ..."]:
        """Return what is compared with the targets: the scores of the loss if it has any."""
        ...

    def measure(self, scores: Float[Array, "batch ..."], targets: Targets) -> dict[str, Array]:
        """Measure a batch: sums over its samples."""
        ...

    def score_of(self, sums: Sums) -> Float[Array, ""]:
        """The score of a batch, from its sums; a finite number also where the batch says nothing."""
        ...

    def results(self, sums: Sums) -> dict[str, float]:
        """The score and the other metrics by name, from the sums over a whole data set."""
        ...
