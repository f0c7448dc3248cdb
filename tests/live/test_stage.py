"""The stage as a lecturer uses it: a real Chromium against a real JupyterLab, on real digits."""

import pytest
from lab_driver import SPY, Notebook, wait_until

MAKE = """
from snnlab import data, models
from snnlab.config import SnnConfig
from snnlab.live import LiveTrainer
digits = data.load("digits")
net = models.build(SnnConfig(), sample_shape=digits.sample_shape, num_classes=digits.num_classes)
lab = LiveTrainer(net, digits, epochs=100_000, batch_size=64)
"""
STAGE = ".snnlab section.stage"
LABEL = "document.querySelector('.film canvas').ariaLabel"


def scores(page) -> str:
    """Of all classes, in words."""
    return page.locator(f"{STAGE} .lanes").get_attribute("aria-label")


def stands(page) -> bool:
    """Nothing changes for a while: all that was drawn has been answered."""
    before = scores(page)
    page.wait_for_timeout(1000)
    return scores(page) == before


def draw(page, *points: tuple[float, float]) -> None:
    """A stroke through points, as shares of the paper."""
    box = page.locator(f"{STAGE} .pad canvas").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


@pytest.mark.parametrize("cell", ["lab", pytest.param("lab.stage()", marks=pytest.mark.nightly)])
def test_a_lecture(page, address, lab_folder, cell):
    """Draw a digit, see the scores change, move a big slider, see the ghost; the space bar starts and pauses."""
    notebook = Notebook(page, address, lab_folder, [MAKE + SPY, cell])
    notebook.run_cell(0)
    notebook.run_cell(1)
    if cell == "lab":
        page.get_by_role("button", name="stage", exact=True).click()
    page.locator(f"{STAGE} .lane").first.wait_for()
    page.locator(STAGE).focus()
    page.keyboard.press("Space")
    notebook.wait_for("training", 200)  # before, a thin drawing may leave all neurons silent
    page.keyboard.press("Space")
    notebook.wait_for("paused")
    page.locator(f"{STAGE} b", has_text="paused").wait_for()
    step = notebook.kernel()["step"]

    page.locator(f"{STAGE} .pad").get_by_role("button", name="Clear").click()
    page.locator(f"{STAGE} .pad .hint", has_text="Your drawing.").wait_for()
    wait_until(lambda: "your drawing" in page.locator(f"{STAGE} .film canvas").get_attribute("aria-label"), 60, "blank")
    blank = scores(page)
    draw(page, (0.3, 0.2), (0.7, 0.2), (0.45, 0.85))
    wait_until(lambda: scores(page) != blank and stands(page), 60, "other scores, those of the whole stroke")
    drawn = scores(page)

    slider = page.locator(f"{STAGE} [data-knob='hidden.v_th'] input[type=range]")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        f"() => /This is a preview/.test({LABEL}) && /Behind it, pale, is what was before/.test({LABEL})"
    )
    wait_until(lambda: scores(page) != drawn, 60, "what the slider does")
    assert notebook.kernel()["step"] == step and notebook.kernel()["compilations"] <= 1

    page.keyboard.press(".")
    page.locator(f"{STAGE} .verdict", has_text="after").wait_for()
    page.keyboard.press("Escape")
    page.locator(f"{STAGE} .verdict", has_text="is the answer").wait_for()
    page.keyboard.press("Space")
    notebook.wait_for("training", step + 1)
    page.get_by_role("button", name="Next test sample").click()
    page.locator(f"{STAGE} .pad .hint", has_text="Test sample 1, true class").wait_for()
    page.keyboard.press("Space")
    notebook.wait_for("paused")
    if cell == "lab":
        page.keyboard.press("Escape")
        page.locator(".snnlab .body").wait_for()
    assert [text for text in notebook.errors if "favicon" not in text] == [] and notebook.outside == []
