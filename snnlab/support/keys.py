"""Random keys of JAX among other arrays: NumPy and files hold what they are made of."""

import jax
import jax.numpy as jnp
import numpy as np


def is_key(array) -> bool:
    """Whether an array holds random keys."""
    return jnp.issubdtype(array.dtype, jax.dtypes.prng_key)


def without_key(array) -> np.ndarray:
    """Return an array for NumPy: of random keys the integers that they are made of.

    Example:
        >>> without_key(jax.random.key(7, impl="threefry2x32")).tolist(), without_key(jnp.ones(2)).tolist()
        ([0, 7], [1.0, 1.0])
    """
    return np.asarray(jax.random.key_data(array) if is_key(array) else array)
