"""LiveTrainer's own part: beginning again, several of them, what a notebook does to it, what it leaves behind."""

import base64
import html
import re
import runpy
import subprocess
import sys
from xml.etree import ElementTree

import jax
import numpy as np
import pytest
from lab_driver import wait_until
from safetensors.numpy import load_file

from snnlab import data
from snnlab.config import SnnConfig
from snnlab.errors import ArgumentError
from snnlab.export import load_metadata
from snnlab.live import LiveTrainer, frontend


def until_step(lab: LiveTrainer, step: int) -> None:
    wait_until(lambda: len(lab.history) >= step or lab.error, 60, f"step {step}")
    assert lab.error is None


def weights(lab: LiveTrainer) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(lab.trainer.state.params)]


def test_a_live_run_replays_from_its_script(make, tmp_path):
    """Knobs moved at moments that nobody chose, in a run that was reset before: the script gives the same bits."""
    lab = make()
    lab.start()
    until_step(lab, 5)
    lab.set(v_th=0.8)
    until_step(lab, len(lab.history) + 3)
    lab.reset(seed=5)
    lab.start()
    for k in range(6):
        until_step(lab, len(lab.history) + 2)
        lab.set(v_th=0.9 - 0.07 * k, learning_rate=0.01 / (k + 1))
    until_step(lab, len(lab.history) + 4)
    lab.stop()
    assert lab.wait(60) and len(lab.history.interventions) >= 10
    path = tmp_path / "replay.py"
    path.write_text(lab.script() + f"\nsnnlab.save(net, {str(tmp_path / 'net.safetensors')!r})\n", encoding="utf-8")
    runpy.run_path(str(path))
    replayed = load_file(tmp_path / "net.safetensors")
    for own, name in zip(weights(lab), ("hidden.kernel", "readout.kernel"), strict=True):
        np.testing.assert_array_equal(own, replayed[name])


def test_reset_in_the_middle_keeps_the_run_as_a_ghost(make):
    lab = make()
    start = weights(lab)
    lab.start()
    until_step(lab, 3)
    first = lab.history
    lab.reset()
    assert lab.state == "idle" and len(lab.history) == 0 and [run[:2] for run in lab.runs] == [(first, 8)]
    assert all(map(np.array_equal, weights(lab), start))
    assert lab.trainer.compilations == 1
    lab.start()
    until_step(lab, 3)
    assert lab.trainer.compilations == 1


def test_a_new_structure_keeps_the_knobs(make):
    lab = make()
    lab.step()
    wait_until(lambda: lab.state == "paused", 60)
    lab.set(v_th=0.7)
    lab.step()
    wait_until(lambda: lab.state == "paused" and len(lab.history) == 2, 60)
    lab.reset(hidden=8, num_steps=20, batch_size=64, epochs=3)
    assert (lab.trainer.config.batch_size, lab.trainer.config.epochs, lab.model.recipe.config.hidden) == (64, 3, 8)
    lab.step()
    wait_until(lambda: lab.state == "paused", 60)
    move = lab.history.interventions[0]
    assert (move["step"], move["knob"], move["new"]) == (0, "hidden.v_th", 0.7)


def test_a_reset_that_cannot_be_leaves_the_run_alone(make):
    lab = make()
    lab.start()
    wait_until(lambda: lab.state == "training", 60)
    with pytest.raises(TypeError, match="layers"):
        lab.reset(layers=3)
    with pytest.raises(ArgumentError, match="hidden: must be an integer"):
        lab.reset(hidden=0)
    with pytest.raises(ArgumentError, match=r"batch_size: .* got 5000"):
        lab.reset(batch_size=5000)
    assert lab.state == "training" and lab.runs == []


def test_a_model_of_ones_own_can_begin_again_but_not_grow(make, digits):
    from flax import nnx

    from snnlab.layers import LSTM, Stack

    class Mine(nnx.Module):
        def __init__(self, rngs):
            self.stack = Stack(hidden=LSTM(8, 6, rngs=rngs), readout=nnx.Linear(6, 10, rngs=rngs))

        def __call__(self, x):
            return self.stack(x.swapaxes(0, 1) / 255.0)

    lab = LiveTrainer(Mine(nnx.Rngs(0)), digits, epochs=50, batch_size=64)
    start = weights(lab)
    lab.step(3)
    wait_until(lambda: lab.state == "paused", 60)
    assert len(lab.history) == 3
    lab.reset(seed=9)
    assert all(map(np.array_equal, weights(lab), start)) and lab.trainer.config.seed == 9
    with pytest.raises(ArgumentError, match=r"hidden: cannot change .* batch_size, epochs"):
        lab.reset(hidden=3)
    lab.close()


def test_two_train_side_by_side(make):
    one, two = make(), make(seed=1)
    one.start()
    two.start()
    until_step(one, 10)
    until_step(two, 10)
    one.stop()
    assert one.wait(60) and two.state == "training"


def test_running_a_cell_again_replaces_what_it_made(make, monkeypatch):
    running = {"cell": ("a", "1")}
    monkeypatch.setattr(frontend, "running_cell", lambda: running["cell"])
    first, second = make(), make()  # two in one cell stay both
    first.start()
    until_step(first, 1)
    running["cell"] = ("b", "2")
    other = make()
    assert all(lab.display.board for lab in (first, second, other))
    assert first.state == "training"
    running["cell"] = ("a", "3")
    again = make()
    assert (first.state, second.state, other.state, again.state) == ("stopped", "idle", "idle", "idle")
    assert len(first.history) > 0 and second._display is None and other._display is not None


def test_a_headless_notebook_keeps_a_picture(make, monkeypatch):
    monkeypatch.setenv("SNNLAB_HEADLESS", "1")
    lab = make(epochs=1)
    lab.fit()
    bundle = lab._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain", "text/html"} and "test accuracy" in bundle["text/plain"]
    assert ElementTree.fromstring(bundle["image/svg+xml"]).tag.endswith("svg")
    assert len(bundle["image/svg+xml"]) < 200_000 and lab._display is None


def test_the_picture_has_the_network_below_it(make, monkeypatch):
    """Where scripts run it plays; one line, so that it can stand in Markdown."""
    monkeypatch.setenv("SNNLAB_HEADLESS", "1")
    lab = make(epochs=1)
    assert "text/html" not in lab._repr_mimebundle_()  # nothing is trained yet
    lab.fit()
    shown = lab._repr_mimebundle_()["text/html"]
    frame = re.search(r'<details>.*<iframe sandbox="allow-scripts" [^>]*srcdoc="([^"]*)"></iframe></details>$', shown)
    page = html.unescape(frame[1])
    assert "\n" not in shown and page.startswith("<!doctype html>") and "default-src 'none'" in page
    picture = base64.b64decode(re.match(r'<img src="data:image/svg\+xml;base64,([^"]*)"', shown)[1]).decode()
    assert picture == lab._repr_mimebundle_()["image/svg+xml"]

    def refuse(*args, **options):
        raise ArgumentError("model: cannot be shown")

    monkeypatch.setattr(type(lab), "exhibit", refuse)
    assert set(lab._repr_mimebundle_()) == {"image/svg+xml", "text/plain"}


def test_bad_settings_are_refused(make):
    with pytest.raises(ArgumentError, match="hz: must be"):
        make(hz=0)
    with pytest.raises(ArgumentError, match="show: must be one of 'curves', 'raster', 'health', got 'all'"):
        make(show=("all",))


def test_export_goes_by_the_ending(make, tmp_path, capsys, monkeypatch):
    """Both formats, with what is known of the training; only into the folder that was named, and over nothing."""
    monkeypatch.chdir(tmp_path)
    lab = make(folder=tmp_path / "exports")
    lab.step()
    wait_until(lambda: lab.state == "paused", 60)
    assert lab.export(tmp_path / "out" / "net.nir").name == "net.nir"
    assert "net.nir: its reader must assume" in capsys.readouterr().out
    about = load_metadata(lab.export())
    assert about["training"]["data"] == "digits" and about["training"]["steps"] == 1
    before = (tmp_path / "out" / "net.nir").read_bytes()
    with pytest.raises(ArgumentError, match=r"net.nir exists; choose another, or pass overwrite=True"):
        lab.export(tmp_path / "out" / "net.nir")
    with pytest.raises(ArgumentError, match="path: its ending: must be one of"):
        lab.export(tmp_path / "out" / "net.pkl")
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {"out/net.nir", "exports/net-step-1.safetensors"}
    assert (tmp_path / "out" / "net.nir").read_bytes() == before


@pytest.mark.endure
def test_events_in_the_dashboard(make_lab):
    """A set of events trains while it is watched: raster, health, a restart with another structure, and the picture."""
    part = data.load("event_digits").subset(train=256, test=64)
    lab = make_lab(part, SnnConfig(hidden=16, code="events"), epochs=500, batch_size=64)
    watcher = lab.display.watcher
    lab.start()
    until_step(lab, 8)
    wait_until(lambda: watcher.error or (watcher.look and watcher.health), 60, "a look at the network")
    assert watcher.error is None and watcher.look.probe.sample.shape == (24, 12)
    lab.reset(hidden=12)
    lab.start()
    until_step(lab, 4)
    lab.stop()
    assert lab.wait(60) and lab.error is None
    config = lab.model.recipe.config
    assert (config.hidden, config.code) == (12, "events")
    assert ElementTree.fromstring(lab._still()["image/svg+xml"]).tag.endswith("svg")


LEAVES = """
import atexit, threading
names = lambda: {thread.name for thread in threading.enumerate() if thread.name.startswith("snnlab")}
import jax
atexit.register(lambda: print(*names()))  # runs between those of snnlab and that of JAX, which takes its devices away
import snnlab
from snnlab.live.frames.chosen import Chosen
from snnlab.live.look.watcher import Watcher
digits = snnlab.load_data("digits").subset(train=256, test=64)
net = snnlab.build(snnlab.SnnConfig(hidden=32, num_steps=40), sample_shape=(8, 8), num_classes=10)
lab = snnlab.LiveTrainer(net, digits, epochs=100_000, batch_size=32)
lab.start()
inside = threading.Event()
chosen = Chosen(10.0)
chosen.__class__ = type("Asked", (Chosen,), {"sample": property(lambda self: inside.set() or 0)})
Watcher(lab.trainer, chosen, lambda awaited: 0.0, probing=True, checking=True).open()
inside.wait()
assert names() == {"snnlab-train", "snnlab-watch"}
"""


@pytest.mark.endure
def test_the_interpreter_goes_away_while_it_trains(tmp_path):
    """A thread that is inside XLA then can crash the process: there is none any more."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVES], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr
