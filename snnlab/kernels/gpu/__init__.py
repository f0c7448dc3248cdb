"""The reference in few launches, for a GPU; and LIF neurons in one launch, for NVIDIA's, see `fused`.

A GPU takes longer to launch a small kernel than to run it, so what counts is the number of launches. Compiled for one,
`snnlab.kernels.reference` launches several kernels at every time step. These functions have the same arguments and
results, and fewer launches:

- a linear filter (a synapse, a readout) is a product with a triangular matrix, see `filters`;
- the neurons are the one loop that is left. One turn of it takes ten to twenty-five steps;
- spikes meet their weights on the tensor cores, without a rounding, see `exact`.

All constants are traced, so nothing is compiled anew when one moves. XLA compiles them for any device; a CPU has faster
kernels.
"""

from snnlab.kernels.gpu.sequences import current, leaky, lif, lstm, recurrent_lif

__all__ = ["current", "leaky", "lif", "lstm", "recurrent_lif"]
