"""Numbers as people read them: few digits, separators of thousands, words for what is counted.

Every number that the dashboard says in words is formatted here.
"""

import math
from collections.abc import Sequence

MINUS, TIMES = "\u2212", "\u00d7"
LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
LEAST_LETTERS = 4  # of a name that is cut
LEAST = 1e-4  # smaller numbers are written with a power of ten
_RAISED = str.maketrans("0123456789-", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207b")


def number(value: float, digits: int = 3) -> str:
    """Format a number with `digits` significant digits; of an integer, or in front of the point, none is lost.

    Args:
        value: an integer is written in full, up to a trillion; so is the part of a real number in front of the point,
            up to a million.
        digits: significant digits of a real number.

    Example:
        >>> number(0.98765), number(58.4321), number(1234.6), number(-12), number(12345678), number(12345678.0)
        ('0.988', '58.4', '1,235', '−12', '12,345,678', '12.3 million')
        >>> number(0.00012), number(1.234e-7), number(5e18), number(float("inf")), number(float("nan"))
        ('0.00012', '1.23 × 10⁻⁷', '5 × 10¹⁸', 'infinite', 'not a number')
    """
    if math.isnan(value):
        return "not a number"
    sign, size = (MINUS if value < 0 else ""), abs(value)
    if math.isinf(size):
        return "minus infinite" if sign else "infinite"
    if _whole(value) and size < LARGE[0][0]:
        return f"{sign}{int(size):,}"
    in_full = 10.0 ** (digits - 1) <= size < LARGE[-1][0]
    size = round(size) if in_full else float(f"{float(size):.{digits - 1}e}")
    if size == 0:
        return "0"
    if size < LEAST or size >= 1000 * LARGE[0][0]:
        power = math.floor(math.log10(size) + 1e-9)
        return f"{sign}{size / 10.0**power:.{digits}g} {TIMES} 10{str(power).translate(_RAISED)}"
    unit, name = next(((unit, name) for unit, name in LARGE if size >= unit), (1.0, ""))
    return f"{sign}{_plain(size / unit)} {name}".rstrip()


def _whole(value) -> bool:
    return not isinstance(value, bool) and hasattr(value, "__index__")


def _plain(size: float) -> str:
    """Without an exponent and without zeros at the end."""
    decimals = max(0, 12 - math.floor(math.log10(size)))
    text = f"{size:,.{min(decimals, 12)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: float) -> float:
    """Round a float32 to the number that people write.

    Example:
        >>> rounded(0.10000000149011612)
        0.1
    """
    return float(f"{value:.6g}")


def quantity(value: float, unit: str, digits: int = 3) -> str:
    """Format a number with its unit, if it has one.

    Example:
        >>> quantity(58.4321, "Hz"), quantity(-65.0, "mV"), quantity(1.0, "")
        ('58.4 Hz', '−65 mV', '1')
    """
    return f"{number(value, digits)} {unit}".rstrip()


def count(number_of: int, noun: str, plural: str | None = None) -> str:
    """Say how many there are of something.

    Args:
        number_of: how many.
        noun: the name of one of them.
        plural: the name of several; default `noun` with an s.

    Example:
        >>> count(1, "neuron"), count(0, "neuron"), count(4000, "neuron"), count(2, "class", "classes")
        ('1 neuron', '0 neurons', '4,000 neurons', '2 classes')
    """
    return f"{number(number_of)} {noun if number_of == 1 else plural or noun + 's'}"


def part(some: float, whole: float, noun: str = "", plural: str | None = None) -> str:
    """Say how much of a whole; of integers nothing is left out if they are equal, and then one number says it.

    Example:
        >>> part(256, 4000, "neuron"), part(4000, 4000, "neuron"), part(1, 1, "neuron")
        ('256 of 4,000 neurons', '4,000 neurons', '1 neuron')
        >>> part(58.4321, 1000.0, "Hz", "Hz")
        '58.4 of 1,000 Hz'
    """
    named = (noun if whole == 1 else plural or noun + "s") if noun else ""
    said = number(whole) if _whole(whole) and some == whole else f"{number(some)} of {number(whole)}"
    return f"{said} {named}".rstrip()


def percent(share: float) -> str:
    """Format a share; what is not everything does not become 100%, and what is something does not become 0%.

    Example:
        >>> percent(0.9734), percent(0.5), percent(1.0), percent(0.0), percent(0.99999), percent(0.00001)
        ('97.3%', '50%', '100%', '0%', 'over 99.9%', 'under 0.1%')
        >>> percent(float("nan"))
        'not a number'
    """
    if math.isnan(share):
        return number(share)
    rounded = round(100.0 * share, 1)
    if rounded == 0.0 and share > 0.0:
        return "under 0.1%"
    if rounded == 100.0 and share < 1.0:
        return "over 99.9%"
    return f"{_plain_percent(rounded)}%"


def _plain_percent(rounded: float) -> str:
    text = f"{abs(rounded):,.1f}".removesuffix(".0")
    return f"{MINUS}{text}" if rounded < 0 else text


def shorten(text: str, most: int = 16) -> str:
    """Cut a long name; a sign says where.

    Example:
        >>> shorten("wheelbarrow"), shorten("a very long name of a class", 12)
        ('wheelbarrow', 'a very long…')
    """
    return text if len(text) <= most else text[: most - 1].rstrip() + "\u2026"


def distinct(names: Sequence[str], most: int = 16) -> list[str]:
    """Cut long names so that they still differ: of those that begin alike, the beginning is left out.

    Example:
        >>> distinct(["cat", "a very long name: first", "a very long name: second"], 12)
        ['cat', '…first', '…second']
    """
    short = [shorten(name, most) for name in names]
    for cut in {cut for cut in short if short.count(cut) > 1}:
        alike = [k for k, other in enumerate(short) if other == cut]
        first, last = min(names[k] for k in alike), max(names[k] for k in alike)
        begin = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
        if begin and first != last and most > LEAST_LETTERS:
            ends = distinct([names[k][begin:] for k in alike], most - 1)
            for k, end in zip(alike, ends, strict=True):
                short[k] = "…" + end.lstrip("…")
    return short
