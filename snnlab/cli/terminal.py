"""Lines that fit the terminal they are written to: whole words, and the less important fields left out."""

import os
import sys
import textwrap
from typing import TextIO

USUAL = 80  # columns of a terminal that does not know its width
BAR = 6, 24  # columns of a progress bar, at least and at most


def width_of(stream: TextIO) -> int | None:
    """Return how many characters a line may have; None if `stream` is no terminal, but a file or a pipe.

    The last column stays free: some terminals begin a new line once it is written.
    """
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return None
    return (columns or USUAL) - 1


def wrapped(text: str, width: int | None) -> str:
    """Break a message into lines between its words; longer words, such as paths, stay whole.

    Example:
        >>> print(wrapped("wrote runs/net.safetensors and runs/history.json", 32))
        wrote runs/net.safetensors and
          runs/history.json
    """
    if width is None:
        return text
    return textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def say(text: str) -> None:
    """Write a message to stderr."""
    print(wrapped(text, width_of(sys.stderr)), file=sys.stderr)


def fitting(fields: dict[str, str], least: tuple[str, ...], separator: str, width: int | None) -> str:
    """Join as many fields as fit.

    Args:
        fields: their texts, in the order in which they are shown.
        least: names of fields that may be left out, the first one first.
        separator: between two fields.
        width: characters at most; None for any number.

    Example:
        >>> fields = {"epoch": "epoch 2", "loss": "loss 0.62", "left": "00:03 left"}
        >>> fitting(fields, ("loss", "left"), ", ", 30), fitting(fields, ("loss", "left"), ", ", 20)
        ('epoch 2, loss 0.62, 00:03 left', 'epoch 2, 00:03 left')
    """
    shown = dict(fields)
    for name in least:
        if width is None or len(separator.join(shown.values())) <= width:
            break
        shown.pop(name, None)
    return separator.join(shown.values())


def bar_format(fields: dict[str, str], least: tuple[str, ...], width: int) -> str:
    """Return a format for tqdm: the percentage, a bar, and as many fields as fit beside it; see `fitting`.

    Example:
        >>> fields = {"epoch": "epoch 2", "loss": "loss 0.62"}
        >>> bar_format(fields, ("loss", "epoch"), 60)
        '{percentage:3.0f}%|{bar:24}| epoch 2, loss 0.62'
        >>> bar_format(fields, ("loss", "epoch"), 24)
        '{percentage:3.0f}%|{bar:10}| epoch 2'
    """
    least_bar, most_bar = BAR
    room = width - len("100%|| ")
    text = fitting(fields, least, ", ", max(0, room - least_bar))
    bar = max(1, min(most_bar, room - len(text)))
    return f"{{percentage:3.0f}}%|{{bar:{bar}}}| {text}".rstrip()
