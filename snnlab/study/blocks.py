"""How the cells of a block are shared out: over the devices of this process, over cores, and on a GPU some at once.

    on each device        jax.lax.map(chunk, its share of the block)                      its networks take their turns
    on a CPU alone        the same, in a thread for each core with its share of the cells
    on a GPU              jax.lax.map(chunk, its share of the block, batch_size=k)        k of them are one program

Networks say nothing to each other, so devices do not either, and every cell has the same bits on any number of them.
Where networks take their turns, these are the bits that each has alone. Where k are computed at once, XLA multiplies
the matrices of all of them together and rounds otherwise, as one GPU does and another; it is the way to fill a GPU, to
which a step of one small network is a row of nearly empty launches. On a CPU turns are quicker and need less memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from snnlab.errors import ArgumentError
from snnlab.support import arguments
from snnlab.support.side_by_side import cores
from snnlab.support.transfers import transfers_allowed
from snnlab.train.devices import ALL, first_of

BLOCK = 16  # cells in one block, at least: enough to hide what a call costs, few enough for many reports a second
AT_ONCE = 16  # networks that a GPU computes at once, at most: those that are left over of a study fill it, too
ROOM = 0.5  # of the free memory of a GPU for one program; tests, checkups and other programs need some
NETWORK: Final = "network"  # the axis of the mesh; kernels share out samples along another one

SPLITTING = "threefry2x32"  # the kind of random keys of which each draws the same among others as alone


@dataclass(frozen=True)
class Blocks:
    """How the cells of a block are shared out.

    Attributes:
        mesh: of several devices, along the axis "network"; None for one, that of JAX.
        share: cells that a device has in a program; a multiple of `together`.
        together: networks that a device computes at once.
        fitted: whether `together` may become smaller if the memory of the device asks for it.
        threads: how many share out the cells of a block, a program each.

    Example:
        >>> blocks = Blocks(share=6, together=3)
        >>> double = jax.jit(lambda states: blocks.map(lambda data, state: data + 2 * state, 1.0, states))
        >>> double(np.arange(blocks.size)).tolist()
        [1.0, 3.0, 5.0, 7.0, 9.0, 11.0]
    """

    mesh: Mesh | None = None
    share: int = BLOCK
    together: int = 1
    fitted: bool = False
    threads: int = 1

    @classmethod
    def of(cls, devices: int | str | None = None, together: int | None = None) -> "Blocks":
        """Find the devices of a study.

        Args:
            devices: how many share out the networks, or "all"; None for one.
            together: networks that a device computes at once; None for 1, and on a GPU for as many as fit into its
                memory, up to `AT_ONCE`.

        Raises:
            ArgumentError: if there are not so many devices, or the random keys of JAX are of a kind that draws other
                numbers together than alone.

        Example:
            >>> Blocks.of(together=5).share  # so that a block has no remainder
            20
        """
        if isinstance(devices, str) and devices != ALL:
            raise ArgumentError(f"devices: must be a number or {ALL!r}, got {devices!r}")
        there = jax.local_devices()
        chosen = first_of(there, 1 if devices is None else devices)
        with transfers_allowed():
            kind = str(jax.random.key_impl(jax.random.key(0)))
        fitted = together is None and chosen[0].platform == "gpu" and kind == SPLITTING
        together = arguments.count("together", (AT_ONCE if fitted else 1) if together is None else together)
        if together > 1 and kind != SPLITTING:
            raise ArgumentError(
                f"together: random keys of the kind {kind!r} (jax_default_prng_impl) draw other numbers for {together} "
                f"networks at once than for each alone; use {SPLITTING!r}, or leave it out"
            )
        mesh = Mesh(np.array(chosen), (NETWORK,)) if len(chosen) > 1 else None
        threads = cores() if chosen[0].platform == "cpu" and len(chosen) == together == 1 else 1
        blocks = cls(mesh, together, together, fitted, threads)
        return replace(blocks, share=-(-BLOCK // blocks.cells) * together)

    @property
    def devices(self) -> int:
        """How many devices share out a block."""
        return 1 if self.mesh is None else self.mesh.size

    @property
    def size(self) -> int:
        """Cells in one program."""
        return self.devices * self.share

    @property
    def cells(self) -> int:
        """Cells in one block: a program of each thread."""
        return self.threads * self.size

    def places(self, cells: int) -> list[int]:
        """Return the places of some cells in a block: a block that is not full leaves no device without work.

        Example:
            >>> Blocks(share=8).places(3)
            [0, 1, 2]
            >>> Blocks(mesh=jax.sharding.AbstractMesh((4,), ("network",)), share=4).places(6)
            [0, 4, 8, 12, 1, 5]
        """
        return [cell % self.devices * self.share + cell // self.devices for cell in range(cells)]

    def that_fit(self, compiled: Callable[["Blocks"], jax.stages.Compiled]) -> "Blocks":
        """Return blocks with fewer networks at once, if so many need more memory than a device has.

        Args:
            compiled: returns the program for some blocks; what it needs is known before it runs.
        """
        room = free_memory(jax.local_devices()[0] if self.mesh is None else self.mesh.devices.flat[0])
        blocks = self
        while blocks.fitted and blocks.together > 1 and room is not None and _needs(compiled(blocks)) > ROOM * room:
            blocks = replace(blocks, together=blocks.together // 2)  # a divisor of `share` still
        return blocks

    # ---- arrays ----

    def everywhere(self, tree):
        """Bring the arrays of a tree, which all cells read, to every device."""
        return self._put(tree, PartitionSpec())

    def shared_out(self, tree):
        """Bring the arrays of a tree to the devices, to each the rows of its cells."""
        return self._put(tree, PartitionSpec(NETWORK))

    def stack(self, cells: Sequence[Any]):
        """Stack the trees of some cells as a block on the devices; places that are left over have that of the first."""
        block = [cells[0]] * self.size
        for place, cell in zip(self.places(len(cells)), cells, strict=True):
            block[place] = cell
        return self.shared_out(jax.tree.map(lambda *leaves: np.stack(leaves), *block))

    def map(self, function: Callable, read, cells):
        """Call `function(read, cell)` for every cell of a block, on its device; inside `jax.jit`.

        Args:
            function: of a cell.
            read: what all cells read.
            cells: a tree of arrays with a row for every cell.
        """

        def on_one(read, cells):
            size = None if self.together == 1 else self.together
            return jax.lax.map(partial(function, read), cells, batch_size=size)

        if self.mesh is None:
            return on_one(read, cells)
        where = PartitionSpec(NETWORK)
        specs = {"in_specs": (PartitionSpec(), where), "out_specs": where}
        return jax.shard_map(on_one, mesh=self.mesh, check_vma=False, **specs)(read, cells)

    def _put(self, tree, where: PartitionSpec):
        if self.mesh is None:
            return jax.tree.map(jax.numpy.asarray, tree)
        return jax.device_put(tree, NamedSharding(self.mesh, where))


def free_memory(device: Any) -> int | None:
    """Return the free memory of a device [bytes], or None if it does not say."""
    known = device.memory_stats() or {}
    return known["bytes_limit"] - known.get("bytes_in_use", 0) if "bytes_limit" in known else None


def _needs(program: jax.stages.Compiled) -> int:
    """Return what a program needs on one device [bytes]; 0 if it does not say."""
    known = program.memory_analysis()
    if known is None:
        return 0
    return known.argument_size_in_bytes + known.output_size_in_bytes + known.temp_size_in_bytes
