"""The guided tour in a real JupyterLab: by keyboard through all stops, on real digits."""

import re

from lab_driver import SPY, Notebook, wait_until

MAKE = """
import snnlab
digits = snnlab.load_data("digits")
config = snnlab.SnnConfig(hidden=100, v_th=0.5)  # it fires before it is trained, too
net = snnlab.build(config, sample_shape=digits.sample_shape, num_classes=digits.num_classes)
lab = snnlab.LiveTrainer(net, digits, epochs=100_000, batch_size=64)
"""
STOPS = (
    "Let it learn",
    "One sample, in spikes",
    "The threshold",
    "How long a spike lasts",
    "Health",
    "What it gets wrong",
)


def spikes(page) -> int:
    """Of the hidden layer in the raster."""
    said = page.locator(".snnlab .raster canvas").get_attribute("aria-label")
    found = re.search(r"hidden ([\d,]+) spikes", said or "")
    return int(found[1].replace(",", "")) if found else -1


def stop_of(page) -> str:
    card = page.locator(".snnlab .tour")
    return card.locator("h4").inner_text() if card.is_visible() else ""


def begin(page, address, folder) -> Notebook:
    notebook = Notebook(page, address, folder, [MAKE + SPY, "lab"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.button("Start").wait_for()
    wait_until(lambda: spikes(page) > 0, 60, "the raster")
    page.get_by_role("button", name="tour").focus()
    page.keyboard.press("Enter")
    return notebook


def shown(notebook: Notebook, knob: str) -> float:
    return float(notebook.field(knob).input_value())


def test_all_stops_by_keyboard(page, address, lab_folder):
    """The run starts, the raster empties while the threshold is up, and every knob is back; the run never knew."""
    notebook = begin(page, address, lab_folder)
    knobs = notebook.kernel()["knobs"]
    for number, title in enumerate(STOPS, 1):
        wait_until(lambda title=title: stop_of(page) == title, 60, title)
        card = page.get_by_role("dialog", name=title)
        assert card.get_by_text(f"{number} of 6").is_visible()
        assert page.locator(".snnlab .toured").count() > 0
        screen, box = page.locator(".snnlab .screen").bounding_box(), card.bounding_box()
        assert screen["x"] <= box["x"] and box["x"] + box["width"] <= screen["x"] + screen["width"]
        assert screen["y"] <= box["y"] and box["y"] + box["height"] <= screen["y"] + screen["height"]
        if number == 1:
            notebook.wait_for("training", 5)
        elif number == 3:
            before = spikes(page)
            wait_until(lambda: shown(notebook, "hidden.v_th") > 0.5, 60, "the knob is on its way")
            wait_until(lambda before=before: spikes(page) <= before / 2, 60, "the raster has emptied")
            preview = "This is a preview"
            assert preview in page.locator(".snnlab .raster canvas").get_attribute("aria-label")
        elif number == 4:
            assert shown(notebook, "hidden.v_th") == 0.5
            wait_until(lambda: shown(notebook, "hidden.tau_syn") == 2.0, 60, "the other knob has arrived")
        page.keyboard.press("ArrowRight" if number % 2 else "Enter")
    assert stop_of(page) == "" and page.evaluate("document.activeElement.ariaLabel") == "tour"
    wait_until(lambda: shown(notebook, "hidden.tau_syn") == 10.0 and shown(notebook, "hidden.v_th") == 0.5, 60, "back")
    kernel = notebook.kernel()
    assert kernel["knobs"] == knobs and kernel["moves"] == [] and kernel["compilations"] == 1
    assert page.locator(".snnlab [data-do=undo]").is_disabled()


def test_escape_and_a_reload_leave_nothing_behind(page, address, lab_folder):
    """A page that is loaded again shows the stop where it was; Escape ends the tour, with the knobs as they were."""
    notebook = begin(page, address, lab_folder)
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    wait_until(lambda: shown(notebook, "hidden.v_th") > 1.0, 60, "the knob is on its way")
    notebook.save()
    page.reload()
    page.wait_for_selector(".snnlab .tour")
    wait_until(lambda: stop_of(page) == "The threshold", 60, "where it was")
    page.locator(".snnlab .tour").get_by_role("button", name="Next").focus()
    page.keyboard.press("Escape")
    wait_until(lambda: stop_of(page) == "" and shown(notebook, "hidden.v_th") == 0.5, 60, "as it was")
    assert notebook.kernel()["moves"] == []
    page.get_by_role("button", name="tour").click()
    wait_until(lambda: stop_of(page) == "Let it learn", 60, "it begins anew")
