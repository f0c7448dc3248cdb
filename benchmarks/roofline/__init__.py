"""`python -m benchmarks.roofline`: how far a training step is from what this machine could do at best.

Walk through it: `micro` has loops that do one thing only, `rates` times them on all cores, `count` counts from the data
what a step cannot do without, `measured` times the step through the public `Trainer`, `table` divides one by the other.
"""

import os

# Matrix products are timed in threads of our own, one a core; NumPy reads this when it is first imported.
for _library in ("OPENBLAS", "MKL", "OMP"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")
