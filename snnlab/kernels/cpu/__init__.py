"""Event-driven kernels for the CPU, compiled by numba and called by XLA through its foreign function interface (FFI).

Words that the files here share:

- *lane*: one of the 16 values of a SIMD vector; lane `j` of tile `k` is neuron `16 k + j`.
- *tile*: the 16 neurons that one vector holds; layers are padded to whole tiles.
- *frame*: the C structure through which XLA passes the arguments and results of a call (its *call frame*).
- *block*: a range of samples that one thread computes from start to end; its gradients have sums of their own.
- *job*: what the threads that share one call need to know: the frame, the next free block, how many are done.
- *carrier*: a float array beside packed spikes that carries their gradient, because bits have none; inside `jit` it
  is not computed unless someone reads it.
- *onward*: the weights through which a layer's spikes reach the next layer, if there is only one.
- *factors* of the gradient of spikes: the gradient of the current that they cause in the next layer, and the onward
  weights. Their product is the gradient of each spike; the kernel forms it itself (see `calls.SentBack`).
"""
