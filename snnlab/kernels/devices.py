"""Share the samples of a kernel's call out among several devices.

A step on several devices is one program for the whole batch. XLA cannot look into a foreign function, so a call says
by itself what it needs: every device computes its own samples. What is no kernel reads whole arrays, so that every
device computes the same with the same bits as a single one would.

The devices are those of the mesh that is set where a function is traced (`jax.sharding.use_abstract_mesh`,
`jax.set_mesh`), along its axis "batch". Inside a user's own `jax.shard_map` samples are shared out already; see
`snnlab.kernels.axes`.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import jax
from jax.sharding import AxisType, PartitionSpec

BATCH: Final = "batch"  # the axis of a mesh along which samples are shared out
SUMMED: Final = -1  # in place of an axis: what each device has summed over its own samples


def sharing() -> int:
    """Return how many devices share the samples of a call.

    Example:
        >>> sharing()
        1
        >>> with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((4,), ("batch",))):
        ...     sharing()
        4
    """
    mesh = jax.sharding.get_abstract_mesh()
    ours = BATCH in mesh.axis_names and all(kind is AxisType.Auto for kind in mesh.axis_types)
    return mesh.shape[BATCH] if ours else 1


def whole(tree):
    """Let every device have all samples of the arrays of a tree."""
    return _placed(tree, PartitionSpec()) if sharing() > 1 else tree


def by_sample(tree):
    """Let every device have its own samples of the arrays of a tree, if these can be shared evenly."""
    fits = all(leaf.shape[:1] and leaf.shape[0] % sharing() == 0 for leaf in jax.tree.leaves(tree))
    return _placed(tree, PartitionSpec(BATCH)) if sharing() > 1 and fits else tree


def _placed(tree, where: PartitionSpec):
    return jax.tree.map(lambda leaf: jax.lax.with_sharding_constraint(leaf, where), tree)


def share_out(
    call: Callable, batch: int, arguments: Sequence, axes: Sequence[int | None], out: Sequence[int], add: Callable
) -> tuple:
    """Call a kernel, on several devices each with its samples; if these cannot be shared evenly, with all of them.

    Args:
        call: of the number of devices and the arguments, with the samples of one device.
        batch: samples in all.
        arguments: of the kernel; each is a tree.
        axes: for each argument the axis of the samples; None for what all devices need whole, as weights. Arrays that
            are longer or shorter along it, such as empty ones, are whole, too.
        out: for each result the axis of the samples, or `SUMMED`.
        add: sums over its first axis what the devices have summed.
    """
    devices = sharing()
    if devices == 1 or batch % devices:
        return call(1, *whole(tuple(arguments)))

    def where(axis: int | None, leaf) -> PartitionSpec:
        if axis is None or leaf.ndim <= axis or leaf.shape[axis] != batch:
            return PartitionSpec()
        return _along(axis)

    def on_one(*parts):
        results = call(devices, *parts)
        return tuple(part[None] if axis == SUMMED else part for part, axis in zip(results, out, strict=True))

    specs = [jax.tree.map(partial(where, axis), argument) for argument, axis in zip(arguments, axes, strict=True)]
    ends = tuple(_along(0 if axis == SUMMED else axis) for axis in out)
    shared = jax.shard_map(on_one, in_specs=tuple(specs), out_specs=ends, check_vma=False)(*arguments)
    return tuple(add(whole(part)) if axis == SUMMED else part for part, axis in zip(shared, out, strict=True))


def _along(axis: int) -> PartitionSpec:
    return PartitionSpec(*[None] * axis, BATCH)
