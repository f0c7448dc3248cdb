"""Text in pages: whatever a user or a file has named reaches HTML and SVG through `plain`, and through nothing else."""

import html


def plain(text: object) -> str:
    """Return HTML that shows a text as it is, also as the value of an attribute.

    Example:
        >>> plain("<img src=x>")
        '&lt;img src=x&gt;'
    """
    return html.escape(str(text))
