"""Event-driven kernels for the CPU, compiled by numba and called by XLA through its FFI."""
