"""Checks of arguments: each raises a one-line `ArgumentError` that names the argument."""

import math
import os
import unicodedata
from numbers import Integral
from pathlib import Path

import numpy as np

from snnlab.errors import ArgumentError

UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories of controls, halves of a character, ends of lines
REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they show a text in another order
LONGEST_NAME = 1000  # characters

SINGLE = np.finfo(np.float32)


def path(name: str, value: str | os.PathLike) -> Path:
    """Return a path; `~` is the user's home folder.

    Example:
        >>> path("folder", "~/runs") == Path.home() / "runs"
        True
        >>> path("folder", 3)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: folder: must be a path, got 3
    """
    try:
        return Path(value).expanduser()
    except TypeError:
        raise ArgumentError(f"{name}: must be a path, got {value!r}") from None
    except RuntimeError as error:  # ~somebody
        raise ArgumentError(f"{name}: {value} has no home folder ({error}); write the whole path") from None


def name(what: str, value) -> str:
    """Return a name that a file gives to something: a text in one line, which looks like what it is.

    Example:
        >>> name("node", "hidden 1 <excitatory>")
        'hidden 1 <excitatory>'
        >>> name("node", "two\\nlines")
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: node: must be a name in one line, got 'two\\nlines'
    """
    if not isinstance(value, str):
        raise ArgumentError(f"{what}: must be a name, got {value!r:.100}")
    if not 1 <= len(value) <= LONGEST_NAME:
        raise ArgumentError(f"{what}: must be a name of 1 to {LONGEST_NAME} characters, got {len(value)}")
    if _misleads(value):
        raise ArgumentError(f"{what}: must be a name in one line, got {value!a}")
    return value


def sentence(what: str, value, longest: int) -> str:
    """Return a text in one line, without white space at its ends.

    Example:
        >>> sentence("note", " tau was too long ", 100)
        'tau was too long'
        >>> sentence("note", "", 100)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: note: must be a text of 1 to 100 characters, got 0
    """
    value = instance(what, value, str, "a text").strip()
    if not 1 <= len(value) <= longest:
        raise ArgumentError(f"{what}: must be a text of 1 to {longest} characters, got {len(value)}")
    if _misleads(value):
        raise ArgumentError(f"{what}: must be a text in one line, got {value[:100]!a}")
    return value


def _misleads(value: str) -> bool:
    """Whether a text has signs that are not seen, or that change how the others are read."""
    return any(unicodedata.category(char) in UNPRINTABLE or char in REORDERING for char in value)


def count(name: str, value, low: int = 1, high: int | None = None) -> int:
    """Return an integer in `[low, high]`.

    Example:
        >>> count("epochs", 0)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: epochs: must be an integer >= 1, got 0
    """
    out_of_range = not isinstance(value, Integral) or int(value) < low or (high is not None and int(value) > high)
    if isinstance(value, bool) or out_of_range:
        bounds = f">= {low}" if high is None else f">= {low} and <= {high}"
        raise ArgumentError(f"{name}: must be an integer {bounds}, got {value!r}")
    return int(value)


def flag(name: str, value) -> bool:
    """Return True or False.

    Example:
        >>> flag("bias", "no")
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: bias: must be True or False, got 'no'
    """
    if not isinstance(value, bool | np.bool_):
        raise ArgumentError(f"{name}: must be True or False, got {value!r}")
    return bool(value)


def seed(name: str, value) -> int:
    """Return the seed of a random stream: 32 bits, because JAX ignores the others."""
    return count(name, value, 0, 2**32 - 1)


def number(
    name: str, value, low: float = -math.inf, high: float = math.inf, *, strict: bool = False, unit: str = ""
) -> float:
    """Return a finite number in `[low, high]`; `strict` excludes `low`.

    Example:
        >>> number("tau_mem", -1.0, 0.0, strict=True, unit="ms")
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: tau_mem: must be a finite number > 0.0 ms, got -1.0
    """
    return one(name, numbers(name, value, low, high, strict=strict, unit=unit))


def one(name: str, array: np.ndarray) -> float:
    """Return the only number of an array without axes."""
    if array.ndim:
        raise ArgumentError(f"{name}: must be one number, got shape {array.shape}")
    return float(array)


def numbers(
    name: str,
    value,
    low: float | np.ndarray = -math.inf,
    high: float = math.inf,
    *,
    strict: bool = False,
    infinite: bool = False,
    unit: str = "",
) -> np.ndarray:
    """Return an array of finite numbers in `[low, high]`; `strict` excludes `low`, `infinite` allows infinity.

    Numbers become float32: one that float32 cannot hold is refused, and with `strict` one of which nothing is left.
    """
    try:
        if value is None or np.asarray(value).dtype.kind in "SU":  # NumPy makes numbers of None and of "1.0"
            raise TypeError
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        raise ArgumentError(f"{name}: must be a number, got {value!r:.100}") from None
    with np.errstate(over="ignore", under="ignore"):
        single = np.where(np.abs(array) < SINGLE.tiny, 0.0, array.astype(np.float32))  # as it will be computed with
    good = (~np.isnan(array) if infinite else np.isfinite(array)) & (array <= high)
    good &= np.isfinite(single) == np.isfinite(array)
    good &= single > low if strict else array >= low
    if isinstance(value, bool) or array.size == 0 or not good.all():
        bounds = [] if np.isneginf(low).all() else [f"{'>' if strict else '>='} {low}"]
        bounds += [f"<= {high}"] if high < math.inf else []
        kind = "a number" if infinite else "a finite number"
        wanted = " ".join([kind, " and ".join(bounds), unit]).replace("  ", " ").strip()
        found = array[~good].flat[0].item() if array.size and not good.all() else value
        kept = single[~good].flat[0].item() if array.size and not good.all() else 0.0
        lost = f", which is {kept} in float32" if kept != found and kept in (0.0, math.inf, -math.inf) else ""
        raise ArgumentError(f"{name}: must be {wanted}, got {found!r}{lost}")
    return array


def time_step(name: str, value) -> float:
    """Return the length of a time step [ms], from a nanosecond to a quarter of an hour.

    Example:
        >>> time_step("dt", 1e-9)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: dt: must be a finite number >= 1e-06 and <= 1000000.0 ms, got 1e-09
    """
    return number(name, value, 1e-6, 1e6, unit="ms")


def microseconds(name: str, value) -> int:
    """Return a duration [ms] in microseconds, the unit of events, of which it must be a whole number, at least one.

    Example:
        >>> microseconds("dt", 0.5)
        500
    """
    whole = round(1000.0 * time_step(name, value))
    if whole < 1 or abs(1000.0 * value - whole) > 1e-6:
        raise ArgumentError(f"{name}: must be a whole number of microseconds (0.001 ms) for events, got {value} ms")
    return whole


def array(name: str, value) -> np.ndarray:
    """Return an array, nested lists, or what can become one (`__array__`), as a NumPy array.

    Anything else is refused: NumPy would look for numbers in it, in a data set without an end for ever.

    Example:
        >>> array("x", {"images": 3})
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: x: must be an array or nested lists of numbers, got dict
    """
    inner = value
    while isinstance(inner, list | tuple) and inner:
        inner = inner[0]
    known = isinstance(inner, list | tuple | int | float | complex | str | bytes) or hasattr(inner, "__array__")
    if not known or isinstance(inner, type):
        what = f"the class {inner.__name__}" if isinstance(inner, type) else type(inner).__name__
        within = "" if inner is value else f" in a {type(value).__name__}"
        samples = "; stack its samples into arrays first, as with numpy.stack" if hasattr(inner, "__getitem__") else ""
        samples = "" if isinstance(inner, dict) else samples
        raise ArgumentError(f"{name}: must be an array or nested lists of numbers, got {what}{within}{samples}")
    try:
        return np.asarray(value)
    except Exception as error:  # lists of different lengths, tensors of other libraries
        raise ArgumentError(f"{name}: is not an array ({error})") from None


def choice(name: str, value, options) -> str:
    """Return one of `options`.

    Example:
        >>> choice("reset", "hard", ("subtract", "value"))
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: reset: must be one of 'subtract', 'value', got 'hard'
    """
    if value not in options:
        raise ArgumentError(f"{name}: must be one of {', '.join(map(repr, options))}, got {value!r}")
    return value


def instance(name: str, value, kinds: type | tuple[type, ...], wanted: str):
    """Return an instance of one of `kinds`, which are `wanted` in words. A class is none, whatever it can do.

    Example:
        >>> instance("features", int, int, "an integer")
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: features: must be an integer, got the class int
    """
    if isinstance(value, type) or not isinstance(value, kinds):
        got = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
        raise ArgumentError(f"{name}: must be {wanted}, got {got}")
    return value


def time_constant(name: str, value) -> np.ndarray:
    """Return time constants [ms]: 0 forgets at once, infinity never.

    Example:
        >>> time_constant("tau_mem", float("inf")).item()
        inf
        >>> time_constant("tau_mem", -1.0)
        Traceback (most recent call last):
        ...
        snnlab.errors.ArgumentError: tau_mem: must be a number >= 0.0 ms, got -1.0
    """
    return numbers(name, value, 0.0, infinite=True, unit="ms")
