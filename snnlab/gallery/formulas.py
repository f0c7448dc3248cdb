"""An extension of Markdown that draws formulas as pictures.

Not every browser has a font for formulas, and MathJax would have to be fetched.
"""

import re
from collections.abc import Callable
from functools import cache
from xml.etree import ElementTree

from markdown import Extension, Markdown
from markdown.preprocessors import Preprocessor
from ziamath.config import config
from ziamath.zmath import Latex

SIZE = 16  # pixels
config.svg2 = False  # no ids, because many formulas share a page
# Code first, so that a dollar sign in it begins no formula.
CODE_OR_FORMULA = re.compile(
    r"(?P<ticks>`+).+?(?P=ticks)|\$\$(?P<block>.+?)\$\$|\$(?=\S)(?P<inline>.+?)(?<=\S)\$(?!\d)", re.S
)


class FormulaError(ValueError):
    """A formula that cannot be set."""


class Formulas(Extension):
    """Draw `$...$` within a line and `$$...$$` as a block."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Run after fenced code was put aside (25) and before HTML is (20)."""
        md.preprocessors.register(_Formulas(md), "formulas", 22)


class _Formulas(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        return replace("\n".join(lines), self.md.htmlStash.store).split("\n")


def replace(markdown: str, store: Callable[[str], str]) -> str:
    """Replace each formula of a text by what `store` makes of its picture.

    Raises:
        FormulaError: if a formula cannot be set.
    """

    def one(found: re.Match[str]) -> str:
        if found["inline"]:
            return store(draw(found["inline"], inline=True))
        return found[0] if found["ticks"] else store(f'<span class="formula">{draw(found["block"])}</span>')

    return CODE_OR_FORMULA.sub(one, markdown)


@cache
def draw(tex: str, *, inline: bool = False) -> str:
    """Draw a formula as SVG in the colour of the text around it; a screen reader reads its source.

    Raises:
        FormulaError: if the formula cannot be set.
    """
    known = re.sub(r"(begin|end)\{aligned\}", r"\1{align*}", tex)  # ziamath knows this environment by another name
    try:
        svg = Latex(known, size=SIZE, color="currentColor", inline=inline).svgxml()
    except Exception as error:  # ziamath raises nearly everything on what it cannot read
        raise FormulaError(f"cannot set the formula {tex.strip()} ({type(error).__name__})") from None
    top, height = (float(svg.attrib["viewBox"].split()[k]) for k in (1, 3))  # y = 0 is the line of the text
    style = f"vertical-align:{-top - height:.2f}px"
    for name, value in {"role": "img", "aria-label": tex.strip(), "style": style}.items():
        svg.set(name, value)
    return ElementTree.tostring(svg, encoding="unicode")


def makeExtension(**options: object) -> Formulas:
    """Make the extension; Markdown calls this for a module that is named in its settings."""
    return Formulas(**options)
