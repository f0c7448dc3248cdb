"""Compute a batch of short sequences no longer than it is, in the one program that is compiled for all batches."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Shaped

from snnlab.data import Dataset
from snnlab.data.buckets import bucket_lengths
from snnlab.data.targets import KINDS, Targets
from snnlab.encode import Delta, Rows
from snnlab.models import describe


class Shorter(NamedTuple):
    """Lengths to which batches are cut; the program has a branch for each.

    What comes after the last step of a sample counts nowhere, so a batch may end with its longest sample. It is cut to
    the shortest of the lengths that holds it.

    Attributes:
        steps: lengths in ascending order; batches are not cut if there is one at most.
        every_step: whether there is a target every step.

    Example:
        >>> shorter = Shorter((3, 9))
        >>> targets = Targets(jnp.array([0, 1]), lengths=jnp.array([2, 3]))
        >>> shorter(lambda x, targets: x.sum(), jnp.ones((2, 9, 5)), targets).item()
        30.0
    """

    steps: tuple[int, ...] = ()
    every_step: bool = False

    @classmethod
    def of(cls, model: nnx.Module, data: Dataset) -> "Shorter":
        """Choose lengths for the samples that are trained with.

        Networks that read one frame a step are as long as their samples; others are left as they are.
        """
        code, lengths = describe(model).encoder, data.lengths_train
        if lengths is None or not isinstance(code, Rows | Delta):
            return cls()
        return cls(bucket_lengths(lengths, data.x_train.shape[1]), KINDS[data.task].every_step)

    def __call__(self, function: Callable, x: Shaped[Array, "batch *sample"], targets: Targets):
        """Call `function(x, targets)` with the batch as short as it may be."""
        if len(self.steps) < 2 or targets.lengths is None:
            return function(x, targets)
        place = jnp.searchsorted(jnp.asarray(self.steps), targets.lengths.max())
        return jax.lax.switch(place, [partial(self._cut, function, steps, x, targets) for steps in self.steps])

    def _cut(self, function: Callable, steps: int, x, targets: Targets):
        values, mask, lengths, weights = targets.arrays
        values = values[:, :steps] if self.every_step else values
        return function(x[:, :steps], Targets(values, None if mask is None else mask[:, :steps], lengths, weights))
