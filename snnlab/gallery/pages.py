"""Executed notebooks as Markdown pages with their pictures, and an index of them."""

import base64
import json
import re
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from nbconvert import MarkdownExporter
from nbformat import NotebookNode
from plotly.offline import get_plotlyjs

from snnlab.errors import SnnlabError
from snnlab.gallery import formulas
from snnlab.support.markup import plain
from snnlab.support.plotly_config import NOTHING_SENT

PLOTLY = "application/vnd.plotly.v1+json"
PLOTLY_JS = '<script src="plotly.min.js"></script>\n\n'
THUMBNAIL = "thumbnail"  # tag of the cell whose picture stands for the notebook
GREY, FAINT = "#808080", "rgba(128,128,128,0.25)"
AXIS = {"gridcolor": FAINT, "zerolinecolor": FAINT, "linecolor": FAINT}
# Figures are legible on a light page and on a dark one, whichever the reader likes.
LEGIBLE = {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(128,128,128,0.06)", "font": {"color": GREY}}
# plotly would put the bar of buttons on half transparent black, half of the colour of this paper, over the title.
LEGIBLE |= {"modebar": {"bgcolor": "rgba(0,0,0,0)", "color": GREY, "activecolor": GREY}}
MARGIN = {"l": 60, "r": 20, "t": 48, "b": 52}
TEMPLATE = """
{%- extends 'markdown/index.md.j2' -%}
{%- macro fenced(text) %}
{{ text | fence }} { .text .output .no-copy }
{{ text | strip_ansi }}
{{ text | fence }}
{% endmacro -%}
{% block stream %}{{ fenced(output.text) }}{% endblock %}
{% block data_text scoped %}{{ fenced(output.data['text/plain']) }}{% endblock %}
{% block error %}{{ fenced(output.traceback | join('\n')) }}{% endblock %}
{% block data_html scoped %}
<div class="output">
{{ output.data['text/html'] }}
</div>
{% endblock %}
"""
INDEX = """# {title}

{text}

<div class="gallery" markdown>
{cards}
</div>

{scripts}
"""
CARD = """
<article markdown>
<div class="picture">{picture}</div>

## [{title}]({page}.md)

{question}

</article>
"""


class Card(NamedTuple):
    """A notebook in the index: `question` is Markdown, `picture` and `script` are HTML."""

    name: str
    title: str
    question: str
    picture: str
    script: str


def assets() -> dict[str, bytes]:
    """Read the files that every site needs at its top, by name."""
    return {name: (Path(__file__).parent / name).read_bytes() for name in ("gallery.css", "iframe-worker.js")}


def make(notebooks: dict[str, NotebookNode], *, title: str, text: str) -> dict[str, str | bytes]:
    """Make the pages of executed notebooks.

    Args:
        notebooks: by name, in the order of the index; links between them lead from page to page.
        title: heading of the index.
        text: paragraph below it.

    Returns:
        The contents of `index.md`, of a page for each notebook, and of pictures and scripts beside them, by file name.

    Raises:
        SnnlabError: naming the notebook, if a formula cannot be set.
    """
    for notebook in notebooks.values():
        _lead_to_pages(notebook, list(notebooks))
    files: dict[str, str | bytes] = {}
    cards = [_card(name, notebook) for name, notebook in notebooks.items()]
    for card, notebook in zip(cards, notebooks.values(), strict=True):
        files |= _page(card, notebook)
    written = "\n".join(CARD.format(**card._asdict(), page=quote(card.name)) for card in cards)
    scripts = "\n\n".join(card.script for card in cards if card.script)
    files["index.md"] = INDEX.format(title=title, text=text, cards=written, scripts=scripts and PLOTLY_JS + scripts)
    if any(isinstance(content, str) and PLOTLY_JS in content for content in files.values()):
        files["plotly.min.js"] = get_plotlyjs()
    return files


def _lead_to_pages(notebook: NotebookNode, names: list[str]) -> None:
    for cell in notebook.cells:
        for name in names if cell.cell_type == "markdown" else ():
            cell.source = cell.source.replace(f"]({name}.ipynb", f"]({name}.md")


def _page(card: Card, notebook: NotebookNode) -> dict[str, str | bytes]:
    """Make the page of a notebook, and the files of its pictures."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            _try_formulas(card.name, cell.source)
    script = PLOTLY_JS if _draw_figures(notebook) else ""
    exporter = MarkdownExporter(raw_template=TEMPLATE)
    exporter.register_filter("fence", _fence)
    page, resources = exporter.from_notebook_node(notebook, {"unique_key": card.name, "output_files_dir": ""})
    head = f"---\ntitle: {json.dumps(card.title)}\n---\n\n"
    return {f"{card.name}.md": head + script + page, **resources["outputs"]}


def _fence(text: str) -> str:
    """Return more tildes than the text has in a row: it cannot end the block that it stands in, and become HTML."""
    return "~" * (3 + max(map(len, re.findall("~+", text)), default=0))


def _try_formulas(name: str, markdown: str) -> None:
    """Refuse, in the name of the notebook, a formula that cannot be set."""
    try:
        formulas.replace(markdown, str)
    except formulas.FormulaError as error:
        raise SnnlabError(f"{name}.ipynb: {error}") from None


def _card(name: str, notebook: NotebookNode) -> Card:
    first = notebook.cells[0].source if notebook.cells else ""
    heading, _, rest = first.partition("\n")
    if not heading.startswith("#"):
        heading, rest = plain(name), ""
    picture, script = _picture(name, notebook)
    return Card(name, heading.lstrip("# ").strip(), rest.strip().split("\n\n")[0], picture, script)


def _picture(name: str, notebook: NotebookNode) -> tuple[str, str]:
    """Take the first of the best kind: a dashboard, an image, a figure; and the script that draws it."""
    tagged = [cell for cell in notebook.cells if THUMBNAIL in cell.metadata.get("tags", ())]
    outputs = [output for cell in tagged or notebook.cells for output in cell.get("outputs", ())]
    found = {kind: data for data in (o.get("data", {}) for o in reversed(outputs)) for kind, data in data.items()}
    if "image/svg+xml" in found:
        encoded = base64.b64encode(found["image/svg+xml"].encode()).decode()
        return f'<img src="data:image/svg+xml;base64,{encoded}" alt="">', ""
    if "image/png" in found:
        return f'<img src="data:image/png;base64,{found["image/png"].strip()}" alt="">', ""
    return _figure(f"thumbnail-{name}", found[PLOTLY], small=True) if PLOTLY in found else ("", "")


def _draw_figures(notebook: NotebookNode) -> bool:
    """Put HTML that plotly.js draws in the place of plotly's figures; returns whether there are any."""
    outputs = (output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", ()))
    figures = [data for data in outputs if PLOTLY in data]
    for number, data in enumerate(figures):
        data["text/html"] = "\n".join(_figure(f"figure-{number}", data.pop(PLOTLY)))
    return bool(figures)


def _figure(name: str, figure: dict[str, Any], *, small: bool = False) -> tuple[str, str]:
    """Write the place of a figure and the script that draws it; if `small`, without a title and anything to click."""
    layout = dict(figure["layout"])
    known = dict(layout.get("template", {}))
    base = dict(known.get("layout", {})) | LEGIBLE | {"margin": MARGIN}
    for axis in ("xaxis", "yaxis"):
        base[axis] = dict(base.get(axis, {})) | AXIS
    layout["template"] = known | {"layout": base}
    if small:
        layout |= {"title": None, "height": None, "width": None, "margin": {"l": 44, "r": 12, "t": 16, "b": 40}}
    config = NOTHING_SENT | {"responsive": True, "staticPlot": small}
    arguments = ", ".join(json.dumps(value) for value in (name, figure["data"], layout, config))
    arguments = arguments.replace("<", "\\u003c")  # so that no text in it ends the script
    return f'<div id="{plain(name)}" class="figure"></div>', f"<script>Plotly.newPlot({arguments})</script>"
