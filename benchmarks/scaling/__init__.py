"""`python -m benchmarks.scaling`: time and memory of a training step as one size grows, with kernels and without.

Walk through it: `points` says what is measured, `__main__` starts every point in a process of its own (`worker`, so
that a peak of memory is that of one step), and `table` writes down what came back.
"""
