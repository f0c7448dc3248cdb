"""The devices that a run computes on.

On several devices a step is one program for the whole batch. Its arrays are the same on all of them; kernels share
their samples out (see `snnlab.kernels.devices`), and the loss is that of the whole batch. Everything else of a run
knows nothing of it: between two calls the arrays are those of the first device, as in a run on one.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from snnlab.errors import ArgumentError
from snnlab.kernels.devices import BATCH
from snnlab.support import arguments
from snnlab.support.keys import is_key

ALL: Final = "all"

_ONE_AT_A_TIME = threading.RLock()


@dataclass(frozen=True)
class Devices:
    """One device, or several that share out the samples of a batch.

    Args:
        mesh: of the devices, with an axis "batch"; None for one device, that of JAX.

    Example:
        >>> Devices().count
        1
    """

    mesh: Mesh | None = None

    @classmethod
    def of(cls, wanted: "int | str | Mesh | Devices | None") -> "Devices":
        """Find the devices of a run.

        Args:
            wanted: None for one; how many; "all"; or a mesh, whose axis "batch" shares out the samples.

        Raises:
            ArgumentError: if there are not so many, or the mesh has no such axis.
        """
        if isinstance(wanted, Devices):
            return wanted
        if isinstance(wanted, Mesh):
            return cls._of_mesh(wanted)
        if wanted is None:
            return cls()
        if isinstance(wanted, str) and wanted != ALL:
            raise ArgumentError(f"devices: must be a number, {ALL!r} or a mesh, got {wanted!r}")
        chosen = first_of(jax.devices(), wanted)
        return cls() if len(chosen) == 1 else cls._of_mesh(Mesh(np.array(chosen), (BATCH,)))

    @classmethod
    def _of_mesh(cls, mesh: Mesh) -> "Devices":
        if BATCH not in mesh.axis_names:
            raise ArgumentError(
                f"devices: the mesh must have an axis {BATCH!r}, which shares out the samples, got {mesh.axis_names}; "
                f'make it with jax.make_mesh((4,), ("{BATCH}",))'
            )
        if mesh.shape[BATCH] == 1 and mesh.size == 1:
            return cls()
        return cls(Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names)))

    @property
    def count(self) -> int:
        """How many devices share out the samples."""
        return 1 if self.mesh is None else self.mesh.shape[BATCH]

    @property
    def of_others(self) -> bool:
        """Whether some of them belong to other processes."""
        return self.mesh is not None and any(d.process_index != jax.process_index() for d in self.mesh.devices.flat)

    def check_batch(self, batch_size: int) -> None:
        """Check that the samples of a batch can be shared evenly.

        Raises:
            ArgumentError: if not.
        """
        if batch_size % self.count:
            raise ArgumentError(
                f"batch_size: must be a multiple of the {self.count} devices that share it out, got {batch_size}; "
                f"{batch_size + -batch_size % self.count} is"
            )

    def jit(self, function: Callable) -> jax.stages.Wrapped:
        """Return `jax.jit` of a function on these devices: it takes what `put` returns, returns what `home` takes."""
        mesh = self.mesh
        if mesh is None:
            return jax.jit(function)

        def program(*given):
            with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
                return without_keys(function(*_with_keys(given)))

        program.__name__ = function.__name__  # in profiles
        return jax.jit(program, in_shardings=self._everywhere, out_shardings=self._everywhere)

    def alone(self) -> AbstractContextManager:
        """Keep programs of other threads off while one runs: two that wait for each other's devices never end."""
        return nullcontext() if self.mesh is None else _ONE_AT_A_TIME

    def put(self, tree):
        """Bring the arrays of a tree to all devices."""
        if self.mesh is None:
            return tree
        return jax.tree.map(self._put, without_keys(tree))

    def home(self, tree):
        """Return the arrays of a tree, which are the same on all devices, as those of the first device."""
        if self.mesh is None:
            return tree
        return _with_keys(jax.tree.map(lambda leaf: leaf.addressable_data(0), tree))

    @cached_property
    def _everywhere(self) -> NamedSharding:
        assert self.mesh is not None
        return NamedSharding(self.mesh, PartitionSpec())

    def _put(self, leaf) -> jax.Array:
        leaf = leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)
        here = self._everywhere.addressable_devices
        return jax.make_array_from_single_device_arrays(
            leaf.shape, self._everywhere, [jax.device_put(leaf, device) for device in here]
        )


def first_of(there: list, wanted: int | str) -> list:
    """Return the first devices, as many as are wanted.

    Args:
        there: the devices that there are.
        wanted: how many, or "all".

    Raises:
        ArgumentError: if there are not so many.
    """
    count = len(there) if wanted == ALL else arguments.count("devices", wanted)
    if count > len(there):
        raise ArgumentError(
            f"devices: {_there(there)}, got {count}; a CPU is one, which uses all its cores (to try several, set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={count} in the environment)"
        )
    return there[:count]


@jax.tree_util.register_pytree_node_class
class _Key:
    """Random keys as the numbers that they are made of: these can be put on the devices of several processes."""

    def __init__(self, numbers, kind):
        self.numbers, self.kind = numbers, kind

    def tree_flatten(self):
        return (self.numbers,), self.kind

    @classmethod
    def tree_unflatten(cls, kind, numbers):
        return cls(numbers[0], kind)


def without_keys(tree) -> Any:
    """Return a tree with `_Key` in place of random keys."""

    def without(leaf):
        keyed = isinstance(leaf, jax.Array) and is_key(leaf)
        return _Key(jax.random.key_data(leaf), jax.random.key_impl(leaf)) if keyed else leaf

    return jax.tree.map(without, tree)


def _with_keys(tree) -> Any:
    def keyed(leaf):
        return jax.random.wrap_key_data(leaf.numbers, impl=leaf.kind) if isinstance(leaf, _Key) else leaf

    return jax.tree.map(keyed, tree, is_leaf=lambda leaf: isinstance(leaf, _Key))


def _there(devices: list) -> str:
    kind, count = devices[0].platform.upper(), len(devices)
    return f"there is 1 device ({kind})" if count == 1 else f"there are {count} devices ({kind})"
