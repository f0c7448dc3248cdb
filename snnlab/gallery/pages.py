"""Executed notebooks as static pages, and the index of them."""

import base64
import re
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import plotly.io
import ziamath
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from plotly.offline import get_plotlyjs

from snnlab import __version__
from snnlab.errors import SnnlabError
from snnlab.gallery import MARK

HERE = Path(__file__).parent
PLOTLY = "application/vnd.plotly.v1+json"
THUMBNAIL = "thumbnail"  # tag of the cell whose picture stands for the notebook
FORMULA_SIZE = 16  # pixels
ziamath.config.svg2 = False  # no ids: many formulas share a page
GREY, FAINT = "#808080", "rgba(128,128,128,0.25)"
AXIS = {"gridcolor": FAINT, "zerolinecolor": FAINT, "linecolor": FAINT}
# Figures are legible on a light page and on a dark one, whichever the reader likes.
LEGIBLE = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(128,128,128,0.06)", "font": {"color": GREY}}
MARGIN = {"l": 60, "r": 20, "t": 48, "b": 52}


class Card(NamedTuple):
    """A notebook as the index shows it; `question` and `picture` are HTML."""

    name: str
    title: str
    question: str
    picture: str


class Site:
    """Pages, and what lies beside them.

    Args:
        names: of the notebooks, without ".ipynb"; links between these lead from page to page.

    Attributes:
        files: contents by path in the folder.
    """

    def __init__(self, names: list[str]):
        self.names = names
        self.files: dict[str, str | bytes] = {}
        self.cards: list[Card] = []
        template = (HERE / "notebook.html.j2").read_text(encoding="utf-8")
        self._exporter = _Exporter(raw_template=template, exclude_anchor_links=True)
        self._add_assets()

    def add(self, path: Path, notebook: NotebookNode) -> None:
        """The page of an executed notebook.

        Raises:
            SnnlabError: naming the file, for a formula that cannot be set.
        """
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = self._lead_to_pages(cell.source)
        try:
            card = self._card(path.stem, notebook)
            has_figures = _draw_figures(notebook)
            resources = {"metadata": {"name": card.title}, "has_figures": has_figures}
            page, _ = self._exporter.from_notebook_node(notebook, resources)
        except FormulaError as error:
            raise SnnlabError(f"{path}: {error}") from None
        self.files[f"{path.stem}.html"] = page
        self.cards.append(card)

    def write(self, out: Path) -> Path:
        """Write all of it, and the index; its path."""
        template = self._exporter.environment.from_string((HERE / "index.html.j2").read_text(encoding="utf-8"))
        index = template.render(cards=self.cards, mark=MARK, version=__version__)
        for name, content in {"index.html": index, **self.files}.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return out / "index.html"

    def _add_assets(self) -> None:
        """Style sheets, those of JupyterLab among them, and plotly.js."""
        env = self._exporter.environment
        for name in ("index.css", "theme-light.css", "theme-dark.css"):
            self.files[f"assets/lab-{name}"] = env.loader.get_source(env, f"static/{name}")[0]
        self.files["assets/gallery.css"] = (HERE / "gallery.css").read_bytes()
        self.files["assets/plotly.min.js"] = get_plotlyjs()

    def _lead_to_pages(self, markdown: str) -> str:
        for name in self.names:
            markdown = markdown.replace(f"]({name}.ipynb", f"]({name}.html")
        return markdown

    def _card(self, name: str, notebook: NotebookNode) -> Card:
        first = notebook.cells[0].source if notebook.cells else ""
        heading, _, rest = first.partition("\n")
        title = heading.lstrip("# ").strip() if heading.startswith("#") else name
        question = markdown(rest.strip().split("\n\n")[0]) if heading.startswith("#") else ""
        return Card(name=name, title=title, question=question, picture=self._picture(name, notebook))

    def _picture(self, name: str, notebook: NotebookNode) -> str:
        """The first of the best kind: a dashboard, an image, a figure."""
        tagged = [cell for cell in notebook.cells if THUMBNAIL in cell.metadata.get("tags", ())]
        outputs = [output for cell in tagged or notebook.cells for output in cell.get("outputs", ())]
        found = {kind: data for data in (o.get("data", {}) for o in reversed(outputs)) for kind, data in data.items()}
        if "image/svg+xml" in found:
            self.files[f"assets/{name}.svg"] = found["image/svg+xml"]
            return f'<img src="assets/{name}.svg" alt="">'
        if "image/png" in found:
            self.files[f"assets/{name}.png"] = base64.b64decode(found["image/png"])
            return f'<img src="assets/{name}.png" alt="">'
        return _figure(found[PLOTLY], small=True) if PLOTLY in found else ""


class FormulaError(ValueError):
    """A formula that cannot be set."""


class _Renderer(IPythonRenderer):
    """Formulas become pictures: not every browser has a font for formulas, and MathJax would have to be fetched."""

    def inline_math(self, body: str) -> str:
        return _formula(body, inline=True)

    def block_math(self, body: str) -> str:
        return f'<div class="formula">{_formula(body)}</div>'

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


class _Exporter(HTMLExporter):
    @pass_context
    def markdown2html(self, context, source: str) -> str:
        return markdown(source, context.get("cell", {}).get("attachments", {}))


def markdown(source: str, attachments: dict[str, Any] | None = None) -> str:
    """HTML of a markdown cell."""
    renderer = _Renderer(escape=False, attachments=attachments or {}, exclude_anchor_links=True)
    return MarkdownWithMath(renderer=renderer).render(source)


def _formula(tex: str, *, inline: bool = False) -> str:
    """An SVG in the colour of the text around it; read aloud, it is its source."""
    known = re.sub(r"(begin|end)\{aligned\}", r"\1{align*}", tex)  # the same under the name that it knows
    try:
        svg = ziamath.Latex(known, size=FORMULA_SIZE, color="currentColor", inline=inline).svgxml()
    except Exception as error:  # it raises nearly everything on what it cannot read
        raise FormulaError(f"cannot set the formula {tex.strip()} ({type(error).__name__})") from None
    top, height = (float(svg.get("viewBox").split()[k]) for k in (1, 3))  # y = 0 is the line of the text
    style = f"vertical-align:{-top - height:.2f}px"
    for name, value in {"role": "img", "aria-label": tex.strip(), "style": style}.items():
        svg.set(name, value)
    return ElementTree.tostring(svg, encoding="unicode")


def _draw_figures(notebook: NotebookNode) -> bool:
    """Figures of plotly become HTML that plotly.js draws; whether there are any."""
    found = False
    for cell in notebook.cells:
        for data in (output.get("data", {}) for output in cell.get("outputs", ())):
            if PLOTLY in data:
                data["text/html"] = _figure(data.pop(PLOTLY))
                found = True
    return found


def _figure(figure: dict[str, Any], *, small: bool = False) -> str:
    """HTML of a figure; `small`: as it stands in the index, without anything to click."""
    layout = dict(figure["layout"])
    known = dict(layout.get("template", {}))
    base = dict(known.get("layout", {})) | LEGIBLE | {"margin": MARGIN}
    for axis in ("xaxis", "yaxis"):
        base[axis] = dict(base.get(axis, {})) | AXIS
    layout["template"] = known | {"layout": base}
    if small:
        layout |= {"title": None, "height": None, "width": None, "margin": {"l": 44, "r": 12, "t": 16, "b": 40}}
    config = {"responsive": True, "displaylogo": False, "staticPlot": small}
    drawn = {"data": figure["data"], "layout": layout}
    return plotly.io.to_html(drawn, config=config, full_html=False, include_plotlyjs=False, validate=False)
