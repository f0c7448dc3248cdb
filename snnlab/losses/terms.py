"""What a loss is: readouts over time, its terms by name, and the metrics beside them."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Shaped

from snnlab.data.targets import Targets
from snnlab.errors import ArgumentError
from snnlab.record import Record

READOUTS = {
    "max": lambda record: record.peak,
    "mean": lambda record: record.mean,
    "sum": lambda record: record.total,
    "last": lambda record: record.last,
}
"""Ways to turn a `Record` into scores `(batch, class)`."""

ASKED = ("mask", "weights")
"""What a loss is given besides record and targets, if the data has it and the loss names it as an argument."""


@runtime_checkable
class _Scoring(Protocol):
    """A loss with its own scores, the highest of which is at the predicted class."""

    def scores(self, record: Record) -> Float[Array, "*batch cls"]:
        """Scores of the classes."""
        ...


def class_scores(loss: Callable | None, record: Record) -> Float[Array, "batch cls"]:
    """Scores of the classes: those of the loss if it has any, otherwise the maximum of the readout over time.

    The prediction is the class with the highest score.

    Example:
        >>> from snnlab.losses import Classification
        >>> record = Record(readout=jnp.array([[[0.0, 2.0]], [[3.0, 2.0]]]), layers={})
        >>> class_scores(Classification("mean"), record).tolist(), class_scores(None, record).tolist()
        ([[1.5, 2.0]], [[3.0, 2.0]])
    """
    return scores_of(loss, record, record.peak)


def scores_of(loss: Callable | None, record: Record, default: Float[Array, "..."]) -> Float[Array, "..."]:
    """What a loss compares with the targets, if it tells, otherwise the default."""
    return loss.scores(record) if isinstance(loss, _Scoring) else default


OF_A_READOUT = ("predicts", "predictions")
"""First argument of a loss that is given the readout `(batch, time, class)` in place of the record, as in BrainPy."""


NO_PAIR = (
    "loss: its first argument is the readout, and it seems to expect a pair (predicts, mon); say what is monitored, "
    'with snnlab.losses.Monitored(loss, {"r.spike": "hidden.spikes"})'
)


class Measured(NamedTuple):
    """What a loss returned.

    Attributes:
        terms: by name; their sum is minimized.
        metrics: by name; recorded and drawn, not minimized.
    """

    terms: dict[str, Any]
    metrics: dict[str, Any]


def measure(loss: Callable, record: Record, targets: Targets | Shaped[Array, "batch ..."]) -> Measured:
    """Call a loss: `(record, targets)` and, if the data has them, `mask` and `weights` by name.

    If its first argument is called `predicts`, it gets the readout `(batch, time, class)`, so that a loss written for
    BrainPy's trainers runs as it stands; see `Monitored` for one that also gets what is monitored. A loss returns one
    number, terms by name, or either of them with metrics by name.

    Raises:
        ArgumentError: if there is no term, a name is not a string, a term or metric is not one number, the data has
            a mask or weights that the loss does not ask for, or the loss takes a pair for the readout.

    Example:
        >>> record = Record(readout=jnp.ones((1, 2, 3)), layers={})
        >>> measure(lambda record, labels: (record.readout.sum(), {"most": record.readout.max()}), record, jnp.zeros(2))
        Measured(terms={'objective': Array(6., dtype=float32)}, metrics={'most': Array(1., dtype=float32)})
    """
    targets = targets if isinstance(targets, Targets) else Targets(targets)
    try:
        returned: Any = loss(_given(loss, record), targets.values, **_asked(loss, targets))
    except (TypeError, ValueError) as error:
        if _takes_pair(loss, error):
            raise ArgumentError(NO_PAIR) from error
        raise
    metrics: Mapping[str, Any] = {}
    if isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Mapping):
        returned, metrics = returned
    terms = dict(returned) if hasattr(returned, "items") else {"objective": returned}
    if not terms:
        raise ArgumentError("loss: returned no term")
    _check_numbers("term", terms)
    _check_numbers("metric", metrics)
    return Measured(terms, dict(metrics))


def loss_terms(
    loss: Callable, record: Record, targets: Targets | Shaped[Array, "batch ..."]
) -> dict[str, Float[Array, ""]]:
    """Return the terms of a loss by name; a loss that returns one number has a single term, "objective".

    What is minimized is the sum of the terms, whatever they are called.

    Raises:
        ArgumentError: see `measure`.

    Example:
        >>> record = Record(readout=jnp.zeros((1, 2, 3)), layers={})
        >>> loss_terms(lambda record, labels: record.readout.sum(), record, jnp.array([0, 1]))
        {'objective': Array(0., dtype=float32)}
    """
    return measure(loss, record, targets).terms


def _given(loss: Callable, record: Record) -> Any:
    """What a loss gets first, see `OF_A_READOUT`."""
    first = next(iter(inspect.signature(loss).parameters), None)
    return record.readout.swapaxes(0, 1) if first in OF_A_READOUT else record


def _takes_pair(loss: Callable, error: Exception) -> bool:
    """Whether an error comes of unpacking the readout, or, for two samples, of looking into one of them by name."""
    first = next(iter(inspect.signature(loss).parameters), None)
    return first in OF_A_READOUT and any(words in str(error) for words in ("to unpack", "string indexing"))


def _asked(loss: Callable, targets: Targets) -> dict[str, Any]:
    """What the data has besides the targets, which the loss must take."""
    there = {name: value for name in ASKED if (value := getattr(targets, name)) is not None}
    if not there:
        return {}
    accepted = inspect.signature(loss).parameters.values()
    takes_all = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted)
    for name in there:
        if not takes_all and name not in {parameter.name for parameter in accepted}:
            raise ArgumentError(
                f"loss: the data has {name}, which this loss does not take; give it an argument `{name}`, "
                "or leave them out of the data"
            )
    return there


def _check_numbers(kind: str, values: Mapping[Any, Any]) -> None:
    for name, value in values.items():
        if not isinstance(name, str):
            raise ArgumentError(f"loss: the name of a {kind} must be a string, got {name!r}")
        shape = jnp.shape(value)
        if shape:
            raise ArgumentError(f"loss: the {kind} {name!r} must be one number, got shape {shape}; use .mean()")


def step_weights(mask: Bool[Array, "batch time"] | None, weights: Float[Array, " batch"] | None):
    """Weights of the steps of samples: that of the sample, or 0 where a step is masked; None if all weigh the same.

    Example:
        >>> step_weights(jnp.array([[True, False]]), jnp.array([3.0])).tolist(), step_weights(None, None)
        ([[3.0, 0.0]], None)
    """
    if weights is None:
        return None if mask is None else mask.astype(jnp.float32)
    return weights[:, None] if mask is None else jnp.where(mask, weights[:, None], 0.0)


def weighted_mean(values: Float[Array, "..."], weights: Float[Array, "..."] | None) -> Float[Array, ""]:
    """Mean of values; with weights `sum w v / sum w`, and 0 if all weights are 0.

    Example:
        >>> weighted_mean(jnp.array([1.0, 4.0]), jnp.array([1.0, 3.0])).item()
        3.25
    """
    if weights is None:
        return values.mean()
    weights = jnp.broadcast_to(weights, values.shape)
    total = weights.sum()
    return jnp.where(weights > 0.0, weights * values, 0.0).sum() / jnp.where(total > 0.0, total, 1.0)
