"""What the values inside a model are called: "hidden.tau_mem", wherever that is stored."""

from flax import nnx

# Attributes that only hold other things; "hidden.tau_mem" says as much as the whole path.
CONTAINERS = {"model", "loss", "stack", "layers", "neuron", "synapse"}


def short_names(state: nnx.State) -> dict[str, tuple]:
    """Name of every variable -> its path: without containers, or the whole path where that would be ambiguous.

    Example:
        >>> from snnlab.layers import LifRef, Stack
        >>> from snnlab.variables import Live
        >>> list(short_names(nnx.state(Stack(hidden=LifRef(3)), Live)))
        ['hidden.slope', 'hidden.tau_mem', 'hidden.v_th']
    """
    paths = [path for path, _ in nnx.to_flat_state(state)]
    short = [".".join(str(part) for part in path if part not in CONTAINERS) for path in paths]
    whole = [".".join(map(str, path)) for path in paths]
    return {s if s and short.count(s) == 1 else w: path for s, w, path in zip(short, whole, paths, strict=True)}
