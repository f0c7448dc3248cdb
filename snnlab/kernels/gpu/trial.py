"""Do the fused kernels work on this machine's GPU? A first run tells, before a network depends on them."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np

from snnlab.dynamics import LifParams
from snnlab.kernels import reference
from snnlab.kernels.gpu import fused
from snnlab.support.transfers import transfers_allowed
from snnlab.support.warn import warn
from snnlab.surrogate import inv_square

TRIAL: Final = fused.Options(1.0, inv_square, "subtract", False, num_steps=24)
SEED: Final = 10  # with which no voltage comes close to a threshold


@cache
def works() -> bool:
    """Run layers on the kernels and on the reference; warn once if that fails, or if spikes or gradients differ."""
    device = jax.local_devices()[0]
    if "rocm" in device.client.platform_version:
        return False  # AMD's
    try:
        with jax.default_device(device), transfers_allowed():
            for given in trials():
                # Compiled ahead of its call, because a trace may be under way.
                both = jax.jit(_both).lower(given).compile()
                _check_equal(*jax.tree.map(np.asarray, both(given)))
        return True
    except Exception as error:  # the driver and XLA fail in many ways; none of them may stop a training
        warn(f"the fused kernels for this GPU do not work here ({error!r}); more launches, of XLA's own kernels, run")
        return False


def trials() -> list[fused.Given]:
    """Layers driven by spikes and by a current, and the same ones recurrent; thresholds adapt.

    Those that are not recurrent are two blocks of threads.
    """
    rng, (batch, pre, n) = np.random.default_rng(SEED), (3, 30, 140)

    def numbers(values) -> Any:  # of NumPy: JAX's would be part of a trace that is under way
        return np.asarray(values, np.float32)

    times: Any = rng.integers(-1, TRIAL.num_steps + 2, (batch, pre)).astype(np.int32)
    kernel, current = rng.normal(0.1, 0.5, (pre, n)), rng.normal(0.05, 0.3, (TRIAL.num_steps, batch, n))
    constants = {"tau_mem": 8.0, "v_th": 0.2, "v_rest": 0.0, "v_reset": 0.0, "r": 1.0, "tau_ref": 2.0, "slope": 5.0}
    constants |= {"v_scale": 1.0, "beta": 0.1, "tau_adapt": 20.0}
    others = numbers(np.zeros(n)), numbers(np.full(n, 8.0))
    params = LifParams(**{name: numbers(np.full(n, value)) for name, value in constants.items()})
    by_spikes = fused.Given(times, numbers(kernel), None, *others, params)
    by_current = fused.Given(None, None, numbers(current), *others, params)
    w_rec = numbers(rng.normal(0.0, 0.2, (n, n)))
    return [given._replace(w_rec=weights) for weights in (None, w_rec) for given in (by_spikes, by_current)]


def _both(given: fused.Given) -> list:
    """Spikes and gradients, by the kernels and by the reference."""

    def objective(learned: fused.Given, run: Callable):
        spikes, v, counts = run(TRIAL, learned._replace(times=given.times))
        weights = jnp.sin(jnp.arange(v.size, dtype=jnp.float32)).reshape(v.shape)
        # Both have the same gradient, and XLA may hand the same pointer over twice.
        return (weights * (spikes + v)).sum() + (counts**2).sum() / 100.0, spikes

    runs = (fused.fused_lif, partial(fused.scanned, reference))
    return [jax.grad(objective, has_aux=True)(given._replace(times=None), run) for run in runs]


def _check_equal(found, expected) -> None:
    """Raise an error if spikes differ, or gradients by more than rounding."""
    if not np.array_equal(found[1], expected[1]):
        raise ArithmeticError(f"{np.sum(found[1] != expected[1])} of {found[1].size} spikes differ")
    for name, f, e in zip(fused.Given._fields, found[0], expected[0], strict=True):
        for one, other in zip(jax.tree.leaves(f), jax.tree.leaves(e), strict=True):
            if not np.abs(one - other).max() <= 1e-4 * max(np.abs(other).max(), 1e-3):
                raise ArithmeticError(f"the gradient in {name} differs")
