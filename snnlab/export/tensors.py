"""Save a network as a safetensors file: every value by name, and in the metadata how to build the network again.

The format holds only arrays and strings, so reading a file runs no code. Any tool that reads safetensors can use it:

    from safetensors.numpy import load_file
    weights = load_file("net.safetensors")["hidden.kernel"]
"""

import dataclasses
import itertools
import json
import math
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab import __version__
from snnlab.config import ConvConfig, LstmConfig, SnnConfig
from snnlab.errors import ArgumentError, FileFormatError
from snnlab.models import Network, build, describe
from snnlab.support import arguments
from snnlab.support.files import refuse_existing
from snnlab.support.keys import is_key, without_key
from snnlab.support.numbers import rounded
from snnlab.support.tensors import read_tensors, write_tensors
from snnlab.support.transfers import transfers_allowed
from snnlab.variables import check_values, short_names

KINDS = {"snn": SnnConfig, "conv": ConvConfig, "lstm": LstmConfig}


def save(
    model: nnx.Module,
    path: str | os.PathLike,
    *,
    class_names: tuple[str, ...] = (),
    training: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write all values of a model to a file.

    Args:
        model: any NNX module; `load` can rebuild those made by `snnlab.models.build`.
        path: of the file; missing folders are made.
        class_names: stored in the metadata.
        training: how the network was trained, such as `Trainer.provenance`; stored in the metadata.
        overwrite: replace an existing file.

    Returns:
        The path.

    Raises:
        ArgumentError: if the file exists and `overwrite` is False.
        WriteError: if it cannot be written.

    Example:
        >>> import tempfile
        >>> net = build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=10)
        >>> path = save(net, Path(tempfile.mkdtemp()) / "net.safetensors")
        >>> load(path).recipe.config
        LstmConfig(hidden=8)
    """
    arguments.instance("model", model, nnx.Module, "an nnx.Module, such as what `build` returns")
    path = refuse_existing(path, overwrite)
    metadata = {"class_names": list(class_names), **({"training": dict(training)} if training else {}), **_about(model)}
    metadata = {"format": "snnlab", "version": __version__} | {key: json.dumps(x) for key, x in metadata.items()}
    state = nnx.state(model)
    values = dict(nnx.to_flat_state(state))
    arrays = {name: without_key(values[place].get_value()) for name, place in short_names(state).items()}
    write_tensors(path, arrays, metadata)
    return path


@transfers_allowed()
def load(path: str | os.PathLike, *, into: nnx.Module | None = None) -> nnx.Module:
    """Rebuild a saved network; its outputs are bit-identical on the same machine.

    Args:
        path: of a file that `save` wrote.
        into: a network of your own, made as the saved one was, which then gets its values and is returned. Default: a
            new network, if `snnlab.models.build` made the saved one.

    Raises:
        ArgumentError: if `into` is no network.
        FileFormatError: if the file is missing, damaged, not written by snnlab, or of another network.

    Example:
        >>> import tempfile
        >>> net = build(SnnConfig(hidden=7, num_steps=5), sample_shape=(4, 4), num_classes=3, seed=1)
        >>> again = load(save(net, Path(tempfile.mkdtemp()) / "net.safetensors"))
        >>> x = jnp.ones((2, 4, 4))
        >>> bool((again(x).readout == net(x).readout).all())
        True
    """
    metadata, arrays = read_tensors(path)
    if into is not None:
        net = arguments.instance("into", into, nnx.Module, "an nnx.Module, made as the saved one was")
        _fill(net, arrays, path)
        return net
    if "recipe" not in metadata:
        raise FileFormatError(
            f"{path}: does not say how to build its network, because snnlab.models.build did not make it; "
            "make it yourself, and pass it as into="
        )
    try:
        net = _build(json.loads(metadata["recipe"]), sum(array.size for array in arrays.values()))
    except Exception as error:  # a file can give any argument any value
        reason = textwrap.shorten(str(error), 300)
        raise FileFormatError(f"{path}: its description of the network is damaged ({reason})") from error
    _fill(net, arrays, path)
    return net


def load_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """Read the metadata of a saved file.

    Args:
        path: of a file that `save` wrote.

    Returns:
        "version", "class_names", and if known "recipe" (kind, config, sample shape, classes), "encoder", "layers" (kind
        and settings of each, with its time step) and "training".

    Raises:
        FileFormatError: if the file is missing, damaged, or not written by snnlab.

    Example:
        >>> import tempfile
        >>> net = build(LstmConfig(hidden=8), sample_shape=(8, 8), num_classes=2)
        >>> path = save(net, Path(tempfile.mkdtemp()) / "net.safetensors", class_names=("cat", "dog"))
        >>> load_metadata(path)["class_names"]
        ['cat', 'dog']
    """
    metadata = read_tensors(path)[0]
    if metadata.get("format") != "snnlab":
        raise FileFormatError(f"{path}: is a safetensors file, but not one that snnlab wrote")
    try:
        found = {key: x if key in ("format", "version") else json.loads(x) for key, x in metadata.items()}
        arguments.instance("class_names", found.get("class_names", []), list, "a list of names")
        for name in (*found, *found.get("class_names", ())):
            arguments.name("class_names", name)
        return found
    except (ValueError, RecursionError) as error:  # an `ArgumentError` is a ValueError
        raise FileFormatError(f"{path}: its metadata are damaged ({textwrap.shorten(str(error), 300)})") from error


def _build(recipe: dict[str, Any], values: int) -> Network:
    """Build the network that a file describes; raise if it would have more values than the file."""
    config = KINDS[recipe["kind"]](**recipe["config"])
    shape = tuple(arguments.count("sample_shape", size) for size in recipe["sample_shape"])
    classes = arguments.count("num_classes", recipe["num_classes"])
    needed = _fewest_values(config, shape, classes)
    if needed > values:
        raise ValueError(f"it has at least {needed} values, but the file has only {values}")
    return build(config, sample_shape=shape, num_classes=classes)


def _fewest_values(config: SnnConfig | ConvConfig | LstmConfig, shape: tuple[int, ...], classes: int) -> int:
    """Return a number of values that the network has at least, without building it."""
    if isinstance(config, ConvConfig):
        sizes, inputs, values = shape[-2:], 1, 0
        for channels, (window, stride, pool) in zip(config.channels, config.geometry, strict=True):
            values, inputs = values + window**2 * inputs * channels, channels
            sizes = [max(0, ((size - 2 + window % 2) // stride + 1) // pool) for size in sizes]
        seen = (inputs * math.prod(sizes), *config.dense, classes)
        return values + sum(a * b for a, b in itertools.pairwise(seen))
    by_step = isinstance(config, LstmConfig) or config.code in ("rows", "delta")  # the first axis is time
    inputs = math.prod(shape[1:] if by_step else shape)
    widths = config.widths if isinstance(config, SnnConfig) else (config.hidden,)
    return max(widths[0] * inputs, widths[-1] * classes, *(a * b for a, b in itertools.pairwise(widths)), 0)


def _about(model: nnx.Module) -> dict[str, Any]:
    """Return what is known of how to build a model: its recipe, its encoder, its layers."""
    about: dict[str, Any] = {}
    known = describe(model)
    recipe, encoder = known.recipe, known.encoder
    if recipe is not None:
        kind = next(kind for kind, config in KINDS.items() if isinstance(recipe.config, config))
        about["recipe"] = {"kind": kind, "config": dataclasses.asdict(recipe.config)}
        about["recipe"] |= {"sample_shape": list(recipe.sample_shape), "num_classes": recipe.num_classes}
    if dataclasses.is_dataclass(encoder):
        moved = {name: rounded(float(knob.get_value())) for name, knob in getattr(model, "code", {}).items()}
        about["encoder"] = {"kind": type(encoder).__name__, **_settings(encoder), **moved}
    if known.stack is not None:
        named = known.stack.parts()
        about["layers"] = [{"name": name, "kind": type(part).__name__, **_settings(part)} for name, part in named]
    return about


def _settings(part) -> dict[str, Any]:
    """Return the attributes that are plain values; arrays are stored under names of their own."""
    return {key: value for key, value in vars(part).items() if isinstance(value, bool | int | float | str)}


def _fill(net: nnx.Module, arrays: dict[str, np.ndarray], path: str | os.PathLike) -> None:
    """Put arrays into a network; raise if one is missing, left over, out of range, or has another shape."""
    state = nnx.state(net)
    names, flat = short_names(state), dict(nnx.to_flat_state(state))
    if names.keys() != arrays.keys():
        odd = textwrap.shorten(", ".join(sorted(names.keys() ^ arrays.keys())), 300)
        raise FileFormatError(f"{path}: unexpected or missing arrays: {odd}")
    for name, place in names.items():
        own, array = flat[place].get_value(), arrays[name]
        value = without_key(own)
        alike = array.dtype == value.dtype or all(jnp.issubdtype(x.dtype, jnp.floating) for x in (array, value))
        if not alike or array.shape != value.shape:
            raise FileFormatError(f"{path}: {name} must be {value.dtype}{value.shape}, got {array.dtype}{array.shape}")
        if is_key(own):
            flat[place] = flat[place].replace(
                jax.random.wrap_key_data(jnp.asarray(array), impl=jax.random.key_impl(own))
            )
            continue
        try:
            check_values(name, flat[place], array)
        except ArgumentError as error:
            raise FileFormatError(f"{path}: {error}") from None
        flat[place] = flat[place].replace(jnp.asarray(array))
    nnx.update(net, nnx.from_flat_state(flat))
