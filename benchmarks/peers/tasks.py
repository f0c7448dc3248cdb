"""What is measured and who takes part. Data only: whatever a contender imports, its worker imports."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.peers.workload import Measured


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
    environment: dict[str, str] = field(default_factory=dict)

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
        share: how many of the steps asked for are taken in one call: a step of the LSTM is shorter.
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


AUTO, REFERENCE = ({"SNNLAB_KERNELS": choice} for choice in ("auto", "reference"))
DETACHED = "spikes where v > threshold; reset detached and one step late"

SNN = Task(
    title="Training step of the spiking network",
    about="Forward, backward and Adam; batch 256, 100 time steps, 784-100-10. The peers get dense float32 spikes that "
    "were made before and are not counted, and measure nothing but the loss. snnlab gets uint8 images: its latency "
    "code, shuffled selection of samples, accuracy, gradient norm and history are counted.",
    unit="ms/step",
    per_epoch=False,
    share=1.0,
    contenders={
        "snnlab": Contender("snnlab", "snnlab", "snnlab_trainer:snn", "Trainer, in its chunks", {"fused": True}, AUTO),
        "snnlab-reference": Contender(
            "snnlab, reference", "snnlab", "snnlab_trainer:snn", "without kernels", {"fused": False}, REFERENCE
        ),
        "brainpy": Contender(
            "BrainPy", "brainpy", "brainpy_snn:build", "layer by layer, own jitted step; equal equations"
        ),
        "brainpy-bptt": Contender(
            "BrainPy, BPTT",
            "brainpy",
            "brainpy_bptt:steps",
            "the tutorial's network and trainer; readout one step late",
        ),
        "spyx": Contender(
            "Spyx",
            "spyx",
            "spyx_snn:build",
            "CuBaLIF; spikes from v before the step, v > threshold; decays not learned",
        ),
        "snntorch": Contender("snnTorch", "snntorch", "snntorch_snn:build", f"Synaptic, StateLeaky; {DETACHED}"),
        "snntorch-events": Contender(
            "snnTorch, EmbeddingBag",
            "snntorch",
            "snntorch_snn:build_from_events",
            "as before, but event-driven input by a torch.nn.EmbeddingBag: no feature of snnTorch",
        ),
        "spikingjelly": Contender(
            "SpikingJelly", "spikingjelly", "spikingjelly_snn:build", "multi-step; Euler steps; surrogate SoftSign(2)"
        ),
        "norse": Contender(
            "Norse", "norse", "norse_snn:build", "LIF, LI; Euler steps; hard reset; surrogate 1 / (|x| + 1)^2"
        ),
    },
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

TASKS = {"snn": SNN, "lstm": LSTM, "epoch": EPOCH}
