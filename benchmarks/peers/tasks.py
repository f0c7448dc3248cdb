"""What is measured and who takes part. Data only: whatever a contender imports, its worker imports."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.peers.workload import ADAPTIVE, CONV, DEEP, NORMALIZED, RECURRENT, REFERENCE, Measured, Network


@dataclass(frozen=True)
class Contender:
    """One row of a table.

    Attributes:
        label: how it is called there.
        package: the distribution whose version is told.
        factory: `module:function` in this package; called with the data folder and `options` it returns `run(steps)`.
        note: where it differs from snnlab, or what was chosen for it.
        options: see above.
        environment: variables of its process.
    """

    label: str
    package: str
    factory: str
    note: str
    options: dict = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=lambda: AS_ALWAYS)

    def build(self, folder: str) -> Callable[[int], Measured]:
        """Import what it needs, and set up its training loop."""
        module, _, function = self.factory.partition(":")
        return getattr(importlib.import_module(f"benchmarks.peers.{module}"), function)(folder, **self.options)


@dataclass(frozen=True, kw_only=True)
class Task:
    """One table.

    Attributes:
        title: what is measured.
        about: what counts, and what does not.
        unit: of its numbers.
        per_epoch: seconds an epoch instead of milliseconds a step.
        share: how many of the steps asked for are taken in one call: a step of the LSTM is shorter, one of convolutions
            longer.
        contenders: by name, the first one is what the others are compared to.
    """

    title: str
    about: str
    unit: str
    per_epoch: bool
    share: float
    contenders: dict[str, Contender]

    def value(self, measured: dict) -> float:
        """One number of one call."""
        return measured["seconds"] if self.per_epoch else 1000.0 * measured["seconds"] / measured["steps"]


AUTO, NO_KERNELS = ({"SNNLAB_KERNELS": choice} for choice in ("auto", "reference"))
AS_ALWAYS = {"MALLOC_ARENA_MAX": "0"}  # the default: the memory that `import snnlab` sets up is not for the peers
COUNTED = "The peers get dense float32 spikes that were made before and are not counted, and measure nothing but the "
COUNTED += "loss. snnlab gets uint8 images: its latency code, shuffled selection of samples, accuracy, gradient norm "
COUNTED += "and history are counted."

PEERS = {  # by name: label, package, where it is built, and where it differs
    "brainpy": ("BrainPy", "brainpy", "brainpy_snn:build", "own jitted step; equal equations"),
    "spyx": ("Spyx", "spyx", "spyx_snn:build", "CuBaLIF; spikes from v before the step, v > threshold"),
    "jaxpike": ("jaxpike", "jaxpike", "jaxpike_snn:build", "LIF behind LeakyIntegrator; v > threshold"),
    "sparx": ("sparx", "sparxml", "sparx_snn:build", "LICell, LIFCell; equal equations"),
    "snntorch": (
        "snnTorch",
        "snntorch",
        "snntorch_snn:build",
        "Synaptic, StateLeaky; v > threshold; reset detached and one step late",
    ),
    "spikingjelly": (
        "SpikingJelly",
        "spikingjelly",
        "spikingjelly_snn:build",
        "CUBALIFNode; Euler steps of the readout; surrogate SoftSign(2)",
    ),
    "norse": ("Norse", "norse", "norse_snn:build", "LIF, LI; Euler steps; hard reset; surrogate 1 / (|x| + 1)^2"),
}


def contenders(network: Network, **differs: str) -> dict[str, Contender]:
    """snnlab, and the peers that can build a network: where each differs; an empty note leaves it at `PEERS`."""
    found = {"snnlab": Contender("snnlab", "snnlab", "snnlab_trainer:snn", "Trainer", {"network": network}, AUTO)}
    for name, note in differs.items():
        *known, usual = PEERS[name]
        found[name] = Contender(*known, note or usual, {"network": network})
    return found


SNN = Task(
    title="Training step of the spiking network",
    about=f"Forward, backward and Adam; batch 256, 100 time steps, 784-100-10. {COUNTED}",
    unit="ms/step",
    per_epoch=False,
    share=1.0,
    contenders={
        **contenders(REFERENCE, **dict.fromkeys(PEERS, "")),
        "snnlab-reference": Contender(
            "snnlab, reference",
            "snnlab",
            "snnlab_trainer:snn",
            "without kernels",
            {"network": REFERENCE, "fused": False},
            NO_KERNELS,
        ),
        "brainpy-bptt": Contender(
            "BrainPy, BPTT",
            "brainpy",
            "brainpy_bptt:steps",
            "the tutorial's network and trainer; readout one step late",
        ),
        "snntorch-events": Contender(
            "snnTorch, EmbeddingBag",
            "snntorch",
            "snntorch_snn:build_from_events",
            "as before, but event-driven input by a torch.nn.EmbeddingBag: no feature of snnTorch",
            {"network": REFERENCE},
        ),
    },
)

DEEPER = Task(
    title="Training step of two hidden layers",
    about=f"As before, 784-256-128-10. {COUNTED}",
    unit="ms/step",
    per_epoch=False,
    share=0.5,
    contenders=contenders(DEEP, **dict.fromkeys(PEERS, "")),
)

FEEDBACK = Task(
    title="Training step of the recurrent spiking network",
    about=f"784-100-10, the 100 neurons reach each other one step later. {COUNTED} Left out: BrainPy, whose layers "
    "would have to be stepped together.",
    unit="ms/step",
    per_epoch=False,
    share=0.5,
    contenders=contenders(
        RECURRENT,
        spyx="RCuBaLIF; spikes from v before the step, v > threshold",
        jaxpike="Graph of LIF behind LeakyIntegrator; v > threshold",
        sparx="RecurrentCell; equal equations",
        snntorch="RSynaptic without its bias; v > threshold; reset detached and one step late",
        spikingjelly="CUBALIFNode, stepped; Euler steps of the readout; surrogate SoftSign(2)",
        norse="LIFRecurrent, which weighs the input step by step; Euler steps; hard reset",
    ),
)

ADAPTS = Task(
    title="Training step of neurons with an adaptive threshold",
    about=f"784-100-10, a spike raises the threshold by 0.2 for 200 ms. {COUNTED} Left out: snnTorch has no such "
    "neuron; SpikingJelly's adaptation is a current; BrainPy's belongs to an older interface.",
    unit="ms/step",
    per_epoch=False,
    share=0.5,
    contenders=contenders(
        ADAPTIVE,
        spyx="LI, ALIF; spikes from v before the step; a spike raises the threshold by 1 - decay",
        jaxpike="ALIF behind LeakyIntegrator; subtracts the risen threshold; v > threshold",
        sparx="LICell, ALIFCell; equal equations",
        norse="LSNN, LI; Euler steps; hard reset; surrogate 1 / (|x| + 1)^2",
    ),
)

CONVOLUTIONS = Task(
    title="Training step of the convolutional spiking network",
    about="Forward, backward and Adam; batch 128, 50 time steps of 2 ms, 28 x 28 pixels, 16 and 32 channels of 3 x 3, "
    f"sums of 2 x 2 pixels, 10 outputs. {COUNTED} Left out: BrainPy, whose neurons here have one axis.",
    unit="ms/step",
    per_epoch=False,
    share=1 / 6,
    contenders=contenders(CONV, spyx="", jaxpike="", sparx="", snntorch="", spikingjelly="", norse=""),
)

NORM = Task(
    title="Training step of the normalized convolutional network",
    about="The network that `snnlab train conv` trains by default. Batch 128, 4 time steps of 10 ms, 28 x 28 pixels as "
    "constant currents, 32 and 64 channels of 3 x 3 and sums of 2 x 2 pixels, 256 neurons, 10 outputs; batch "
    "normalization in front of every neuron, no synapses. The peers get float32 images that were made before, convolve "
    "them once for all steps, and measure nothing but the loss. snnlab gets uint8 images: shuffled selection of "
    "samples, accuracy, gradient norm and history are counted. Left out: BrainPy, whose neurons here have one axis.",
    unit="ms/step",
    per_epoch=False,
    share=1 / 3,
    contenders=contenders(
        NORMALIZED,
        spyx="LIF, nnx.BatchNorm; spikes from v before the step, v > threshold",
        jaxpike="LIF, equinox.nn.BatchNorm; v > threshold",
        sparx="LIFCell, nnx.BatchNorm; equal equations",
        snntorch="Leaky, torch.nn.BatchNorm; v > threshold; reset detached and one step late",
        spikingjelly="LIFNode, torch.nn.BatchNorm; surrogate SoftSign(2)",
        norse="LIFBoxCell, torch.nn.BatchNorm; v > threshold; surrogate 1 / (|x| + 1)^2",
    ),
)

EPOCH = Task(
    title="Epoch of the spiking network",
    about="234 steps on 60,000 images with all that belongs to it: shuffling, latency code, batches, metrics; without "
    "evaluation of the test set and without compilation.",
    unit="s/epoch",
    per_epoch=True,
    share=1.0,
    contenders={
        "snnlab": Contender("snnlab", "snnlab", "snnlab_trainer:epochs", "Trainer, whole epochs", {}, AUTO),
        "brainpy": Contender(
            "BrainPy, as in its tutorial",
            "brainpy",
            "brainpy_bptt:epochs",
            "BPTT.fit; batches written by index on the device",
            {"tuned": False},
        ),
        "brainpy-tuned": Contender(
            "BrainPy, tuned", "brainpy", "brainpy_bptt:epochs", "batches filled in NumPy, time first", {"tuned": True}
        ),
    },
)

LSTM = Task(
    title="Training step of the LSTM",
    about="Forward, backward and Adam; batch 256, 28 rows of 28 pixels, 100 units, 10 outputs at every row, their "
    "maximum over time. Input as in the spiking network: float32 rows made before for the peers, uint8 images for "
    "snnlab.",
    unit="ms/step",
    per_epoch=False,
    share=3.0,
    contenders={
        "snnlab": Contender("snnlab", "snnlab", "snnlab_trainer:lstm", "Trainer, in its chunks", {}, AUTO),
        "torch": Contender("PyTorch", "torch", "torch_lstm:build", "torch.nn.LSTM; two biases per gate"),
        "brainpy": Contender("BrainPy", "brainpy", "brainpy_lstm:build", "dyn.LSTMCell in for_loop, own jitted step"),
        "flax": Contender("Flax", "flax", "flax_lstm:build", "nnx.RNN(nnx.OptimizedLSTMCell)"),
    },
)

TASKS = {
    "snn": SNN,
    "lstm": LSTM,
    "deep": DEEPER,
    "recurrent": FEEDBACK,
    "alif": ADAPTS,
    "conv": CONVOLUTIONS,
    "norm": NORM,
    "epoch": EPOCH,
}
