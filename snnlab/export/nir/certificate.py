"""Write a NIR file, state what its reader must assume, and measure the agreement by reading it again."""

import os
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from snnlab.export.nir.constants import NO_SPIKE_THRESHOLD
from snnlab.export.nir.file import read_graph, write_graph
from snnlab.export.nir.graph import opened
from snnlab.export.nir.read import build
from snnlab.export.nir.write import as_stack, time_step, to_nir
from snnlab.layers import IF, Graph, LifRef, Stack, Threshold
from snnlab.models import Network
from snnlab.record import Record
from snnlab.support.files import refuse_existing
from snnlab.support.transfers import transfers_allowed

SPIKING = LifRef | IF
RANDOM = {"steps": 100, "batch": 16, "rate": 0.05}  # random input, if no samples are given


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well a network and its file, read again, agree on the same input.

    Attributes:
        spikes: per layer, the number of spikes in common (same neuron and step), of the network, and of the file.
        classes: number of samples whose readout peaks at the same unit, and number of samples.
        readout_error: largest difference between the readouts.

    Example:
        >>> print(Agreement(spikes={"hidden": (90, 100, 95)}, classes=(9, 10), readout_error=0.02))
        hidden 90 of 100 spikes (the file fires 95), class 9 of 10, readout to 0.02
    """

    spikes: dict[str, tuple[int, int, int]]
    classes: tuple[int, int]
    readout_error: float

    def __str__(self) -> str:
        said = []
        for name, (both, own, read) in self.spikes.items():
            said.append(f"{name} {both} of {own} spikes" + (f" (the file fires {read})" if read != own else ""))
        return ", ".join([*said, "class {} of {}".format(*self.classes), f"readout to {self.readout_error:.1g}"])


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What the reader of a NIR file must assume, and how well it then reproduces the network.

    Attributes:
        path: of the file.
        assumptions: pairs of a keyword and a sentence.
        measured: the `Agreement`, by the way the file was read.

    Example:
        >>> agreed = Agreement(spikes={}, classes=(10, 10), readout_error=2e-6)
        >>> said = (("step", "h = 0.001 s"),)
        >>> Certificate(path=Path("net.nir"), assumptions=said, measured={"as assumed": agreed})
        net.nir: its reader must assume
          step      h = 0.001 s
          measured  as assumed: class 10 of 10, readout to 2e-06
    """

    path: Path
    assumptions: tuple[tuple[str, str], ...]
    measured: dict[str, Agreement]

    def __str__(self) -> str:
        lines = [*self.assumptions, *(("measured", f"{how}: {agreement}") for how, agreement in self.measured.items())]
        return "\n".join([f"{self.path}: its reader must assume", *(f"  {word:<9} {text}" for word, text in lines)])

    __repr__ = __str__


@transfers_allowed()
def save_nir(
    model: nnx.Module,
    path: str | os.PathLike,
    *,
    samples=None,
    overwrite: bool = False,
    method: str = "euler",
    reader_dt: float | None = None,
    unit_gain: bool = False,
    readout: str = "li",
) -> Certificate:
    """Write a network to a NIR file, read it again, and compare the two.

    Args:
        model, method, reader_dt, unit_gain, readout: see `to_nir`.
        path: of the file; missing folders are made.
        samples: input to compare on, as the model takes it; default random spikes (5 % of units and steps).
        overwrite: replace an existing file.

    Returns:
        The certificate; it prints as text.

    Raises:
        ArgumentError: as `to_nir`, or if the file exists and `overwrite` is False.
        WriteError: if it cannot be written.
        SnnlabError: if the extra `nir` is not installed.

    Example:
        >>> import tempfile
        >>> net = Stack(hidden=LifRef(3, tau_mem=10.0, v_th=0.2, reset="value"))
        >>> certificate = save_nir(net, Path(tempfile.mkdtemp()) / "net.nir")
        >>> both, own, read = certificate.measured["as assumed"].spikes["hidden"]
        >>> both == own == read > 0
        True
    """
    refuse_existing(path, overwrite)
    options = {"method": method, "reader_dt": reader_dt, "unit_gain": unit_gain, "readout": readout}
    graph = to_nir(model, **options)
    path = write_graph(graph, path, overwrite=overwrite)
    stack = as_stack(model)
    h = reader_dt or time_step(stack)
    x = _input(model, graph, samples)
    resets = {part.reset for _, part in stack.parts() if isinstance(part, SPIKING)} or {"value"}
    own = stack(x)
    nodes = opened(read_graph(path))
    read = {kind: build(nodes, h, method, {"reset": kind}) for kind in sorted(resets | {"value"})}
    measured = {}
    if len(resets) == 1:
        measured["as assumed"] = _compare(own, read[next(iter(resets))](x))
    if resets != {"value"}:
        measured["with NIR's own reset, v <- v_reset"] = _compare(own, read["value"](x))
    return Certificate(path=path, assumptions=tuple(_assumptions(model, stack, h, options)), measured=measured)


def _input(model: nnx.Module, graph, samples):
    """Return the input of the first layer."""
    if samples is not None:
        samples = jnp.asarray(samples)
        return model.encode(samples, key=jax.random.key(0)) if isinstance(model, Network) else samples
    units = int(np.prod(graph.input_type["input"]))
    shape = (RANDOM["steps"], RANDOM["batch"], units)
    return jax.random.bernoulli(jax.random.key(0), RANDOM["rate"], shape).astype(jnp.float32)


def _compare(own: Record, read: Record) -> Agreement:
    spikes = {}
    for name in own.spikes.keys() & read.spikes.keys():
        a, b = (np.asarray(record.spikes[name]) > 0 for record in (own, read))
        spikes[name] = int((a & b).sum()), int(a.sum()), int(b.sum())
    peaks = [np.asarray(record.peak).argmax(-1) for record in (own, read)]
    return Agreement(
        spikes={name: spikes[name] for name in own.spikes if name in spikes},
        classes=(int((peaks[0] == peaks[1]).sum()), len(peaks[0])),
        readout_error=float(np.abs(np.asarray(own.readout) - np.asarray(read.readout)).max()),
    )


def _assumptions(model: nnx.Module, stack: Stack, h: float, options: dict):
    """Yield what NIR leaves open, and what it cannot express."""
    step = "v <- v + (h / tau) (v_leak - v + r I)"
    if options["method"] == "exponential":
        step = "v <- v_leak + (v - v_leak) e^(-h/tau) + (1 - e^(-h/tau)) r I"
    yield "step", f"h = {h / 1000.0:g} s, for {time_step(stack):g} ms of the network; {step}"
    yield "order", "a spike counts 1 for one step; a synapse is stepped first, the voltage takes its new current;"
    yield "", "from a neuron to itself spikes take one step; all begin at rest, v = v_leak, without current"
    if isinstance(stack, Graph):
        for a, b in stack.late:
            yield "", f"from {a} to {b} a signal takes one step, because a cycle closes there"
    spiking = {name: part for name, part in stack.parts() if isinstance(part, SPIKING)}
    if spiking or any(isinstance(part, Threshold) for _, part in stack.parts()):
        yield "spike", "at v > v_threshold, strictly: written one float32 below v_th, as the network fires at v >= v_th"
    for name, part in spiking.items():
        said = "v <- v_reset" if part.reset == "value" else "v <- v - (v_threshold - v_reset); NIR cannot express this"
        yield "reset", f"{name}: {said}"
    if options["readout"] == "lif":
        yield "readout", f"the voltage of the last node, which never fires (v_threshold = {NO_SPIKE_THRESHOLD:g})"
    if isinstance(model, Network):
        yield "left out", f"the encoder, {model.encoder!r}: the graph takes what it returns"
    for name, part in spiking.items():
        yield "left out", f"{name}: surrogate gradient with slope {np.mean(part.slope[...]):.3g}, and what is learned"
