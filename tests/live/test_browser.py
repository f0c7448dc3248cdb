"""The dashboard as a person uses it: a real Chromium against a real JupyterLab, on real digits."""

import math
import os
import re
import time

import pytest
from lab_driver import SPY, Notebook, Page, jupyter, voila, wait_until, write_notebook

MAKE = """
from snnlab import data, models
from snnlab.config import SnnConfig
from snnlab.live import LiveTrainer
digits = data.load("digits")
net = models.build(SnnConfig(), sample_shape=digits.sample_shape, num_classes=digits.num_classes)
lab = LiveTrainer(net, digits, epochs=100_000, batch_size=64)
"""


def train(page, address, folder, *more: str, make: str = MAKE) -> Notebook:
    """A notebook whose dashboard was shown and started; cells 0 and 1 make it, and there may be more."""
    notebook = Notebook(page, address, folder, [make + SPY, "lab", *more])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.button("Start").click()
    notebook.wait_for("training", 5)
    return notebook


def trains(notebook: Notebook) -> None:
    """It takes more steps."""
    notebook.wait_for("training", notebook.kernel()["step"] + 1)


def quiet(notebook: Notebook) -> None:
    """Nothing was asked from outside, no error was written to the console."""
    assert notebook.outside == []
    assert [text for text in notebook.errors if "favicon" not in text] == []


def marked(page, label: str) -> bool:
    """The curves have one mark, with this label."""
    said = page.locator(".snnlab .main canvas").first.get_attribute("aria-label")
    return re.search(rf" 1 move, the newest: {label} [\d.]+ at step [\d,]+\.", said) is not None


def reactions(notebook: Notebook) -> None:
    """A run that trains is paused, resumed, stopped and started again; in a pause it takes no step."""
    kernel = notebook.kernel
    for button, state, back in (("Pause", "paused", "Resume"), ("Stop", "stopped", "Start")):
        notebook.button(button).click()
        notebook.wait_for(state)
        notebook.button(back).wait_for()
        step = kernel()["step"]
        time.sleep(1.0)
        assert kernel()["step"] == step
        notebook.button(back).click()
        notebook.wait_for("training", step + 1)
        notebook.button("Pause").wait_for()


def test_fit_in_a_cell_returns_while_it_trains(page, address, lab_folder):
    """With somebody watching, `fit` leaves the kernel free: the cell below runs, and export there says why not yet."""
    last = "print('free at', lab.state)\nlab.export('net.safetensors')"
    notebook = Notebook(page, address, lab_folder, [MAKE + SPY, "_ = lab.fit()", last])
    notebook.run_all()
    page.wait_for_selector("text=/free at (compiling|training)/")
    page.wait_for_selector("text=/StateError: export: still training, epoch \\d+ of 100000; wait, or call pause/")
    notebook.wait_for("training", 5)
    notebook.button("Stop").click()
    notebook.wait_for("stopped")


def test_watch_touch_pause_stop(page, address, lab_folder):
    """A slider moved by keyboard reaches the jitted step without a compilation; pause, resume and stop act."""
    notebook = train(page, address, lab_folder)
    kernel = notebook.kernel
    assert kernel()["moves"] == []  # showing a slider does not move its knob
    before = kernel()["knobs"]["hidden.v_th"]
    notebook.slider("hidden.v_th").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    wait_until(
        lambda: kernel()["newest"] and kernel()["newest"][0]["knob"] == "hidden.v_th", 60, "the move in the step"
    )
    wait_until(lambda: kernel()["newest"][0]["new"] == kernel()["knobs"]["hidden.v_th"], 60, "the last value")
    assert kernel()["newest"][0]["new"] > before
    wait_until(notebook.complete, 60, "curves and raster")
    wait_until(lambda: marked(page, "v_th"), 60, "a mark")
    field, shown = notebook.field("hidden.v_th"), notebook.field("hidden.v_th").input_value()
    field.fill("-1")
    field.press("Enter")  # no threshold: said where it stands, and not sent
    assert field.evaluate("(field) => field.validationMessage") == "hidden.v_th must be a number of at least 0"
    field.blur()
    assert field.input_value() == shown and field.evaluate("(field) => field.checkValidity()")
    words = page.locator(".snnlab .words").first  # the curves for a screen reader: there, but takes no place
    assert re.match(r"Curves at step [\d,]+: accuracy [\d.]+, .*\bloss [\d.]+, ", words.text_content().strip())
    assert "1 move, the newest: v_th " in words.text_content()
    assert words.bounding_box()["width"] <= 1

    reactions(notebook)
    assert kernel()["compilations"] == 1
    quiet(notebook)


def test_reactions_on_fashion_mnist(page, address, lab_folder, shared):
    """Its chunks are longer, its test set is 10,000 images: every button acts all the same."""
    fashion = MAKE.replace('"digits"', repr(str(shared / "data" / "fashion-mnist"))).replace("64", "256")
    reactions(train(page, address, lab_folder, make=fashion))


TAG = "<img src=x onerror=window.attacked=1>"
MATH = r"$\href{javascript:window.attacked=1}{x}$"
NAMED = """
import json, jax.numpy as jnp, nir, numpy as np, snnlab
from flax import nnx
from snnlab import data, losses, models
from snnlab.data import Dataset
from snnlab.encode import Binned
from snnlab.history import History
from snnlab.live import LiveTrainer
from snnlab.variables import Live

# from files: names of nodes, of classes and of a data set, and a history
full = lambda value, n=8: np.full(n, value, np.float32)
weights = lambda a, b: nir.Linear(np.random.default_rng(0).normal(0.5, 0.5, (b, a)).astype(np.float32))
lif = nir.LIF(tau=full(0.01), r=full(1.0), v_leak=full(0.0), v_threshold=full(0.3), v_reset=full(0.0))
li = nir.LI(tau=full(0.01, 10), r=full(10.0, 10), v_leak=full(0.0, 10))
nodes = {"input": nir.Input(np.array([288])), TAG + " in": weights(288, 8), "a b " + TAG: lif, "w": weights(8, 10)}
nodes |= {MATH + TAG: li, "output": nir.Output(np.array([10]))}
nir.write("net.nir", nir.NIRGraph(nodes, list(zip(list(nodes), list(nodes)[1:]))))
whole = data.load("event_digits").subset(train=256, test=64)
parts = {name: getattr(whole, name) for name in ("x_train", "y_train", "x_test", "y_test")}
data.save_events(Dataset(name="any", class_names=[TAG + MATH + str(k) for k in range(10)], **parts), TAG)
digits = data.load("./" + TAG)
row = {"epoch": 1, "train_loss": 1.0, "test_acc": 0.5, "terms": {TAG: 1.0}}
moves = [{"step": 0, "knob": TAG, "old": 0, "new": 1}]
Path("history.json").write_text(json.dumps({"steps": {TAG: [1.0]}, "epochs": [row], "interventions": moves}))

# from arguments: names of terms and knobs, units, folders, and what an error says
class Loss(nnx.Module):
    def __init__(self):
        self.parts = nnx.Dict({TAG: Live(jnp.ones(()), low=0.0, high=2.0, unit=TAG + MATH)})
    def __call__(self, record, labels):
        entropy = losses.cross_entropy(record.peak, labels)
        return {TAG: self.parts[TAG][...] * entropy, "<b>" + MATH: 0.0 * record.peak.sum()}

net = models.Network(Binned(num_steps=20, dt=5.0, units=288), snnlab.from_nir("net.nir", dt=5.0))
lab = LiveTrainer(net, digits, loss=Loss(), epochs=2, batch_size=64, folder=TAG)
lab.resume(TAG + "/saved")
"""


def test_names_are_shown_as_they_are(page, address, lab_folder):
    """A tag in every string that a file, an argument or a name can carry is text on the page, and nothing executes."""
    pytest.importorskip("nir")
    names = f"from pathlib import Path\nTAG, MATH = {TAG!r}, {MATH!r}"
    shows = ["lab", "lab.history", "digits", "History.load('history.json')", "lab.diagnosis", "print(lab.script())"]
    move = "lab.set({name: 0.5 for name in lab.trainer.mailbox.knobs if TAG in name})"
    rest = [move, "lab._say(TAG + MATH)", "lab.trainer.runner.prepare = lambda state: {}[TAG + MATH]"]
    notebook = Notebook(page, address, lab_folder, [names + NAMED + SPY, *shows, *rest])
    notebook.run_cell(0)
    notebook.run_cell(1)
    page.wait_for_selector(f"text=a b {TAG}")
    notebook.run_cell(len(shows) + 1)
    notebook.wait_idle()
    notebook.button("Start").click()
    notebook.wait_for("done")
    wait_until(notebook.complete, 60, "curves and raster")
    rows = page.locator(".snnlab [data-knob] input[type=range]")
    assert rows.count() == len(notebook.kernel()["knobs"])
    for cell in (*range(2, len(shows) + 1), len(shows) + 2):
        notebook.run_cell(cell)
    notebook.tab("Run")
    notebook.button("Export").click()
    page.wait_for_selector(f"text=exported {TAG}")
    notebook.button("Reset").click()  # the run becomes an earlier one
    notebook.wait_for("idle")
    notebook.run_cell(len(shows) + 3)
    notebook.wait_idle()
    notebook.button("Start").click()
    notebook.wait_for("error")
    page.wait_for_selector(f"text=error: KeyError: '{TAG}")
    assert f"KeyError: '{TAG}" in page.locator(".snnlab details.trace pre").text_content()
    assert page.evaluate("window.attacked") is None
    assert page.locator("img[src=x]").count() == 0 and page.locator("a[href^='javascript']").count() == 0
    quiet(notebook)


# Notes every move that the page asks for.
HEAR = """
heard = []
lab.display.board.on_msg(lambda widget, content, buffers: heard.extend([content["move"]] if "move" in content else []))
"""


def test_showing_a_knob_is_no_move(page, address, lab_folder):
    """What a browser shows of a knob does not come back as a move, neither at first nor when a program moved it."""
    sets = "lab.set({'hidden.tau_mem': 12.345678}, v_th=0.7654321, l2=0.0123456, learning_rate=3.3e-4)"
    notebook = Notebook(page, address, lab_folder, [MAKE + HEAR + SPY, "lab", sets, "print('heard:', heard)"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.button("Start").wait_for()
    notebook.run_cell(2)
    field = notebook.field("learning_rate")
    wait_until(lambda: float(field.input_value()) == 3.3e-4, 60, "the new values")
    notebook.slider("hidden.v_th").focus()
    page.keyboard.press("ArrowRight")
    wait_until(lambda: notebook.kernel()["knobs"]["hidden.v_th"] > 0.77, 60, "a move that is one")
    notebook.run_cell(3)
    said = page.locator(".jp-OutputArea-output", has_text="heard:")
    said.wait_for()
    assert re.findall(r"\['([\w.]+)', [\d.]+\]", said.inner_text()) == ["hidden.v_th"]
    quiet(notebook)


def test_many_moves_of_a_slider(page, address, lab_folder):
    """None is lost, none compiles, and each single one arrives in the jitted step."""
    notebook = train(page, address, lab_folder)
    kernel = notebook.kernel
    notebook.slider("hidden.tau_mem").focus()
    for k in range(120):
        page.keyboard.press("ArrowRight" if (k // 30) % 2 == 0 else "ArrowLeft")
    page.keyboard.press("ArrowRight")
    one_up = 10.0 * 10**0.01  # 61 times up, 60 times down, on a grid of a hundredth of a decade
    wait_until(
        lambda: kernel()["knobs"]["hidden.tau_mem"] == pytest.approx(one_up, 1e-4), 60, "the last value is posted"
    )
    wait_until(lambda: kernel()["newest"][0]["new"] == kernel()["knobs"]["hidden.tau_mem"], 60, "and in the step")
    assert kernel()["compilations"] == 1
    assert len(kernel()["moves"]) >= 5  # while it was dragged, too; how often depends on how fast the browser is

    for _ in range(3):
        time.sleep(0.5)
        moves = len(kernel()["moves"])
        page.keyboard.press("ArrowRight")
        wait_until(lambda moves=moves: len(kernel()["moves"]) > moves, 60, "the move in the step")
    quiet(notebook)


def test_reload_second_view_and_reopened_tab(browser, page, address, lab_folder):
    """The dashboard comes back complete, and the training continues meanwhile."""
    notebook = train(page, address, lab_folder, "lab")
    wait_until(notebook.complete, 60, "the first view")
    notebook.run_cell(2)
    page.wait_for_function("document.querySelectorAll('.snnlab').length === 2")
    both = "[...document.querySelectorAll('.snnlab canvas')].filter(c => /predicted/.test(c.ariaLabel)).length === 2"
    page.wait_for_function(both)
    notebook.save()  # a page knows its outputs from the file
    page.reload()
    page.wait_for_selector(".snnlab")
    wait_until(notebook.complete, 60, "complete after a reload")
    trains(notebook)
    page.close()
    trains(notebook)
    notebook.page = browser.new_page(viewport={"width": 1200, "height": 2600})
    notebook.listen(notebook.page)
    notebook.page.goto(notebook.url)
    notebook.page.wait_for_selector(".snnlab", timeout=30_000)
    wait_until(notebook.complete, 60, "complete in a new tab")
    notebook.button("Pause").first.click()
    notebook.wait_for("paused")
    assert notebook.kernel()["compilations"] == 1
    quiet(notebook)


def test_nothing_is_lost_while_a_page_opens(page, address, lab_folder):
    """What changes after a page has asked for the widget, and before it has made it, is shown there all the same.

    This page loses such changes before the kernel hears its first word.
    """
    begin = """
def _begin():
    while not Path("go").exists():
        time.sleep(0.02)
    lab.set(**{"hidden.v_th": 0.7})
    lab.display.board._handle_custom_msg({"set": {"sample": 3}}, [])  # as another page may choose it
    lab.start()
threading.Thread(target=_begin, daemon=True).start()
"""
    notebook = Notebook(page, address, lab_folder, [MAKE + SPY + begin, "lab"])
    notebook.run_cell(0)
    notebook.run_cell(1)
    page.wait_for_function("[...document.querySelectorAll('.snnlab canvas')].some(c => /predicted/.test(c.ariaLabel))")
    notebook.save()
    holding, held, lost = True, [], []

    def relay(socket):
        server = socket.connect_to_server()

        def from_kernel(message):
            lose = holding and held and re.search(rb'"method": ?"update"', message)
            (lost.append if lose else socket.send)(message)

        def from_page(message):
            if holding and b'"hello"' in message:
                held.append((server, message))
            else:
                server.send(message)

        server.on_message(from_kernel)
        socket.on_message(from_page)

    def relayed(condition, what):
        """Wait, and relay messages meanwhile, which `time.sleep` would hold back."""
        started = time.monotonic()
        while not condition():
            assert time.monotonic() - started < 240, f"not within 240 s: {what}"
            page.wait_for_timeout(50)

    page.route_web_socket("**/channels**", relay)
    page.reload()
    relayed(lambda: held, "the page has its widget")
    (lab_folder / "go").touch()
    relayed(lambda: any(b'"scene"' in message for message in lost), "sample 3 was drawn")
    holding = False
    for server, message in held:
        server.send(message)
    relayed(notebook.complete, "curves and raster")
    notebook.button("Pause").wait_for()
    assert notebook.field("hidden.v_th").input_value() == "0.7"
    assert marked(page, "v_th"), "the mark of the move"
    assert page.get_by_role("spinbutton", name="test sample").input_value() == "3"
    quiet(notebook)


def test_a_long_cell_does_not_lame_the_controls(page, address, lab_folder):
    """Pause works before another cell, which computes for long, has ended."""
    notebook = train(page, address, lab_folder, "import time; time.sleep(60); print('slept')")
    notebook.run_cell(2)
    time.sleep(1.0)
    notebook.button("Pause").click()
    notebook.wait_for("paused")
    assert page.locator("text=slept").count() == 1  # in the source only: the cell is still running


def test_what_a_notebook_does_to_it(page, address, lab_folder):
    """Delete the variable, interrupt, run the cell again, restart the kernel: each has its clean outcome."""
    rest = ["keep = lab; del lab; lab = keep; print('now', 'deleted')", "print('old:', keep.state, keep._display)"]
    notebook = train(page, address, lab_folder, *rest)
    notebook.run_cell(2)
    page.wait_for_selector("text=now deleted")
    notebook.command("notebook:interrupt-kernel")
    trains(notebook)  # the dashboard keeps it
    notebook.run_cell(0)  # again: the old one ends, its dashboard vanishes, a new one is idle
    notebook.wait_for("idle")
    page.wait_for_function("document.querySelectorAll('.snnlab').length === 0")
    notebook.run_cell(3)
    page.wait_for_selector("text=old: stopped None")
    notebook.run_cell(1)
    notebook.button("Start").click()
    notebook.wait_for("training", 5)
    page.evaluate("void window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    page.wait_for_selector(".snnlab.jupyter-widgets-disconnected", timeout=30_000)
    says = "getComputedStyle(document.querySelector('.snnlab.jupyter-widgets-disconnected'), '::after').content"
    assert "Run its cell again" in page.evaluate(says)
    notebook.wait_idle()


def test_an_error_while_it_trains_is_shown(page, address, lab_folder):
    """It stands in the head with its traceback; nothing hangs, and Start goes on from the last good state."""
    fragile = MAKE + "\nlab.trainer.plan([(40, 'l1', 3e38)])"  # times the spikes: infinite
    notebook = Notebook(page, address, lab_folder, [fragile + SPY, "lab"])
    notebook.run_all()
    notebook.button("Start").click()
    message = "DivergenceError: step 40: the loss is not finite (l1 is inf); the weights kept are those of step 40"
    wait_until(lambda: message in notebook.status.inner_text(), 60, "the error in the head")
    trace = page.locator(".snnlab details.trace")
    trace.locator("summary").click()
    assert trace.locator("pre").inner_text().startswith("Traceback (most recent call last)")
    trace.locator("summary").click()
    assert notebook.kernel()["state"] == "error" and notebook.kernel()["step"] == 40
    notebook.field("l1").fill("0.0001")
    notebook.field("l1").press("Enter")
    notebook.button("Start").click()
    notebook.wait_for("training", 60)


def test_a_hidden_page_slows_the_pictures_only(page, browser, address, lab_folder):
    """A page that does not draw stops answering; pictures then come every 3 s at most, and training continues."""
    notebook = train(page, address, lab_folder)
    wait_until(notebook.complete, 60, "drawn")
    page.evaluate("window.requestAnimationFrame = () => 0")  # as in a hidden tab
    time.sleep(1.0)
    before = notebook.kernel()
    wait_until(lambda: notebook.kernel()["frames"] - before["frames"] >= 3, 60, "some pictures")
    after = notebook.kernel()
    assert after["time"] - before["time"] > 3.0 * (after["frames"] - before["frames"] - 1)
    assert after["step"] > before["step"]


def test_it_is_operable_by_keyboard_and_dark(page, address, lab_folder):
    """Tab reaches the buttons, arrows and Enter choose a neuron, and a dark theme is followed."""
    notebook = train(page, address, lab_folder)
    notebook.command("apputils:change-theme", theme="JupyterLab Dark")
    page.wait_for_function("document.body.dataset.jpThemeLight === 'false'")
    wait_until(notebook.complete, 60, "drawn")
    notebook.button("Pause").focus()
    page.keyboard.press("Enter")
    notebook.wait_for("paused")
    canvas = page.locator(".snnlab .raster canvas")
    canvas.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_function("/selected hidden neuron/.test(document.querySelector('.snnlab .raster canvas').ariaLabel)")
    quiet(notebook)


def low_mb(notebook: Notebook) -> float:
    """The least memory of a kernel in 25 s, apart from the points of the run: every 20 s it gives back what is free."""
    lowest = math.inf
    for _ in range(25):
        state = notebook.kernel()
        lowest = min(lowest, state["rss_mb"] - state["points_mb"])
        time.sleep(1.0)
    return lowest


def test_minutes_at_the_default_rate(page, address, lab_folder):
    """Memory and messages stay bounded, apart from the points of the run, which fill their budget and no more.

    Memory grows until all is compiled, every panel drawn and every buffer full; how long that takes depends on the
    machine. A leak never ends: it adds 5 % in each of five turns. SNNLAB_SOAK is the length of a turn in seconds. Of
    some 600 MB, a leak of 1 MB/s is found in the 30 s of every change, one of 8 kB/s in the hour of the nightly run.
    """
    seconds = float(os.environ.get("SNNLAB_SOAK", "30"))
    notebook = train(page, address, lab_folder)
    first, lows = notebook.kernel(), [low_mb(notebook)]
    for _ in range(5):
        time.sleep(max(seconds - 25.0, 0.0))
        lows.append(low_mb(notebook))
        if lows[-1] < 1.05 * lows[-2]:
            break
    last = notebook.kernel()
    frames = (last["frames"] - first["frames"]) / (last["time"] - first["time"])
    assert lows[-1] < 1.05 * lows[-2] and last["points_mb"] <= last["budget_mb"] and 0.0 < frames < 4.5, lows
    trains(notebook)
    quiet(notebook)


@pytest.mark.parametrize("version", ["6.31.0", pytest.param("7.3.0", marks=pytest.mark.nightly)])
def test_on_other_ipykernels(page, chromium, ipykernel, tmp_path, version):
    """Beside the one that is installed. Each hands events over in its own way; the main things work on each."""
    folder = tmp_path / "nb"
    folder.mkdir()
    tell, kernel = "import ipykernel; print('version', ipykernel.__version__)", f"ipykernel-{version}"
    with jupyter(tmp_path, kernels={kernel: ipykernel(version)}) as address:
        notebook = Notebook(page, address, folder, [tell, MAKE + SPY, "lab"], kernel=kernel)
        main_things(notebook, first=1)
        notebook.run_cell(0)
        page.wait_for_selector(f"text=version {version}")


def test_in_notebook_7(page, chromium, tmp_path):
    folder = tmp_path / "nb"
    folder.mkdir()
    with jupyter(tmp_path, "notebook") as address:
        main_things(Notebook(page, address, folder, [MAKE + SPY, "lab"], at="notebook"), first=0)


def test_in_voila(page, chromium, tmp_path):
    write_notebook(tmp_path / "live.ipynb", [MAKE + SPY, "lab"])
    with voila(tmp_path / "live.ipynb") as address:
        seen = Page(page, address, tmp_path)
        page.goto(address)
        touch(seen)
    assert all("font-awesome" in url or "fontawesome" in url for url in seen.outside)  # Voila's own icons


def main_things(notebook: Notebook, first: int) -> None:
    """Run the cells, then `touch`, then load the page again."""
    notebook.run_cell(first)
    notebook.run_cell(first + 1)
    touch(notebook)
    quiet(notebook)


def touch(seen) -> None:
    """Start, move a slider, see curves and raster, pause, resume, stop."""
    kernel = seen.kernel
    seen.button("Start").click(timeout=60_000)
    seen.wait_for("training", 5)
    moved = len(kernel()["moves"])
    x, y = seen.grab("hidden.v_th")
    seen.page.mouse.move(x + 12, y, steps=4)
    seen.page.mouse.up()
    wait_until(lambda: len(kernel()["moves"]) > moved, 60, "the move in the step")
    wait_until(seen.complete, 60, "curves and raster")
    seen.button("Pause").click()
    seen.wait_for("paused")
    seen.button("Resume").click()
    seen.wait_for("training", kernel()["step"] + 1)
    seen.button("Stop").click()
    seen.wait_for("stopped")
    assert kernel()["compilations"] == 1
