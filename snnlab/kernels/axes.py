"""Inside `jax.shard_map`: over which axes of the mesh an array varies.

JAX gives every array there a type that says so, and adds up the gradient of what does not vary. It does not look into a
foreign function, and takes its results for the same on all devices, so that the sum would be left out without a word.
"""

import jax


def varying(tree) -> frozenset[str]:
    """Return the axes over which an array of a tree varies; none outside of `shard_map`."""
    return frozenset().union(*(_axes(leaf) for leaf in jax.tree.leaves(tree)))


def alike(*trees):
    """Return trees whose arrays all vary over the same axes.

    What was the same on all devices becomes one copy for each; on the way back, the gradients of the copies add up.
    """
    axes = varying(trees)
    return spread(trees, axes) if axes else trees


def spread(tree, axes: frozenset[str]):
    """Let every array of a tree vary over some axes."""

    def over(leaf):
        more = tuple(sorted(axes - _axes(leaf)))
        return jax.lax.pcast(leaf, more, to="varying") if more else leaf

    return jax.tree.map(over, tree)


def _axes(leaf) -> frozenset[str]:
    kind = jax.typeof(leaf)
    return kind.vma if hasattr(kind, "vma") else kind.manual_axis_type.varying  # the older and the newer name in JAX
