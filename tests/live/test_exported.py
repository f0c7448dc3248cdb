"""What `jupyter nbconvert --execute` makes of a notebook, opened as a file by a browser that has no network."""

import os
import re
import subprocess
import sys

import pytest
from lab_driver import ROOT, write_notebook

CELLS = [
    """
import numpy as np, plotly.express as px, plotly.graph_objects as go, snnlab
snnlab.offline_figures()
digits = snnlab.load_data("digits").subset(train=256, test=64)
px.imshow(digits.x_test[:2], facet_col=0, height=200)
""",
    "go.Figure(go.Scatter(y=[1, 3, 2]), {'title': 'a title with </script><b>a tag</b>', 'height': 260})",
    """
net = snnlab.build(snnlab.SnnConfig(hidden=32, num_steps=40), sample_shape=(8, 8), num_classes=10)
lab = snnlab.LiveTrainer(net, digits, epochs=2, batch_size=32)
_ = lab.fit()
""",
    """
@lab.follow
def _():
    rows = lab.history.epochs
    return f"{len(rows)} epochs", go.Figure(go.Bar(y=[row["test_acc"] for row in rows]))
""",
]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The page."""
    folder = tmp_path_factory.mktemp("exported")
    write_notebook(folder / "all.ipynb", CELLS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    environment.pop("SNNLAB_HEADLESS", None)
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--execute", "--to", "html", "all.ipynb"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "all.html"


def test_every_figure_is_drawn_without_a_network_and_none_can_be_uploaded(exported, browser):
    context = browser.new_context(offline=True, viewport={"width": 1000, "height": 2000})
    page, asked, errors = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(error))
    page.goto(exported.as_uri())
    page.wait_for_function("document.querySelectorAll('.js-plotly-plot .xtick').length >= 3")
    figures = page.locator(".js-plotly-plot")
    assert figures.count() == 3
    assert [figures.nth(k).bounding_box()["height"] for k in range(3)] == [200, 260, 450]
    assert page.locator(".js-plotly-plot image").count() == 2  # two digits
    assert page.locator(".js-plotly-plot path.js-line").first.evaluate("line => line.getTotalLength()") > 100
    assert page.locator(".js-plotly-plot .bars path").count() == 2  # two epochs
    assert "a title with </script>" in page.locator(".gtitle").first.text_content()
    text = page.locator("body").inner_text()
    assert "at the end, epoch 2" in text and "2 epochs" in text and "a plotly figure: a live page" not in text
    still = page.locator("img[src^='data:image/svg+xml']")  # the dashboard's
    assert still.count() == 1 and still.evaluate("image => image.complete && image.naturalWidth > 300")

    page.get_by_text("Play the trained network").click()
    network = page.frame_locator("details iframe")  # below the picture, alive
    network.locator("body[data-checked]").wait_for()
    assert network.locator(".certificate").inner_text() == "20 of 20 samples, every spike as in Python"

    figures.nth(1).hover()
    titles = page.locator(".modebar-btn").evaluate_all("all => all.map(one => one.dataset.title)")
    assert titles and not [title for title in titles if re.search("share|cloud|send", title, re.IGNORECASE)]
    sends = "all => all.map(one => [one._context.showSendToCloud, one._context.plotlyServerURL])"
    assert figures.evaluate_all(sends) == [[False, ""]] * 3
    outside = [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    assert all("/require.js/" in url or "/mathjax/" in url for url in outside), (
        outside
    )  # nbconvert's own, for any notebook
    assert errors == []
    context.close()
