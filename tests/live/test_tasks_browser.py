"""Two tasks as a person sees them: classes of every step, and a trace; in a real browser, in one notebook."""

import re
from pathlib import Path

from lab_driver import Notebook, wait_until

HERE = Path(__file__).parent

MAKE = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from tasks_made import task_data, task_net
from snnlab.live import LiveTrainer
data = {{task: task_data(task) for task in ("step_labels", "traces")}}
steps, trace = (LiveTrainer(task_net(data[task]), data[task], epochs=20, batch_size=16) for task in data)
"""


def test_the_panels_show_the_targets(page, address, lab_folder):
    """What the canvases say of themselves is of the task; the Errors tab lists samples, and a key shows one of them."""
    notebook = Notebook(page, address, lab_folder, [MAKE, "_ = steps.fit()", "_ = trace.fit()"])
    notebook.run_all()
    boards = page.locator(".snnlab .screen")
    wait_until(lambda: boards.count() == 2, 120, "two dashboards")
    said = {}
    for number, words in ((0, r"% of \d+ steps are right"), (1, r"R2 .*RMSE .* over \d+ steps of this sample")):
        board = boards.nth(number)
        board.scroll_into_view_if_needed()
        raster = board.locator(".panel.raster canvas")
        wait_until(lambda r=raster, w=words: re.search(w, r.get_attribute("aria-label") or ""), 60, words)
        assert board.locator(".watched").inner_text() == "test part watched"
        board.locator("header .facts", has_text=("test accuracy", "test R2")[number]).wait_for()
        board.locator("[role=tab]", has_text="Errors").click()
        errors = board.locator("[role=tabpanel] canvas").last
        wait_until(
            lambda e=errors: "not looked at" not in (e.get_attribute("aria-label") or "not looked at"), 60, "errors"
        )
        said[number] = errors.get_attribute("aria-label")
    assert re.match(r"Errors: [\d.<>]+% of [\d,]+ test steps are right", said[0]), said[0]
    assert re.match(r"Errors: R2 \S+, RMSE \S+ over [\d,]+ test steps, all 2 outputs", said[1]), said[1]
    assert "the 30 worst samples; below each: its RMSE" in said[1]
    errors = boards.nth(1).locator("[role=tabpanel] canvas").last
    errors.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    field = boards.nth(1).locator("[data-set=sample]")
    before = field.input_value()
    page.keyboard.press("Enter")
    wait_until(lambda: field.input_value() != before or before != "0", 60, "another sample")
    assert [text for text in notebook.errors if "favicon" not in text] == [] and notebook.outside == []
