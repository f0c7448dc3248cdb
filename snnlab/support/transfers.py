"""What snnlab brings to the device it brings on purpose: samples, their indices, values of knobs, new weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import jax


@contextmanager
def transfers_allowed() -> Iterator[None]:
    """Leave a block out of a guard that the user has set (`jax_transfer_guard`), for his own code.

    Under such a guard, JAX makes no array of a Python number, not even by `jnp.zeros(3)`.

    Example:
        >>> with jax.transfer_guard("disallow"), transfers_allowed():
        ...     jax.numpy.zeros(3).shape
        (3,)
    """
    with jax.transfer_guard("allow"):
        yield
