"""`python -m benchmarks.gpu`: what a training step takes on this machine's GPU.

The spiking reference network on Fashion-MNIST, a step and an epoch; and a recurrent network of the size of the Spiking
Heidelberg Digits, 700-128-20, 256 time steps, on random spikes. By snnlab with its fused kernels, without them and with
the reference, and by Spyx and SpikingJelly where they are installed. Each runs in a process of its own, one after the
other. A row of snnlab names the backend that ran: if the fused kernels fail their first run, it is not "cuda". On a
machine without a GPU it says so. Takes a few minutes.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.machine import version
from benchmarks.peers.workload import COCHLEA, REFERENCE, Measured, Network
from benchmarks.tables import show, write

ROOT = Path(__file__).parents[1]
STEPS, CALLS = 200, 5  # timed steps of a call, and calls; one more call before them compiles
EPOCH = 60_000 // REFERENCE.batch  # steps
NETWORKS = {"reference": REFERENCE, "cochlea": COCHLEA}
TITLES = {
    "reference": "The spiking reference network, 784-100-10, 100 time steps, batch 256",
    "cochlea": "A recurrent network, 700-128-20, 256 time steps, batch 128, random spikes",
}
NO_GPU = """\
There is no GPU here that JAX can use: its devices are {devices}. This benchmark needs an NVIDIA GPU and
    python -m pip install "jax[cuda13]" spyx spikingjelly cupy-cuda13x
What a GPU would have to launch is counted without one: python -m benchmarks.launches"""


@dataclass(frozen=True)
class Contender:
    """One row: how it is called, the distribution that has to be there, and the variables of its process."""

    label: str
    package: str
    backend: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """snnlab's backend is chosen by a variable; none of them may take the memory of the others."""
        chosen = {"SNNLAB_KERNELS": self.backend} if self.package == "snnlab" else {}
        return chosen | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}


CONTENDERS = {
    "snnlab": Contender("snnlab", "snnlab", "auto"),
    "snnlab-unfused": Contender("snnlab, not fused", "snnlab", "gpu"),
    "snnlab-reference": Contender("snnlab, reference", "snnlab", "reference"),
    "spyx": Contender("Spyx", "spyx"),
    "spikingjelly": Contender("SpikingJelly, torch", "spikingjelly", "torch"),
    "spikingjelly-cupy": Contender("SpikingJelly, cupy", "spikingjelly", "cupy"),
}


def build(name: str, network: Network, folder: str) -> Callable[[int], Measured]:
    """Set up the training loop of a contender, in its own process."""
    contender = CONTENDERS[name]
    if contender.package == "snnlab":
        from benchmarks.peers import snnlab_trainer

        return snnlab_trainer.snn(folder, network, fused=contender.backend != "reference")
    if contender.package == "spyx":
        from benchmarks.peers import spyx_snn

        return spyx_snn.build(folder, network)
    import torch

    from benchmarks.peers import spikingjelly_snn

    if not torch.cuda.is_available():
        raise RuntimeError("this PyTorch has no CUDA")
    torch.set_default_device("cuda")
    return spikingjelly_snn.build(folder, network, contender.backend)


def work(name: str, network: str, folder: str, steps: int, calls: int) -> dict:
    """Take the steps; return milliseconds a step of every call, and what was learned."""
    run = build(name, NETWORKS[network], folder)
    run(steps)
    measured = [run(steps) for _ in range(calls)]
    times = [1000.0 * one.seconds / one.steps for one in measured]
    ran = CONTENDERS[name].backend
    if CONTENDERS[name].package == "snnlab":
        from snnlab import kernels

        ran = kernels.backend()
    return {"times": times, "loss": measured[-1].loss, "spikes": measured[-1].spikes, "backend": ran}


def measured(name: str, network: str, folder: str, tell: Callable[[str], None]) -> list:
    """Return the row of a contender: its label, version, the backend that ran, milliseconds a step, their range,
    seconds an epoch; or why there are none."""
    contender = CONTENDERS[name]
    if importlib.util.find_spec(contender.package) is None:
        return [contender.label, "not installed", "", "", "", "", ""]
    tell(f"{contender.label}, {network}")
    command = [sys.executable, "-m", "benchmarks.gpu", "--data", folder, "--worker", name, network]
    done = subprocess.run(
        command, env=os.environ | contender.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        why = (done.stderr.strip() or "nothing was written").splitlines()[-1]
        return [contender.label, version(contender.package), "", f"failed: {why:.100}", "", "", ""]
    found = json.loads(done.stdout.splitlines()[-1])
    middle, times = median(found["times"]), found["times"]
    epoch = f"{middle * EPOCH / 1000.0:.3f}" if network == "reference" else ""
    return [
        contender.label,
        version(contender.package),
        found["backend"],
        f"{middle:.3f}",
        f"{min(times):.3f}-{max(times):.3f}",
        epoch,
        f"{found['loss']:.3f}",
    ]


def gpus() -> list[str]:
    """The GPUs that JAX can use, by name; empty if there are none."""
    import jax

    try:
        return [device.device_kind for device in jax.devices("gpu")]
    except RuntimeError:
        return []


def main() -> None:
    """Measure, print, write; or say that there is nothing to measure on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "--data", default=str(ROOT.parent / "shared/data/fashion-mnist"), help="folder of Fashion-MNIST"
    )
    parser.add_argument("--worker", nargs=2, metavar=("NAME", "NETWORK"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(work(*options.worker, options.data, STEPS, CALLS)))
        return
    found = gpus()
    if not found:
        import jax

        print(NO_GPU.format(devices=", ".join(str(device) for device in jax.devices())), file=sys.stderr)
        sys.exit(2)
    columns, tables = ["contender", "version", "backend", "ms/step", "range", "s/epoch", "last loss"], []
    for network, title in TITLES.items():
        rows = [
            measured(name, network, options.data, lambda text: print(text, file=sys.stderr, flush=True))
            for name in CONTENDERS
        ]
        about = (
            f"On {found[0]}. Median of {CALLS} calls of {STEPS} steps. snnlab gets images or events, the peers dense "
        )
        about += "spikes that lie on the GPU already. An epoch is 234 steps, without the test."
        tables.append({"title": title, "about": about, "columns": columns, "rows": rows})
        show(tables[-1])
    write(ROOT / "benchmarks" / "results" / "gpu.json", tables, gpus=found)


if __name__ == "__main__":
    main()
