"""What snnlab costs: each module is run by `python -m benchmarks.NAME` and prints medians."""
