"""Going through time in a real JupyterLab: what is seen is what the kernel has, bit for bit, and nothing compiles."""

import json

import pytest
from lab_driver import SPY, Notebook, wait_until
from test_browser import MAKE, quiet, trains

# Writes where the run is in its branches, and digests of its weights now and of those that its timeline has there.
TELL = """
import hashlib, jax, numpy as np
def _digest(state):
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(state.params))).hexdigest()
def _tell():
    while True:
        time.sleep(0.1)
        try:
            timeline, step = lab.timeline, len(lab.history)
            told = {"here": timeline.here, "behind": timeline.behind, "step": step, "state": lab.state}
            told["branches"] = {name: [b.parent, b.start, b.tip.steps] for name, b in lab.branches.items()}
            if lab.state not in ("training", "compiling"):
                told["weights"], told["again"] = _digest(lab.trainer.state), _digest(timeline.point(step).state)
            Path("time.part").write_text(json.dumps(told))
            Path("time.part").replace("time.json")
        except Exception:  # whatever it is: the run moved while this thread looked, and it looks again
            pass
threading.Thread(target=_tell, daemon=True).start()
"""


def told(notebook: Notebook) -> dict:
    path = notebook.folder / "time.json"
    return json.loads(path.read_text()) if path.exists() else {"step": -1, "behind": False, "state": "", "branches": {}}


def stands(notebook: Notebook, **wanted) -> dict:
    """Wait until the run is there; what the kernel told."""
    try:
        wait_until(lambda: {**told(notebook), **wanted} == told(notebook), 60, str(wanted))
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {told(notebook)}, and says {notebook.status.inner_text()!r}") from None
    return told(notebook)


def shown(page) -> int:
    """The step that the scrubber shows."""
    return int(page.locator(".snnlab .scrubber").get_attribute("aria-valuenow"))


def begin(page, address, folder, *more: str) -> Notebook:
    """A run that trains in sight, some hundred steps far."""
    notebook = Notebook(page, address, folder, [MAKE + SPY + TELL, "lab", *more])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.button("Start").click()
    notebook.wait_for("training", 300)
    return notebook


def drag(page, *shares: float) -> None:
    """Drag the handle from the end over some places, each a share of the track."""
    box = page.locator(".snnlab .scrubber").bounding_box()
    page.mouse.move(box["x"] + 0.9 * box["width"], box["y"] + 8)
    page.mouse.down()
    for share in shares:
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 8, steps=4)
        page.wait_for_timeout(150)
    page.mouse.up()


@pytest.mark.smoke
def test_drag_turn_a_knob_and_go_on(page, address, lab_folder):
    """A drag during training shows that moment; going on makes a branch, and the trunk stays."""
    notebook = begin(page, address, lab_folder)
    drag(page, 0.7, 0.3, 0.5)
    stands(notebook, behind=True, state="stopped")
    step = shown(page)  # what the hand wished for
    now = stands(notebook, step=step)
    trunk = now["branches"]["a"][2]
    assert 0 < step < trunk and now["weights"] == now["again"]
    sentence = f"At step {step:,} of branch a, which was trained to step {trunk:,}."
    wait_until(lambda: sentence in notebook.status.inner_text(), 60, sentence)
    assert f"step {step:,} of" in notebook.status.inner_text() and shown(page) == step
    field = notebook.field("hidden.v_th")
    field.fill("0.6")
    field.press("Enter")
    wait_until(lambda: notebook.kernel()["knobs"]["hidden.v_th"] == 0.6, 60, "the knob")
    notebook.button("Go on from here").click()
    notebook.wait_for("training", step + 50)
    now = stands(notebook, here="b")
    assert now["branches"]["b"][:2] == ["a", step] and now["branches"]["a"] == [None, 0, trunk]
    newest = notebook.kernel()["newest"][0]
    assert (newest["step"], newest["knob"], newest["new"]) == (step, "hidden.v_th", pytest.approx(0.6))
    assert notebook.kernel()["compilations"] == 1
    quiet(notebook)


def test_keys_switch_and_run_both(page, address, lab_folder):
    """Home, End and arrows during training, Escape; then two branches, trained in turn to the same step."""
    notebook = begin(page, address, lab_folder)
    page.locator(".snnlab .scrubber").focus()
    page.keyboard.press("Home")
    stands(notebook, step=0, behind=True)
    wait_until(lambda: shown(page) == 0, 60, "step 0")
    page.keyboard.press("ArrowUp")
    now = stands(notebook, step=1, behind=True)
    assert now["weights"] == now["again"]
    page.keyboard.press("Shift+ArrowRight")
    per_epoch = stands(notebook, behind=True, step=1437 // 64)["step"]
    trunk = told(notebook)["branches"]["a"][2]
    page.keyboard.press("End")
    stands(notebook, step=trunk, behind=False, state="stopped")
    page.keyboard.press("Shift+ArrowLeft")
    at = stands(notebook, behind=True, step=(-(-trunk // per_epoch) - 1) * per_epoch)["step"]
    notebook.button("Go on from here").click()
    notebook.wait_for("training", at + 20)
    stands(notebook, here="b")
    notebook.tab("Time")
    page.locator(".snnlab [data-branch=a]").click()
    stands(notebook, here="a", step=trunk, behind=False)
    assert told(notebook)["branches"]["b"][:2] == ["a", at]
    for name in ("a", "b"):
        page.get_by_role("checkbox", name=f"select {name}").check()
    notebook.button("Run both").click()
    before = told(notebook)["branches"]
    both = lambda: all(told(notebook)["branches"][name][2] > before[name][2] + 40 for name in "ab")  # noqa: E731
    wait_until(both, 60, "both go on")
    page.wait_for_selector("text=Trains a, b in turn; a is shown.")
    assert page.locator(".snnlab [aria-current=true]").get_attribute("data-branch") == "a"
    notebook.button("Stop").click()
    notebook.wait_for("stopped")
    assert notebook.kernel()["compilations"] == 1
    quiet(notebook)


def test_a_page_loaded_again_shows_the_same_moment(page, address, lab_folder):
    notebook = begin(page, address, lab_folder)
    drag(page, 0.4)
    stands(notebook, behind=True, state="stopped")
    step = shown(page)
    stands(notebook, step=step)
    notebook.tab("Time")
    notebook.save()
    page.reload()
    page.wait_for_selector(".snnlab .scrubber")
    wait_until(lambda: shown(page) == step, 60, "the step after a reload")
    assert page.locator(".snnlab [role=tab][aria-selected=true]").inner_text() == "Time"
    notebook.button("Go on from here").wait_for()
    notebook.button("Back to now").click()
    stands(notebook, behind=False, state="stopped")
    wait_until(lambda: not notebook.button("Go on from here").is_visible(), 60, "the picture of now")
    notebook.button("Start").click()
    trains(notebook)
    assert list(told(notebook)["branches"]) == ["a"], "nothing was trained back there, so it left no branch"
    quiet(notebook)
