"""Spiking networks in Norse: its modules over whole sequences, each with its own synapse."""

import norse.torch as norse
import torch
from norse.torch.functional.lif_box import LIFBoxParameters
from norse.torch.functional.lsnn import LSNNParameters
from norse.torch.functional.reset import reset_subtract
from norse.torch.module.lsnn import LSNN

from benchmarks.peers import torch_step
from benchmarks.peers.torch_step import Layered
from benchmarks.peers.workload import (
    BETA,
    TAU_ADAPT,
    TAU_OUT,
    TAU_SYN,
    Loop,
    Network,
    initial_weights,
    spike_batches,
)


class Spikes(torch.nn.Module):
    """What a module of Norse returns, without its last state."""

    def __init__(self, module: torch.nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)[0]


def _rates(tau_mem: float) -> dict[str, torch.Tensor]:
    """Inverse time constants, per millisecond."""
    return {"tau_syn_inv": torch.tensor(1.0 / TAU_SYN), "tau_mem_inv": torch.tensor(1.0 / tau_mem)}


def _hidden(network: Network) -> list[tuple[torch.nn.Module, torch.nn.Module]]:
    """The products and the neurons; `LIFRecurrent` weighs its input itself, step by step."""
    if network.recurrent:
        return [(torch.nn.Identity(), _recurrent(network, weights)) for weights in initial_weights(network)[:-1]]
    if network.steady:
        rate = torch.tensor((1.0 - network.decay(network.tau_mem)) / network.dt)  # an Euler step of it is the exact one
        settings = LIFBoxParameters(tau_mem_inv=rate, reset_method=reset_subtract)
        neurons = [norse.Lift(norse.LIFBoxCell(settings, dt=network.dt)) for _ in network.hidden + network.dense]
    elif network.adaptive:
        adapts = {"tau_adapt_inv": torch.tensor(1.0 / TAU_ADAPT), "beta": torch.tensor(BETA)}
        neurons = [LSNN(LSNNParameters(**_rates(network.tau_mem), **adapts), dt=network.dt) for _ in network.hidden]
    else:
        neurons = [norse.LIF(norse.LIFParameters(**_rates(network.tau_mem)), dt=network.dt) for _ in network.hidden]
    return [(product, Spikes(module)) for product, module in zip(torch_step.products(network), neurons, strict=False)]


def _recurrent(network: Network, weights) -> Spikes:
    inside, between = (torch.nn.Parameter(torch.from_numpy(matrix.T.copy())) for matrix in weights)
    return Spikes(
        norse.LIFRecurrent(
            inside.shape[1],
            len(between),
            norse.LIFParameters(**_rates(network.tau_mem)),
            input_weights=inside,
            recurrent_weights=between,
            autapses=True,
            dt=network.dt,
        )
    )


def build(folder: str, network: Network) -> Loop:
    """Its readout has gain `dt / tau`."""
    readout, gain = Spikes(norse.LI(norse.LIParameters(**_rates(TAU_OUT)), dt=network.dt)), TAU_OUT / network.dt
    if network.steady:
        readout, gain = torch.nn.Identity(), 1.0
    to_readout = torch_step.products(network, readout_gain=gain)[-1]
    layers = Layered(network, _hidden(network), (to_readout, readout))
    return torch_step.train(layers, spike_batches(folder, network), network)
