"""`python -m benchmarks.peers`: the same training step and the same epoch in snnlab and in its peers, side by side.

Walk through it: `tasks` says what is measured and who takes part; `__main__` asks `rounds` to measure; `rounds` starts
every contender in a process of its own (`worker`) and lets one compute at a time. A contender is a small file with a
function that builds its training loop from `workload`, which is the same for all.
"""
