"""A sweep as it is usually written: Optuna asks for a cell of the grid, and a snnTorch network is trained for it.

The network is that of `snnlab.SnnConfig()` on the digits: latency code, 64 -> Synaptic(100) -> a readout that never
fires, the mean of its voltage over time into a cross-entropy; Adam. Optuna's sampler and its store in memory cost
nothing here: what is measured are the networks.
"""

import time

import numpy as np
import optuna
import snntorch
import torch
from snntorch import surrogate

import snnlab
from benchmarks.peers.workload import CLASSES, SLOPE, TAU_OUT, TAU_SYN, Network, dense, firing_steps

BATCH = 128


class Net(torch.nn.Module):
    """The spiking network with a membrane time constant [ms] and a threshold."""

    def __init__(self, pixels: int, network: Network, tau_mem: float, v_th: float):
        super().__init__()
        (width,) = network.hidden
        slow, mem, out = (network.decay(tau) for tau in (TAU_SYN, tau_mem, TAU_OUT))
        fires = surrogate.fast_sigmoid(slope=SLOPE)
        self.first, self.second = (torch.nn.Linear(*shape, bias=False) for shape in ((pixels, width), (width, CLASSES)))
        self.hidden = snntorch.Synaptic(alpha=slow, beta=mem, threshold=v_th, spike_grad=fires)
        self.readout = snntorch.Synaptic(alpha=slow, beta=out, reset_mechanism="none", spike_grad=fires)
        self.gain = 1.0 - mem  # of an exponential Euler step

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        currents, state, last = self.gain * self.first(spikes), self.hidden.reset_mem(), self.readout.reset_mem()
        seen = []
        for current in currents.unbind(0):
            fired, *state = self.hidden(current, *state)
            _, *last = self.readout(self.second(fired), *last)
            seen.append(last[1])
        return torch.stack(seen).mean(0)


def seconds_of_trials(cells: list[tuple[float, float]], epochs: int) -> tuple[list[float], list[float]]:
    """Train a network for each cell (tau_mem, v_th); return the seconds of each, and its accuracy."""
    torch.manual_seed(0)
    digits, network = snnlab.load_data("digits"), Network()
    parts = {name: digits.part(name) for name in ("train", "test")}
    steps = {name: firing_steps(part.x.reshape(len(part.x), -1) / 255.0, network) for name, part in parts.items()}
    labels = {name: torch.from_numpy(part.targets.values.astype(np.int64)) for name, part in parts.items()}
    test = torch.from_numpy(dense(steps["test"], 1.0, network))
    seconds: list[float] = []

    def objective(trial: optuna.Trial) -> float:
        started = time.perf_counter()
        tau_mem, v_th = cells[trial.suggest_int("cell", 0, len(cells) - 1)]
        net = Net(steps["train"].shape[1], network, tau_mem, v_th)
        adam = torch.optim.Adam(net.parameters(), 0.01)
        for _ in range(epochs):
            for batch in torch.randperm(len(labels["train"]))[: len(labels["train"]) // BATCH * BATCH].split(BATCH):
                spikes = torch.from_numpy(dense(steps["train"][batch.numpy()], 1.0, network))
                loss = torch.nn.functional.cross_entropy(net(spikes), labels["train"][batch])
                adam.zero_grad()
                loss.backward()
                adam.step()
            with torch.no_grad():
                accuracy = float((net(test).argmax(1) == labels["test"]).float().mean())
        seconds.append(time.perf_counter() - started)
        return accuracy

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.GridSampler({"cell": list(range(len(cells)))})
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.optimize(objective, n_trials=len(cells))
    return seconds, [trial.values[0] for trial in study.trials]
