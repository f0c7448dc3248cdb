"""The map of a study in a real JupyterLab and a real browser: it fills, opens runs, and is reloaded."""

import json
import re

from lab_driver import Notebook, wait_until
from tiers import needed

MAKE = """
import json, tempfile, threading, time
from pathlib import Path
import snnlab
study = snnlab.sweep(
    snnlab.SnnConfig(hidden=20, num_steps=30),
    over={"tau_mem": snnlab.log(2, 50, 4), "v_th": snnlab.linear(0.25, 1.0, 3), "seed": range(2)},
    epochs=EPOCHS,
    folder=tempfile.mkdtemp(),
)
def spy():
    part = Path("map.part").absolute()
    while True:
        display = study._display
        if display is not None:
            board = display.board
            told = {"state": study.state, "opened": list(board.state["opened"]), "said": board.state["said"]["text"],
                    "hellos": board.hellos, "view": board.drawn["view"],
                    "rows": sum(len(cell.rows) for cell in study.cells.values())}
            part.write_text(json.dumps(told))
            part.replace(part.with_name("map.json"))
        time.sleep(0.05)
threading.Thread(target=spy, daemon=True).start()
"""
MAP, TOLD = ".snnlab .maps canvas", ".snnlab .screen.map > p.words"


class Map(Notebook):
    """A notebook with a study, whose map is shown."""

    def __init__(self, page, address, folder, epochs: int, *, views: int = 1):
        super().__init__(page, address, folder, [MAKE.replace("EPOCHS", str(epochs)), *["study"] * views])
        self.run_all()
        page.wait_for_selector(MAP)

    def study(self) -> dict:
        """What the kernel last wrote about the study."""
        path = self.folder / "map.json"
        return json.loads(path.read_text()) if path.exists() else {"state": "", "rows": 0, "opened": [], "hellos": 0}


def test_a_map_fills_and_a_run_opens_while_others_compute(page, address, lab_folder):
    """By keyboard: from place to place, Enter, and the dashboard of that run stands below; then the page reloads."""
    notebook = Map(page, address, lab_folder, epochs=400)
    wait_until(lambda: notebook.study()["rows"] > 30, 120, "epochs")
    canvas = page.locator(MAP)
    wait_until(lambda: "highest: tau_mem" in (canvas.get_attribute("aria-label") or ""), 60, "a place with a score")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(TOLD).inner_text().startswith("tau_mem 2 ms, v_th 0.25: ")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    told = page.locator(TOLD).inner_text()
    assert re.match(r"tau_mem 5\.8\d ms, v_th 0\.625: test accuracy [\d.]+%.* spikes a sample, ", told), told
    assert "tau_mem 5.8" in page.locator(".snnlab .cell .where").inner_text()
    page.keyboard.press("Enter")
    wait_until(lambda: len(notebook.study()["opened"]) == 1, 120, notebook.study().get("said", ""))
    page.wait_for_selector(".snnlab .panel.raster canvas")
    rows = notebook.study()["rows"]
    wait_until(lambda: notebook.study()["rows"] > rows, 120, "the others go on")
    assert notebook.study()["state"] == "running"
    page.locator(".snnlab [aria-label='x axis']").select_option("v_th")
    wait_until(lambda: notebook.study()["view"]["x"] == "v_th", 60, "the axes swap")
    notebook.save()
    hellos = notebook.study()["hellos"]
    page.goto(notebook.url)
    notebook.wait_idle()
    page.wait_for_selector(MAP)
    wait_until(lambda: notebook.study()["hellos"] > hellos, 60, "the page says hello")
    wait_until(lambda: "over v_th x tau_mem" in (page.locator(MAP).get_attribute("aria-label") or ""), 60, "the map")
    page.locator(".snnlab .screen.map [data-do=transport]").click()
    wait_until(lambda: notebook.study()["state"] == "paused", 120, "a pause")
    page.locator(".snnlab .screen.map button", has_text="Resume").wait_for()
    assert [text for text in notebook.errors if "favicon" not in text] == [] and notebook.outside == []


def test_a_pointer_shows_a_place_and_axe_finds_nothing(page, address, lab_folder):
    """The layout does not move under the pointer; the table and the list of explanations open, too."""
    axe = needed("axe_playwright_python.sync_playwright", "browser").Axe()
    notebook = Map(page, address, lab_folder, epochs=2)
    wait_until(lambda: notebook.study()["state"] == "done", 180, "the end")
    page.locator(".snnlab .screen.map button", has_text="Done").wait_for()
    boxes = lambda: page.evaluate(  # noqa: E731
        "[...document.querySelectorAll('.screen.map .panel')].map((el) => JSON.stringify(el.getBoundingClientRect()))"
    )
    before, box = boxes(), page.locator(MAP).bounding_box()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.4 * box["height"])
    page.locator(".snnlab .cell .where", has_text="tau_mem").wait_for()
    assert page.locator(".snnlab .cell tbody tr").count() == 2
    assert boxes() == before
    page.locator(".snnlab [data-explain='map.table']").click()
    wait_until(lambda: notebook.study()["opened"] == ["table"], 60, "the table")
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        notebook.command("apputils:change-theme", theme=theme)
        page.wait_for_timeout(1500)
        found = axe.run(page, context=".snnlab").response
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == [], theme
    assert [text for text in notebook.errors if "favicon" not in text] == [] and notebook.outside == []


def test_two_views_of_one_map_are_alike(page, address, lab_folder):
    """Both fill, one that is opened in between has all that came before, and what is chosen in one holds for both."""
    notebook = Map(page, address, lab_folder, epochs=60, views=2)
    maps, words = page.locator(MAP), lambda: [one.get_attribute("aria-label") or "" for one in page.locator(MAP).all()]
    wait_until(lambda: maps.count() == 2, 60, "two maps")
    wait_until(lambda: notebook.study()["rows"] > 60, 120, "epochs")
    rows = notebook.study()["rows"]
    notebook.run_cell(2)  # its view is made anew, and the map has begun long ago
    wait_until(
        lambda: maps.count() == 2 and all("highest: tau_mem" in text for text in words()), 60, "both have scores"
    )
    wait_until(lambda: notebook.study()["rows"] > rows, 120, "it goes on")
    page.locator(".snnlab [aria-label='x axis']").nth(1).select_option("v_th")
    wait_until(lambda: all("over v_th x tau_mem" in text for text in words()), 60, "both swap their axes")
    wait_until(lambda: notebook.study()["state"] == "done", 300, "the end")
    for place in range(2):
        page.locator(".snnlab .screen.map").nth(place).locator("button", has_text="Done").wait_for()
    wait_until(lambda: len(set(words())) == 1, 60, "both tell the same")
    pictures = [one.evaluate("canvas => canvas.toDataURL()") for one in maps.all()]
    assert len(pictures) == 2 and pictures[0] == pictures[1]
    assert [text for text in notebook.errors if "favicon" not in text] == [] and notebook.outside == []
