"""Warnings that point to the user's own line, however deep in snnlab their reason is found."""

import sys
import warnings

_INSIDE = ("beartype", "contextlib", "flax", "jax", "jaxtyping", "snnlab")  # whose lines mean nothing to the reader


def warn(text: str) -> None:
    """Issue a `UserWarning` at the innermost line outside of snnlab and of what snnlab is made with.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn("the samples are dark")
        >>> str(caught[0].message)
        'the samples are dark'
    """
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in _INSIDE:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)
