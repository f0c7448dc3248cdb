"""`python -m benchmarks.launches`: what a training step launches on a GPU that is not there.

XLA compiles for a GPU from a description of it: here for an H100. Its optimized program tells which kernels are
launched, and how often; it does not tell how long they take. Needs the extra `absent-gpu`, but no GPU and no driver.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Before JAX looks for its plugins: that for NVIDIA's GPUs would ask for libraries that only a run needs.
os.environ.setdefault("JAX_SKIP_CUDA_CONSTRAINTS_CHECK", "1")

import jax
import numpy as np
from jax.experimental import topologies
from jax.sharding import NamedSharding, PartitionSpec

import snnlab
from benchmarks.machine import version
from benchmarks.peers.workload import COCHLEA, DEEP, PIXELS, RECURRENT, REFERENCE, SIDE, Network
from benchmarks.tables import show, write
from snnlab.data.targets import Targets

NETWORKS = {"reference": REFERENCE, "deep": DEEP, "recurrent": RECURRENT, "cochlea": COCHLEA}
SIZES = {"reference": "784-100-10, T = 100", "deep": "784-256-128-10, T = 100"}
SIZES |= {"recurrent": "784-100-10, recurrent, T = 100", "cochlea": "700-128-20, recurrent, T = 256"}
BACKENDS = ("reference", "gpu", "cuda")

# What XLA has to know of a GPU: the data sheet of the H100 SXM, and what CUDA reports of one.
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152 shared_memory_per_core: 233472
  threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128 block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535 block_dim_limit_z: 65535 memory_bandwidth: 3352320000000 l2_cache_size: 52428800
  clock_rate_ghz: 1.98 device_memory_size: 84929347584 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 } registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 minor: 0 patch: 0 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""

ABOUT = """\
A whole training step: code, forward, backward, metrics, Adam; batch 256 (700-128-20: 128). Compiled by XLA for an \
H100 on a machine without a GPU, and counted in the optimized program: instructions that launch a kernel or a copy. \
Nothing was run: this tells the structure of the program, not its time, for which `python -m benchmarks.gpu` needs a \
GPU. Kernels were chosen without trying them (autotuning off), by JAX {jax}, jax-cuda13-plugin {plugin}."""

FREE = {"after-all", "bitcast", "constant", "get-tuple-element", "opt-barrier", "parameter", "tuple"}  # launch nothing

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.\-]+ = .*? ([a-z][\w\-]*)\(")
_CALLED = re.compile(r"(?:to_apply|calls)=%?([\w.\-]+)")
_BODY = re.compile(r"body=%?([\w.\-]+)")
_OURS = re.compile(r'kernel_type = "ptx", name = "(\w+)"')
_TURNS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


class Loop(NamedTuple):
    """A loop of a program: how many turns it takes, and the launches of one."""

    turns: int
    launches: int


class Launches(NamedTuple):
    """The kernels that a program launches: those of each loop, and those outside of loops; and names of our own."""

    loops: tuple[Loop, ...]
    outside: int
    ours: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All launches of one run of the program."""
        return self.outside + sum(loop.turns * loop.launches for loop in self.loops)


def count(program: str) -> Launches:
    """Count the launches of an optimized program of XLA.

    Every instruction of the first computation counts that is not `FREE`, and so does every one of the body of a loop in
    each turn. Copies count, although some of them vanish when a step is part of a larger program.

    Raises:
        ValueError: if a loop stands in another, or does not say how often it runs.
    """
    computations, entry = _computations(program)
    loops = []

    def launches(name: str) -> int:
        total = 0
        for kind, line in computations[name]:
            if kind == "while":
                turns, body = _TURNS.search(line), _BODY.search(line)
                if turns is None or body is None or name != entry:
                    raise ValueError(f"a loop in another, or without a known number of turns: {line.strip():.200}")
                loops.append(Loop(int(turns[1]), launches(body[1])))
            elif kind == "call":
                total += sum(launches(called) for called in _CALLED.findall(line))
            elif kind not in FREE and not kind.endswith("-done"):
                total += 1
        return total

    outside = launches(entry)
    return Launches(tuple(loops), outside, tuple(sorted(_OURS.findall(program))))


def _computations(program: str) -> tuple[dict[str, list[tuple[str, str]]], str]:
    """Return the instructions of every computation, each behind its kind, and the name of the first computation."""
    computations: dict[str, list[tuple[str, str]]] = {}
    name = entry = ""
    for line in program.splitlines():
        if begins := _COMPUTATION.match(line):
            name = begins[2]
            computations[name] = []
            entry = name if begins[1] else entry
        elif name and (instruction := _INSTRUCTION.match(line)):
            computations[name].append((instruction[1], line))
    return computations, entry


def compiled(function: Callable, *arguments) -> str:
    """Compile a function for one H100 and return the optimized program. Arguments may be shapes with types."""
    topology = topologies.get_topology_desc(platform="cuda", target_config=H100, topology="1x1x1")
    where = NamedSharding(topologies.make_mesh(topology, (1,), ("x",)), PartitionSpec())
    lowered = jax.jit(function, in_shardings=where, out_shardings=where).lower(*arguments)
    # There is no GPU on which XLA could try which variant of a kernel is the fastest.
    return lowered.compile(compiler_options={"xla_gpu_autotune_level": 0}).as_text()


def step(network: Network) -> tuple[Callable, tuple]:
    """Return a whole training step, with code, loss, metrics and Adam, and the shapes of its arguments."""
    from benchmarks.peers.snnlab_trainer import events, trainer

    data = events(network) if network.inputs != PIXELS else _images(network)
    made, batch = trainer(data, network), np.arange(network.batch)
    arguments = made.state, np.asarray(data.x_train[batch]), Targets(values=data.y_train[batch].astype(np.int32))
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), arguments)
    return made.stepper.structure.step, shapes


def _images(network: Network) -> snnlab.Dataset:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (network.batch, SIDE, SIDE)).astype(np.uint8)
    y = np.arange(network.batch) % network.classes
    return snnlab.Dataset(name="noise", x_train=x, y_train=y, x_test=x, y_test=y)


def counted(name: str, backend: str) -> Launches:
    """Count in a process of its own, which sets the backend and finds the plugin.

    Raises:
        RuntimeError: if the step cannot be compiled there; the last line of what it wrote.
    """
    environment = os.environ | {"SNNLAB_KERNELS": backend, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-m", "benchmarks.launches", name]
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[1], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip() or "nothing was written").splitlines()[-1])
    loops, outside, ours = json.loads(done.stdout.splitlines()[-1])
    return Launches(tuple(Loop(*loop) for loop in loops), outside, tuple(ours))


def main() -> None:
    """Count for every network and backend; print and write a table."""
    rows = []
    for name, size in SIZES.items():
        found = [counted(name, backend) for backend in BACKENDS]
        for backend, launches in zip(BACKENDS, found, strict=True):
            loops = ", ".join(f"{loop.turns} x {loop.launches}" for loop in launches.loops)
            rows.append([size, backend, len(launches.loops), loops, launches.outside, launches.total])
    table = {
        "title": "Kernel launches of a training step",
        "about": ABOUT.format(jax=jax.__version__, plugin=version("jax-cuda13-plugin")),
        "columns": ["network", "backend", "loops", "turns x launches of one", "outside of loops", "launches"],
        "rows": rows,
    }
    show(table)
    write(Path(__file__).parent / "results" / "launches.json", [table])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        function, shapes = step(NETWORKS[sys.argv[1]])
        print(json.dumps(count(compiled(function, *shapes))))
    else:
        main()
