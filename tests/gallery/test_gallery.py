"""The gallery, on tiny notebooks and in a real browser: pages that show what was run, and fetch nothing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import lab_driver
import nbformat
import pytest
from tiers import needed

from snnlab import gallery
from snnlab.cli import main
from snnlab.errors import ArgumentError, FileFormatError

for package in ("mkdocs", "material", "nbconvert", "ziamath"):
    needed(package, "browser")

FIGURE = """
import plotly.graph_objects as go, plotly.io
plotly.io.renderers.default = "plotly_mimetype"
go.Figure(go.Scatter(y=[1, 3, 2]), {"height": 300})
"""
SVG = """
from IPython.display import SVG
SVG('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>')
"""


def write(path, *cells, tagged=None):
    """A notebook; a cell that begins with # is text."""
    new = {True: nbformat.v4.new_markdown_cell, False: nbformat.v4.new_code_cell}
    notebook = nbformat.v4.new_notebook(cells=[new[cell.startswith(("#", "Next"))](cell) for cell in cells])
    if tagged is not None:
        notebook.cells[tagged].metadata["tags"] = ["thumbnail"]
    nbformat.write(notebook, path)
    return path


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Two notebooks that point at each other, and their gallery."""
    folder = tmp_path_factory.mktemp("gallery")
    text = "# First\n\n**Question.** Why is $x_t < 1$?\n\nNobody asks this."
    links = "Next: [second](02.ipynb), $$\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}$$"
    write(folder / "01.ipynb", text, "print('six times seven', 6 * 7)", FIGURE, SVG, links, tagged=2)
    write(folder / "02.ipynb", "# Second\n\nBecause.", FIGURE, SVG)
    before = {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}
    assert main(["gallery", str(folder / "01.ipynb"), str(folder / "02.ipynb"), "--out", str(folder / "out")]) == 0
    assert {path.name: path.read_bytes() for path in folder.glob("*.ipynb")} == before
    return folder / "out"


def test_everything_lies_in_the_folder(pages):
    """No page names an address from which a browser would fetch something."""
    for page in pages.glob("0*.html"):
        text = page.read_text(encoding="utf-8")
        sources = re.findall(r"""(?:<link[^>]*href|src)=["']([^"'#]+)""", text)
        assert sources and all(s.startswith("data:") or (pages / s).is_file() for s in sources)
        assert not re.search(r"""(?:src|href)=["']\w*:?//|@import|url\(["']?http""", text)
    assert not any(re.search(r"@import|url\(['\"]?(?:http|//)", css.read_text()) for css in pages.rglob("*.css"))


def test_the_pages_in_a_browser(pages):
    """Opened as files: the output, a drawn figure, the formulas, the link; on dark paper for who likes it dark."""
    if lab_driver.CHROMIUM is None:
        message = "no chromium: apt-get install chromium (or another Chromium on the PATH)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=lab_driver.CHROMIUM, args=lab_driver.FLAGS)
        for scheme, least, most in (("light", 200, 255), ("dark", 0, 60)):
            page = chromium.new_page(color_scheme=scheme)
            asked, errors = [], []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.on("pageerror", lambda error, errors=errors: errors.append(error))
            page.goto((pages / "index.html").as_uri())
            assert page.locator(".gallery article h2").all_inner_texts() == ["First", "Second"]
            assert "Why is" in page.locator(".gallery article p").first.inner_text()
            assert "Nobody" not in page.locator("main").inner_text()
            page.wait_for_selector(".gallery article:nth-of-type(1) .main-svg")
            assert page.locator(".gallery article:nth-of-type(2) img").evaluate("image => image.naturalWidth") == 40
            page.locator(".gallery article a").first.click()
            page.wait_for_selector(".output .scatterlayer path.js-line")
            page.locator(".output .main-svg").first.hover()
            buttons = page.locator(".output .modebar-btn").evaluate_all("all => all.map(one => one.dataset.title)")
            assert buttons and not [title for title in buttons if re.search("share|cloud|send", title, re.IGNORECASE)]
            bars = "all => all.map(one => getComputedStyle(one).backgroundColor)"
            paper = page.locator(".output .modebar-group").evaluate_all(bars)
            assert set(paper) == {"rgba(0, 0, 0, 0)"}, "nothing dark lies over the title"
            assert "six times seven 42" in page.locator("main").inner_text()
            labels = page.locator("svg[role=img]").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
            assert labels[0] == "x_t < 1" and "aligned" in labels[1]
            paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert all(least <= int(value) <= most for value in re.findall(r"\d+", paper)[:3])
            page.get_by_text("second", exact=True).click()
            assert page.locator("h1").inner_text() == "Second"
            page.locator(".md-search__input").click()
            page.keyboard.type("times seven")
            page.wait_for_selector(".md-search-result__item >> text=First")
            assert all(url.startswith(("file:", "data:", "blob:")) for url in asked) and errors == []
            page.close()


def test_a_cell_that_fails_is_named_and_nothing_is_written(tmp_path, capsys):
    bad = write(tmp_path / "bad.ipynb", "# Bad", "x = 1", "x / 0")
    assert main(["gallery", str(bad), "--out", str(tmp_path / "out")]) == 2
    assert f"{bad}: cell 3 of 3, 'x / 0': ZeroDivisionError: division by zero" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    dead = write(tmp_path / "dead.ipynb", "import os\nos._exit(1)")
    assert main(["gallery", str(dead), "--out", str(tmp_path / "out")]) == 2
    assert f"{dead}: cell 1 of 1, 'import os': the kernel died" in capsys.readouterr().err


def test_a_formula_that_cannot_be_set_is_named(tmp_path):
    bad = write(tmp_path / "bad.ipynb", "# Bad\n\nThis $\\frac{1$ is not closed.")
    with pytest.raises(gallery.SnnlabError, match=r"bad\.ipynb: cannot set the formula \\frac\{1"):
        gallery.build([bad], tmp_path / "out", progress=False)


def test_other_things_are_not_written_over(tmp_path):
    """Neither in the folder nor under one name; and what is no notebook is said before anything runs."""
    good = write(tmp_path / "good.ipynb", "# Good")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "index.html").write_text("my own page")
    with pytest.raises(ArgumentError, match="holds other things than a gallery"):
        gallery.build([good], mine)
    assert (mine / "index.html").read_text() == "my own page"
    with pytest.raises(ArgumentError, match="not a folder"):
        gallery.build([good], good)
    for paths in ([], [good, good], [write(tmp_path / "index.ipynb", "# Index")]):
        with pytest.raises(ArgumentError, match="notebooks: must be one or more of different names"):
            gallery.build(paths, tmp_path / "out")
    (tmp_path / "text.ipynb").write_text("no notebook")
    for name in ("text.ipynb", "nowhere.ipynb"):
        with pytest.raises(FileFormatError, match=f"{name}: cannot be read as a notebook"):
            gallery.build([tmp_path / name], tmp_path / "out")


def test_ctrl_c_takes_the_kernel_along(tmp_path):
    started = tmp_path / "pid"
    cell = f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))\ntime.sleep(60)"
    waits = write(tmp_path / "waits.ipynb", cell)
    command = [sys.executable, "-m", "snnlab.cli", "gallery", str(waits), "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lab_driver.wait_until(lambda: started.exists() and started.read_text(), 60, "the kernel")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130 and errors.strip() == "interrupted: nothing was written"
    lab_driver.wait_until(lambda: not Path("/proc", started.read_text()).exists(), 60, "the end of the kernel")
    assert not (tmp_path / "out").exists()


def test_names_and_outputs_are_text(tmp_path):
    """A tag in a file name, or in an output that tries to end its block, is text on the pages."""
    tag = "<img src=x onerror=window.attacked=1>"
    outputs = ["~~~~~~~~", tag, "~" * 20, tag]
    code = f"import sys\nfor file in (sys.stdout, sys.stderr): print(*{outputs}, sep='\\n', file=file)\n{tag!r}"
    odd = write(tmp_path / f"a {tag}.ipynb", code, FIGURE)
    index = gallery.build([odd], tmp_path / "out", progress=False)
    for page in (index, tmp_path / "out" / f"a {tag}.html"):
        text = page.read_text(encoding="utf-8")
        assert tag not in re.sub(r"<script>.*?</script>", "", text, flags=re.S) and "&lt;img src=x" in text
