"""Runs side by side: each number is that of the run, from disk and from memory; what is no run is refused."""

import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from networks import SMALL, make_trainer
from safetensors import safe_open

import snnlab
from snnlab import models
from snnlab.checkpoint import Checkpoints
from snnlab.checkpoint.saved import KNOB_OF, began_with, read_runs
from snnlab.checkpoint.snapshot import NO_RUN, Snapshot
from snnlab.cli import main
from snnlab.config import ConvConfig, LstmConfig, SnnConfig
from snnlab.errors import ArgumentError, FileFormatError
from snnlab.history import History
from snnlab.live import compare
from snnlab.live.frames import side_by_side as frame
from snnlab.live.frames.side_by_side import Side
from snnlab.support.tensors import read_tensors, write_tensors
from snnlab.timeline import Timeline
from snnlab.train import Trainer


def saved(trainer, folder, timeline: Timeline | None = None):
    """Save what a trainer did in a folder; returns the folder."""
    checkpoints = Checkpoints(trainer, folder)
    if timeline is not None:
        checkpoints.keep_branches(timeline)
    checkpoints.save_now()
    checkpoints.close()
    return folder


@pytest.fixture
def trained(small):
    """A trainer of two epochs whose threshold was moved."""
    trainer = make_trainer(small)
    trainer.plan([(5, "v_th", 0.8)])
    trainer.fit()
    return trainer


def rows(text: str) -> dict[str, list[str]]:
    """The cells of a text by the name of their row; two blanks separate cells."""
    found = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()]
    return {name: cells for name, *cells in found if cells}


# ---- what is read from disk is what was recorded ----


def test_a_saved_run_is_what_the_trainer_had(trained, tmp_path):
    (run,) = read_runs(saved(trained, tmp_path))
    assert run.history.to_dict() == trained.history.to_dict()
    assert run.steps_per_epoch == trained.steps_per_epoch
    assert dict(run.began) == began_with(trained) and run.branch == "a" and run.waiting == {}
    assert run.began["hidden"] == SMALL.hidden and run.began["batch_size"] == 32 and run.began["seed"] == 0
    assert run.began["hidden.v_th"] == 1.0  # where it began; the history has the move


def test_a_setting_with_a_number_for_each_layer_is_one_text(small, tmp_path):
    trainer = make_trainer(small, SnnConfig(hidden=(12, 9), num_steps=20, gains=(1.5, 0.5)))
    trainer.fit(2)
    (run,) = read_runs(saved(trainer, tmp_path))
    assert (run.began["hidden"], run.began["gains"]) == ("12, 9", "1.5, 0.5")


def test_reading_changes_nothing_and_does_not_wait_for_who_saves_there(trained, tmp_path):
    saved(trained, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    holder = Checkpoints(make_trainer(trained.data), tmp_path)
    assert len(read_runs(tmp_path)) == 1
    holder.close()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_all_branches_of_a_folder_are_read(small, tmp_path):
    timeline = Timeline(make_trainer(small, epochs=2))
    timeline.fit()
    timeline.branch(6, "low", v_th=0.5)
    runs = read_runs(saved(timeline.trainer, tmp_path / "both", timeline))
    assert {run.branch: len(run.history) for run in runs} == {"a": 16, "low": 6}
    assert [run.waiting for run in runs] == [{}, {"hidden.v_th": 0.5}]
    text = str(compare(tmp_path / "both"))
    assert "A: both: a" in text and "B: both: low" in text
    assert rows(text)["hidden.v_th"] == ["1", "1 \u2192 0.5"]


def test_a_checkpoint_of_an_earlier_version_tells_no_knobs(trained, tmp_path):
    """Its config tells where they began."""
    saved(trained, tmp_path)
    change_facts(tmp_path, lambda facts: [facts.pop(name) for name in ("knobs", "network", "data")])
    (run,) = read_runs(tmp_path)
    assert run.began["v_th"] == 1.0 and "hidden.v_th" not in run.began and run.began["network"] == ""
    assert rows(str(compare(tmp_path, make_trainer(trained.data, seed=3))))["seed"] == ["0", "3"]


def change_facts(folder, change) -> None:
    """Write the newest checkpoint anew with other facts, and the digest that belongs to them."""
    path = max(folder.glob("checkpoint-*.safetensors"))
    metadata, arrays = read_tensors(path)
    facts = json.loads(metadata["facts"])
    change(facts)
    snapshot = Snapshot(arrays, facts)
    write_tensors(path, arrays, {"facts": json.dumps(facts), "digest": snapshot.digest})


@pytest.mark.parametrize("field", sorted(set(KNOB_OF) - {"learning_rate"}))
def test_a_field_that_a_knob_stands_for_is_its_first_value(small, field):
    """Otherwise a difference would be hidden: the field is left out, and its knob must show it."""
    value, adapts = 0.5 * getattr(SnnConfig(), field), {"neuron": "alif"} if field in ("beta", "tau_adapt") else {}
    trainer = make_trainer(small, SnnConfig(hidden=4, num_steps=10, **{field: value}, **adapts))
    began = began_with(trainer)
    assert field not in began and began[KNOB_OF[field]] == pytest.approx(value)


@pytest.mark.parametrize(
    ("config", "layers", "widths"),
    [
        (SnnConfig(hidden=(5, 4), num_steps=10, v_th=0.5), ("hidden1", "hidden2"), {"hidden": "5, 4"}),
        (
            ConvConfig(channels=(2, 3), stride=(1, 2), pool=1, dense=(), norm=False, num_steps=10, v_th=0.5),
            ("conv1", "conv2"),
            {"channels": "2, 3", "stride": "1, 2"},
        ),
    ],
)
def test_of_several_layers_the_knobs_of_each_are_told(small, tmp_path, config, layers, widths):
    """From a run and from its checkpoint; the one field that all of them come from is not."""
    trainer = make_trainer(small, config, epochs=1, batch_size=256)
    began = began_with(trainer)
    assert widths.items() <= began.items() and not {"v_th", "tau_mem", "tau_syn", "slope"} & began.keys()
    assert {f"{layer}.v_th": 0.5 for layer in layers}.items() <= began.items()
    (run,) = read_runs(saved(trainer, tmp_path))
    assert run.began == began


# ---- what is shown ----


def test_results_are_those_of_the_histories(trained, small, tmp_path):
    other = make_trainer(small, epochs=3, seed=1, batch_size=64)
    other.fit()
    text = str(compare(saved(trained, tmp_path / "first"), other))
    shown = rows(text)
    histories = [trained.history, other.history]
    assert shown["steps"] == [str(len(history)) for history in histories]
    assert shown["epochs"] == ["2", "3"] and shown["state"] == ["saved, done", "done"]
    assert shown["test accuracy"] == [f"{history.epochs[-1]['test_acc']:.1%}" for history in histories]
    best = [max(history.epochs, key=lambda row: row["test_acc"]) for history in histories]
    assert shown["best test accuracy"] == [f"{row['test_acc']:.1%}, epoch {row['epoch']}" for row in best]
    for name, of in (("spikes per sample", [h.epochs[-1] for h in histories]), ("\u2026 at the best", best)):
        values = [float(cell) for cell in shown[name]]
        np.testing.assert_allclose(values, [row["spikes_per_sample"] for row in of], rtol=5e-3)


def test_only_what_differs_is_shown_and_the_rest_is_counted(trained, small):
    other = make_trainer(small, seed=1, batch_size=64)
    found = frame.settings(compare(trained, other).sides)
    assert {row.name: row.cells for row in found.rows} == {
        "batch_size": ("32", "64"),
        "seed": ("0", "1"),
        "hidden.v_th": ("1 \u2192 0.8", "1"),
    }
    assert found.equal == len(began_with(trained)) - 3 and found.partial == []
    assert f"{found.equal} others are equal" in str(compare(trained, other))


def test_networks_of_two_kinds_say_what_only_one_has(trained, small):
    other = make_trainer(small, LstmConfig(hidden=32))
    found = frame.settings(compare(trained, other).sides)
    assert {row.name: row.cells for row in found.rows}["network"] == ("SnnConfig", "LstmConfig")
    assert "hidden.v_th" in found.partial and "hidden" not in found.partial
    assert frame.plots(compare(trained, other).sides, "steps")["spikes per sample"][1] is None


def test_a_model_of_your_own_is_told_by_its_parameters(small):
    made = []
    for hidden in (8, 16):
        net = models.build(LstmConfig(hidden=hidden), sample_shape=(8, 8), num_classes=10)
        net.recipe = None
        made.append(Trainer(net, small, epochs=1, batch_size=32))
    sizes = [4 * hidden * (8 + hidden) + 4 * hidden + 10 * hidden + 10 for hidden in (8, 16)]
    cells = {row.name: row.cells for row in frame.settings(compare(*made).sides).rows}["parameters"]
    assert [int(cell.replace(",", "")) for cell in cells] == sizes


def test_a_setting_that_was_moved_and_moved_back_is_told():
    history = History()
    for step, old, new in ((5, 1.0, 16.0), (9, 16.0, 1.0)):
        history.add_intervention(step=step, knob="hidden.v_th", old=old, new=new)
    sides = [Side("a", history, 8, {"hidden.v_th": 1.0}), Side("b", History(), 8, {"hidden.v_th": 1.0})]
    assert frame.settings(sides).rows[0].cells == ("1 \u2192 16 \u2192 1", "1")


def test_curves_are_the_values_of_the_history(trained):
    """Few enough steps: every one is a point. An epoch ends where its steps are over."""
    (side,) = compare(trained).sides
    for x, unit in (("steps", 1), ("epochs", trained.steps_per_epoch)):
        found = frame.plots([side], x)
        at, y = found["training loss"][0]
        np.testing.assert_allclose(at, np.arange(1, 17) / unit)
        np.testing.assert_array_equal(y, trained.history.steps()["loss"])
        at, y = found["test accuracy"][0]
        np.testing.assert_allclose(at, np.array([8, 16]) / unit)
        np.testing.assert_allclose(y, [row["test_acc"] for row in trained.history.epochs], rtol=1e-6)


def test_runs_of_other_lengths_of_an_epoch_say_so(trained, small):
    other = make_trainer(small, batch_size=64)
    said, tip = "An epoch has 8 steps in A, 4 in B.", "x=&quot;epochs&quot; puts the same passes"
    assert said in str(compare(trained, other)) and f"{said} {tip}" in compare(trained, other)._repr_html_()
    assert said in compare(trained, other, x="epochs")._repr_html_()
    assert tip not in compare(trained, other, x="epochs")._repr_html_()
    assert "An epoch has" not in str(compare(trained, make_trainer(small, seed=1)))


def test_every_run_has_a_colour_a_dash_and_a_letter_of_its_own():
    sides = frame.lettered([Side(f"run {k}", History(), 8) for k in range(26)])
    assert len({side.letter for side in sides}) == 26
    looks = [frame.look(k) for k in range(26)]
    assert len(set(looks)) == 26
    for k in range(0, 24, 6):  # neighbours differ by the colour alone and by the dash alone
        assert len({look.colour for look in looks[k : k + 6]}) == len({look.dash for look in looks[k : k + 6]}) == 6


def test_a_live_run_is_shown_as_it_is_now(make):
    lab = make(epochs=2)
    shown = compare(lab)
    assert rows(str(shown))["steps"] == ["0"] and "A: live" in str(shown)
    lab.fit()
    assert rows(str(shown))["steps"] == ["16"] and rows(str(shown))["state"] == ["done"]
    lab.branch(8, "low", v_th=0.5)
    lab.fit()
    both = compare(lab, lab.branches["a"])
    assert [side.name for side in both.sides] == ["low", "a"]
    assert rows(str(both))["hidden.v_th"] == ["1 \u2192 0.5", "1"]
    assert [side.name for side in compare(lab.branches).sides] == ["a", "low"]
    lab.set(v_th=0.7)
    assert rows(str(both))["hidden.v_th"][0] == "1 \u2192 0.5 \u2192 0.7"


def test_followed_it_is_of_that_moment(make):
    lab = make(epochs=2)
    lab.fit(until_epoch=1)
    moment = lab.moment
    lab.fit()
    with lab.standing_at(moment):
        assert rows(str(compare(lab)))["steps"] == ["8"]


class Page(HTMLParser):
    """The text of the cells of a page, and whether its elements are nested."""

    def __init__(self):
        super().__init__()
        self.cells, self.opened = [], []

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self.opened) and "svg" not in self.opened:
            self.cells[-1] += data


def test_the_page_has_what_the_text_has(trained, small):
    shown = compare(trained, make_trainer(small, seed=1))
    html = shown._repr_html_()
    page = Page()
    page.feed(re.sub(r"(<(\w+)[^<>]*)/>", r"\1></\2>", html))
    assert page.opened == [] and "\n\n" not in html and "<script" not in html
    cells = [cell.strip() for cell in page.cells if cell.strip()]
    found = frame.settings(shown.sides)
    assert cells[:2] == ["A: trainer", "B: trainer (2)"]
    for row in (*frame.results(shown.sides), *found.rows):
        at = cells.index(row.name)
        assert tuple(cells[at + 1 : at + 3]) == row.cells
    assert found.rest in html and "moves of A: v_th 0.8 at step 5" in html
    drawing = ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + 6])
    words = [text.text for text in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert set(frame.plots(shown.sides, "steps")) <= set(words) and "A: v_th 0.8" in words


def test_names_are_shown_as_they_are(trained, tmp_path):
    folder = tmp_path / "<img src=x>"
    html = compare(saved(trained, folder))._repr_html_()
    assert "<img" not in html and "&lt;img src=x&gt;" in html


def test_plotly_draws_the_same(trained, small):
    figure = compare(trained, make_trainer(small, seed=1)).figure()
    named = [trace for trace in figure.data if trace.name == "A: trainer"]
    np.testing.assert_array_equal(named[0].y, trained.history.steps()["loss"])
    assert len(named) == 5 and [trace.showlegend for trace in named] == [True, False, False, False, False]
    assert {shape.x0 for shape in figure.layout.shapes} == {5}


def test_what_is_not_trained_yet_is_shown(small):
    text = str(compare(make_trainer(small)))
    assert rows(text)["steps"] == ["0"] and "test accuracy" not in rows(text)
    assert "<table" in compare(make_trainer(small))._repr_html_()


def test_a_loss_that_explodes_has_a_logarithmic_axis():
    history = History()
    history.add_steps({"loss": np.array([2.3, 0.1, 500.0]), "accuracy": np.array([0.1, 0.9, 0.1])})
    found = frame.plots([Side("a", history, 8)], "steps")
    assert frame.is_logarithmic("training loss", found["training loss"])
    assert not frame.is_logarithmic("training accuracy", found["training accuracy"])


def test_the_text_is_as_narrow_as_it_may_be(trained, small):
    shown = compare(*(make_trainer(small, seed=k) for k in range(4)))
    assert all(len(line) <= 60 for line in shown.text(60).splitlines()[:-3])
    assert rows(shown.text(10**6))["seed"] == ["0", "1", "2", "3"]


# ---- the command line ----


def test_the_command_prints_the_text(trained, small, tmp_path, capsys):
    one, two = saved(trained, tmp_path / "one"), saved(make_trainer(small, seed=1), tmp_path / "two")
    assert main(["compare", str(one), str(two)]) == 0
    assert capsys.readouterr().out.strip() == str(compare(one, two)).strip()
    assert main(["compare", str(one), str(tmp_path / "three")]) == 2
    assert capsys.readouterr().err.strip() == f"snnlab: {tmp_path / 'three'}: does not exist"


# ---- what is refused ----


def test_mistakes_are_one_line_and_name_what_is_wrong(trained, make, tmp_path):
    lab, folder, empty = make(), saved(trained, tmp_path / "run"), tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "file").write_text("no folder")
    cases = [
        ((tmp_path / "none",), "none: does not exist"),
        ((tmp_path / "file",), "file: is not a folder"),
        ((empty,), "empty: holds no checkpoint; lab.resume"),
        ((3,), "runs: must be a folder of checkpoints, .*, got int"),
        ((History(),), "runs: must be a folder of checkpoints, .*, got History"),
        ((trained.model,), "runs: must be .*, got Network"),
        ((None,), "runs: must be .*, got NoneType"),
        ((), "runs: must be one or more, .*, got none"),
        ((folder, str(folder)), "run is there twice"),
        ((folder, folder / ".." / "run"), "run is there twice"),
        ((lab, lab), "the live run is there twice"),
        ((lab, lab.trainer), "the trainer is there twice"),
        ((lab, lab.branches["a"]), "branch 'a' is there twice"),
    ]
    for runs, message in cases:
        with pytest.raises(ArgumentError, match=message) as error:
            compare(*runs)
        assert "\n" not in str(error.value)
    with pytest.raises(ArgumentError, match="x: must be one of 'steps', 'epochs', got 'seconds'"):
        compare(folder, x="seconds")


def test_at_most_as_many_as_there_are_letters(small):
    one = make_trainer(small)
    with pytest.raises(ArgumentError, match="runs: must be at most 26, got 27"):
        compare(*[one] * 27)


def test_equal_names_are_made_different(trained, small, tmp_path):
    for above in ("x", "y"):
        saved(trained, tmp_path / above / "run")
    names = [side.name for side in compare(tmp_path / "x" / "run", tmp_path / "y" / "run", trained).sides]
    assert names == ["x/run", "y/run", "trainer"]


def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(trained, tmp_path):
    saved(trained, tmp_path)
    good = next(tmp_path.glob("checkpoint-*.safetensors"))
    bad = tmp_path / "checkpoint-000009.safetensors"
    bad.write_bytes(good.read_bytes()[:-7])
    with pytest.warns(
        UserWarning, match="checkpoint-000009.safetensors: is damaged .*; the checkpoint before it is used"
    ):
        assert len(read_runs(tmp_path)) == 1
    good.unlink()
    with pytest.raises(FileFormatError, match=r"checkpoint-000009\.safetensors: is damaged") as error:
        compare(tmp_path)
    assert "\n" not in str(error.value) and bad.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda facts: facts["identity"].pop("settings"),
        lambda facts: facts["identity"]["settings"].update(batch_size=0),
        lambda facts: facts["identity"]["data"].update(samples=["many"]),
        lambda facts: facts["identity"]["settings"].update(seed=[1]),
        lambda facts: facts["identity"]["settings"].update(seed=10**30),
        lambda facts: facts["identity"]["loss"].update(terms=3),
        lambda facts: facts.update(knobs={"v_th": "high"}),
        lambda facts: facts.update(knobs={"two\nlines": 1.0}),
        lambda facts: facts.update(data="two\nlines"),
        lambda facts: facts.update(branches=[{"name": "x\ny", "here": True}]),
        lambda facts: facts.update(branches=[3]),
        lambda facts: facts.update(epochs=[{"epoch": "first"}]),
        lambda facts: facts.pop("interventions"),
        lambda facts: facts.update(posted={"v_th": None}),
    ],
)
def test_what_is_no_run_is_refused(trained, tmp_path, change):
    saved(trained, tmp_path)
    change_facts(tmp_path, change)
    with pytest.raises(FileFormatError, match=f"^{re.escape(str(tmp_path))}: {NO_RUN}") as error:
        compare(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_copied_away_is_another_run(trained, tmp_path):
    shutil.copytree(saved(trained, tmp_path / "run"), tmp_path / "copy")
    assert [side.name for side in snnlab.compare(tmp_path / "run", tmp_path / "copy").sides] == ["run", "copy"]
    with safe_open(next((tmp_path / "copy").glob("*.safetensors")), "numpy") as file:
        assert file.metadata()  # safetensors: no code is in it
