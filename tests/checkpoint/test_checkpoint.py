"""Nothing is lost: killed, damaged, full, read-only, gone; what goes on is bit for bit the run that was saved."""

import copy
import functools
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from disks import file_size_limit, gone, read_only
from flax import nnx
from kills import survive
from networks import SMALL, make_trainer
from safetensors.numpy import load_file

from snnlab import losses, models
from snnlab.checkpoint import Checkpoints
from snnlab.checkpoint.folder import CheckpointFolder
from snnlab.checkpoint.snapshot import Snapshot, take
from snnlab.cli import main
from snnlab.data import Dataset
from snnlab.encode import Rate
from snnlab.errors import ArgumentError, FileFormatError, StateError
from snnlab.train import Trainer

STEPS = 8  # in an epoch
NEWEST = "checkpoint-000002.safetensors"  # in the folder of `two_checkpoints`


make = functools.partial(make_trainer, epochs=3)


def same(a: Trainer, b: Trainer) -> bool:
    states = (
        [
            np.asarray(jax.random.key_data(leaf) if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf)
            for leaf in jax.tree.leaves(trainer.state)
        ]
        for trainer in (a, b)
    )
    return all(x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(*states, strict=True))


def run_to(checkpoints: Checkpoints, step: int) -> None:
    """Train until a step, and save there."""
    checkpoints.trainer.mailbox.stop_at = step
    for report in checkpoints:
        if report.step >= step:
            break


@pytest.mark.parametrize(("kills", "epochs"), [(2, 8), pytest.param(8, 80, marks=pytest.mark.endure)])
def test_kills(tmp_path, kills, epochs):
    """SIGKILL at random moments: the weights, and all that was measured, are those of the run never killed."""
    outcome = survive(kills, tmp_path, seed=int(time.time()), epochs=epochs)
    assert outcome.kills == kills and outcome.differences == []
    assert kills < 8 or len(set(outcome.steps)) >= 2, "it was resumed at different moments"


def test_everything_comes_back(small, tmp_path):
    """A random code, an optimizer and a loss of one's own, knobs moved, planned and on their way, in mid-epoch."""

    def one() -> Trainer:
        net = models.snn(SMALL, sample_shape=(8, 8), num_classes=10, rngs=nnx.Rngs(params=0))
        net.encoder = Rate(num_steps=40)
        optimizer = optax.inject_hyperparams(optax.adamw)(learning_rate=0.01)
        loss = losses.Classification(l1=1e-3, l2=1e-4)
        trainer = Trainer(net, small, loss=loss, optimizer=optimizer, epochs=3, batch_size=32)
        return trainer

    moves = [(2, "v_th", 0.7), (5, "learning_rate", 0.003), (11, "hidden.tau_mem", 12.0), (17, "l1", 2e-3)]
    whole = one()
    whole.plan([*moves, (13, "slope", 7.0)])
    whole.fit()

    first = Checkpoints(one(), tmp_path)
    first.trainer.plan(moves)
    run_to(first, 13)
    first.trainer.set(slope=7.0)  # on its way
    first.save_now()
    first.trainer.history.add_note("nothing else has changed since it was saved")
    first.save_now()
    first.close()
    saved = first.trainer

    second = Checkpoints(one(), tmp_path)
    trainer = second.trainer
    assert second.resumed and same(saved, trainer) and len(trainer.history) == 13
    assert trainer.history.to_dict() == saved.history.to_dict() and trainer.history.num_notes == 1
    assert trainer.planned == [(17, "l1", 2e-3)]
    assert trainer.mailbox.knobs == saved.mailbox.knobs and trainer.mailbox.posted == {"hidden.slope": 7.0}
    for _ in second:
        pass
    second.close()
    assert same(whole, trainer) and trainer.compilations == 1
    assert trainer.history.interventions == whole.history.interventions
    for name, column in whole.history.steps().items():
        np.testing.assert_array_equal(column, trainer.history.steps()[name])
    whole.reset()
    trainer.reset()
    assert same(whole, trainer), "the start came back too"


def test_another_learning_rate_is_a_move_of_its_knob(small, tmp_path):
    """A run is saved, and goes on with a lower rate: as one does whose knob is moved at that step."""
    whole = make(small, epochs=2)
    whole.plan([(5, "learning_rate", 1e-3)])
    whole.fit()
    first = Checkpoints(make(small, epochs=2), tmp_path)
    run_to(first, 5)
    first.close()
    second = Checkpoints(make(small, epochs=2, learning_rate=1e-3), tmp_path)
    assert second.resumed and len(second.trainer.history) == 5
    list(second)
    second.close()
    assert same(whole, second.trainer)


def test_a_run_that_is_done_stays_done(small, tmp_path):
    first = Checkpoints(make(small, epochs=1), tmp_path)
    list(first)
    first.close()
    second = Checkpoints(make(small, epochs=1), tmp_path)
    assert second.trainer.done and list(second) == [] and same(first.trainer, second.trainer)
    second.close()


def test_it_saves_while_it_trains_and_keeps_some(small, tmp_path):
    run = Checkpoints(make(small, epochs=6), tmp_path, keep=2, every=0.0)
    seen = set()
    for _ in run:
        run.wait()  # not at the mercy of the disk
        run._due = 0.0
        seen |= {path.name for path in run._folder.complete()}
    run.close()
    kept = [path.name for path in run._folder.complete()]
    assert len(seen) > 5 and kept == sorted(seen | set(kept))[-2:]
    assert {path.name for path in tmp_path.iterdir()} == {".lock", *kept}


# ---- damage ----


@pytest.fixture(scope="module")
def two_checkpoints(small, tmp_path_factory) -> tuple[Path, Trainer]:
    folder = tmp_path_factory.mktemp("run")
    run = Checkpoints(make(small), folder, every=1e9)  # no more than these, on a slow machine, too
    run_to(run, 5)
    run_to(run, 11)
    run.close()
    assert run._folder.complete()[1] == folder / NEWEST and len(run._folder.complete()) == 2
    return folder, run.trainer


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip_at(share: float):
    """Flip one bit of the byte that lies at this share of the file."""

    def flip(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[int(share * (len(data) - 1))] ^= 0x10
        path.write_bytes(data)

    return flip


def test_damage_is_never_taken_for_a_run(two_checkpoints, tmp_path):
    """The newest is cut, flipped in one bit anywhere, or deleted: the one before is used, and that is said."""
    folder, trainer = two_checkpoints
    newest = take(trainer, trainer.at).digest
    flips = [flip_at(share) for share in (0, *np.linspace(0.0001, 1, 60))]  # its length, its header, its arrays
    for damage in (half, empty, *flips, Path.unlink):
        said, copy = [], tmp_path / "copy"
        shutil.copytree(folder, copy)
        damage(copy / NEWEST)
        opened = CheckpointFolder(copy, keep=3, say=said.append)
        snapshot = opened.newest()
        opened.close()
        assert snapshot.arrays["state/.step"] == 5 and snapshot.digest != newest
        if damage is Path.unlink:
            assert said == []
        else:
            assert f"{NEWEST}: is damaged" in said[0] and "the checkpoint before it is used" in said[0]
            assert len(said) == 1 and (copy / "checkpoint-000002.damaged").is_file()
        shutil.rmtree(copy)


MOVE = {"step": 1, "knob": "hidden.v_th", "old": 1.0, "new": 0.5}
WEIGHTS = "state/.params['model']['stack']['layers']['hidden']['kernel'].value"
THRESHOLD = "state/.live['model']['stack']['layers']['hidden']['neuron']['v_th'].value"


def _without_length(arrays):
    return {name: np.zeros_like(array) for name, array in arrays.items() if name.endswith("length")}


FORGED = {
    "no facts": lambda facts, arrays: facts.clear(),
    "no note": lambda facts, arrays: facts.pop("note"),
    "an identity of another kind": lambda facts, arrays: facts.update(identity=3),
    "an array is missing": lambda facts, arrays: arrays.pop("state/.step"),
    "an array of another shape": lambda facts, arrays: arrays.update({"start/.step": np.zeros(2, np.int32)}),
    "an array of another type": lambda facts, arrays: arrays.update({"state/.step": np.float32(5)[None]}),
    "another step": lambda facts, arrays: arrays.update({"state/.step": np.array(4, np.int32)}),
    "a metric of another length": lambda facts, arrays: arrays.update({"history/loss": np.zeros(1, np.float32)}),
    "more epochs than steps": lambda facts, arrays: facts.update(epochs=[{"epoch": 1}, {"epoch": 2}]),
    "an epoch that is none": lambda facts, arrays: facts.update(epochs=[3]),
    "a move without a value": lambda facts, arrays: facts.update(interventions=[{"knob": "l1", "step": 1}]),
    "a plan for a knob that there is not": lambda facts, arrays: facts.update(planned=[[9, "nothing", 1.0]]),
    "a value out of range": lambda facts, arrays: facts.update(posted={"hidden.tau_mem": -1.0}),
    "a plan for a step that is taken": lambda facts, arrays: facts.update(planned=[[2, "hidden.v_th", 1.0]]),
    "a column that the run has not": lambda facts, arrays: arrays.update({"history/<b>": arrays["history/loss"]}),
    "a column too few": lambda facts, arrays: arrays.pop("history/accuracy"),
    "a loss that is infinite": lambda facts, arrays: arrays.update({"history/loss": arrays["history/loss"] + np.inf}),
    "another order of epochs": lambda facts, arrays: arrays["history/epoch"][:].fill(3),
    "a result that the run has not": lambda facts, arrays: facts["epochs"][0].update(cow=1.0),
    "a term that the run has not": lambda facts, arrays: facts["epochs"][0]["terms"].update({"<b>": 1.0}),
    "an epoch of another number": lambda facts, arrays: facts["epochs"][0].update(epoch=7),
    "a move of a knob that there is not": lambda facts, arrays: facts.update(interventions=[MOVE | {"knob": "<b>"}]),
    "a move that comes later": lambda facts, arrays: facts.update(interventions=[MOVE | {"step": 10**9}]),
    "a schedule of half an epoch": lambda facts, arrays: facts.update(interventions=[MOVE | {"knob": "epochs"}]),
    "a schedule without length": lambda facts, arrays: arrays.update(_without_length(arrays)),
    "a move to infinity": lambda facts, arrays: facts.update(interventions=[MOVE | {"new": float("inf")}]),
    "a weight that is not finite": lambda facts, arrays: arrays[WEIGHTS][:].fill(np.nan),
    "a threshold below the reset": lambda facts, arrays: arrays[THRESHOLD][...].fill(-1.0),
    "a learning rate that is text": lambda facts, arrays: facts.update(learning_rate="<b>"),
    "seconds without end": lambda facts, arrays: facts.update(seconds=float("inf")),
    "seconds that are text": lambda facts, arrays: facts.update(seconds="many"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_checkpoint_is_refused(two_checkpoints, small, tmp_path, forge):
    """Whole, of this run, with the right digest, and yet no run."""
    _, trainer = two_checkpoints
    true = take(trainer, trainer.at)
    facts, arrays = copy.deepcopy(true.facts), {name: np.array(array) for name, array in true.arrays.items()}
    forge(facts, arrays)
    there = CheckpointFolder(tmp_path, keep=3, say=print)
    there.write(Snapshot(arrays, facts))
    there.close()
    fresh = make(small)
    with pytest.raises(FileFormatError, match="does not hold a run of snnlab"):
        Checkpoints(fresh, tmp_path)
    assert len(fresh.history) == 0 and len(list(tmp_path.glob("checkpoint-*.safetensors"))) == 1


def test_after_damage_it_ends_with_the_same_bits(two_checkpoints, small, tmp_path):
    folder, _ = two_checkpoints
    shutil.copytree(folder, tmp_path / "copy")
    half(tmp_path / "copy" / NEWEST)
    said = []
    run = Checkpoints(make(small), tmp_path / "copy", say=said.append)
    assert len(said) == 1 and len(run.trainer.history) == 5
    list(run)
    run.close()
    whole = make(small)
    whole.fit()
    assert same(whole, run.trainer)
    names = {path.name for path in (tmp_path / "copy").glob("checkpoint-*")}
    assert "checkpoint-000002.damaged" in names and "checkpoint-000003.safetensors" in names, "no number is used twice"


def test_half_written_ones_are_swept_away(two_checkpoints, small, tmp_path):
    folder, _ = two_checkpoints
    shutil.copytree(folder, tmp_path / "copy")
    newest = tmp_path / "copy" / NEWEST
    newest.rename(newest.with_name(f".{NEWEST}.a1b2.part"))
    said = []
    run = Checkpoints(make(small), tmp_path / "copy", say=said.append)
    assert said == [] and len(run.trainer.history) == 5
    run.close()
    assert {path.name for path in (tmp_path / "copy").iterdir()} == {".lock", "checkpoint-000001.safetensors"}


def test_checkpoints_in_another_format_are_refused(small, tmp_path):
    """Those of early versions were folders: said at once, and nothing is touched."""
    (tmp_path / "checkpoint-000007" / "arrays").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(FileFormatError, match=r"checkpoint-000007: .* another version"):
            Checkpoints(make(small), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000007"]


def test_arrays_of_any_layout_and_size_come_back(tmp_path):
    """Strided, transposed, without values, without dimensions, half as wide."""
    whole = np.arange(24, dtype=np.float32).reshape(4, 6)
    arrays = {"strided": whole[::2, ::3], "transposed": whole.T, "empty": whole[:0], "one": np.array(7, np.uint32)}
    arrays["half"] = np.asarray(jax.numpy.ones(3, "bfloat16"))
    folder = CheckpointFolder(tmp_path, keep=3, say=print)
    folder.write(Snapshot(arrays, {}))
    found = folder.newest().arrays
    folder.close()
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_an_interrupt_in_the_middle_of_a_chunk_is_not_saved(small, tmp_path):
    run = Checkpoints(make(small), tmp_path)
    run_to(run, 3)
    run.trainer._state = run.trainer.state._replace(step=run.trainer.state.step + 1)  # its history is not written yet
    run.save_now()
    assert len(run._folder.complete()) == 1
    run.close()


# ---- refusals ----


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"config": replace(SMALL, hidden=33)}, "model hidden was 32, is 33"),
        ({"config": replace(SMALL, reset="value")}, "model reset was subtract, is value"),
        ({"config": models.LstmConfig(hidden=16)}, "model"),
        ({"seed": 1}, "settings seed was 0, is 1"),
        ({"optimizer": optax.sgd(0.1)}, "arrays .opt_state"),
        ({"loss": losses.Classification(l1=1e-4, l2=1e-4, readout="max")}, "loss readout was mean, is max"),
    ],
)
def test_another_run_is_refused(two_checkpoints, small, other, words):
    folder, _ = two_checkpoints
    with pytest.raises(ArgumentError, match="the saved run is another one") as refused:
        Checkpoints(make(small, **other), folder)
    assert words in str(refused.value)
    run = Checkpoints(make(small), folder)  # the folder is free again, and as it was
    assert len(run.trainer.history) == 11
    run.close()


def test_other_data_are_refused(two_checkpoints, small):
    folder, _ = two_checkpoints
    changed = small.x_train.copy()
    changed[100, 3, 3] ^= 1
    parts = {"y_train": small.y_train, "x_test": small.x_test, "y_test": small.y_test}
    with pytest.raises(ArgumentError, match="data crc was"):
        Checkpoints(make(Dataset(name="digits", x_train=changed, **parts)), folder)


@pytest.mark.endure
def test_the_second_process_is_told(small, tmp_path):
    folder = tmp_path / "saved"
    run = Checkpoints(make(small), folder)
    command = [sys.executable, "-m", "snnlab.cli", "train", "--resume", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(f"snnlab: {folder}: another run saves there")
    with pytest.raises(StateError, match="another run saves there"):
        Checkpoints(make(small), folder)
    run.close()
    Checkpoints(make(small), folder).close()


# ---- disks ----


@pytest.mark.parametrize(
    "trouble",
    ["full disk", file_size_limit, read_only, gone],
    ids=["full disk", "file size limit", "read only", "gone"],
)
def test_training_goes_on_when_it_cannot_save(small, small_disk, place, trouble):
    """It is said once, tried again, and said when it works again; what was saved before stays, and is used."""
    trouble = small_disk if trouble == "full disk" else trouble
    folder, said = place / "run", []
    run = Checkpoints(make(small, epochs=6), folder, every=0.0, say=said.append)
    run_to(run, 9)  # all is compiled: a cache that cannot be written is another story
    before = {path: path.read_bytes() for path in folder.glob("checkpoint-*")}
    with trouble(folder) as words:
        for step in (12, 16, 20):
            run_to(run, step)
        assert len(run.trainer.history) == 20 and run.problem == said[0] and len(said) == 1
        assert said[0].startswith(f"cannot save in {folder} ({words}); training continues")
    assert {path: path.read_bytes() for path in before} == before
    run_to(run, 24)
    assert not list(folder.glob("*.part"))
    assert run.problem is None and said[1:] == [f"saving in {folder} works again"]
    run.close()
    again = Checkpoints(make(small, epochs=6), folder)
    assert len(again.trainer.history) == 24 and same(run.trainer, again.trainer)
    again.close()


def test_a_new_folder_in_the_place_of_the_old_is_locked_anew(small, tmp_path):
    folder = tmp_path / "run"
    run = Checkpoints(make(small), folder, say=lambda text: None)
    run_to(run, 3)
    shutil.rmtree(folder)
    run_to(run, 5)
    assert "the folder is gone" in run.problem
    folder.mkdir()
    run_to(run, 7)
    assert run.problem is None and len(run._folder.complete()) == 1
    with pytest.raises(StateError, match="another run saves there"):
        CheckpointFolder(folder, keep=3, say=print)
    run.close()


def test_a_folder_that_cannot_be_written_is_refused_at_once(small):
    with pytest.raises(ArgumentError, match="/proc/nowhere: cannot write there"):
        Checkpoints(make(small), "/proc/nowhere")


# ---- the rest ----


@pytest.mark.endure
def test_the_command_line_goes_on(tmp_path, capsys):
    """Stopped in the middle, damaged, gone on: it says so, and ends as the run that was not stopped."""
    options = ["train", "--epochs", "3"]
    folder = tmp_path / "saved"
    assert main([*options, "--out", str(tmp_path / "whole")]) == 0
    assert main([*options, "--resume", str(folder), "--save-every", "0.01", "--out", str(tmp_path / "first")]) == 0
    assert "continuing from" not in capsys.readouterr().err
    kept = sorted(folder.glob("checkpoint-*"))
    for path in kept[1:]:
        half(path)
    assert main([*options, "--resume", str(folder), "--out", str(tmp_path / "second")]) == 0
    told = capsys.readouterr().err
    assert told.count("is damaged") == len(kept) - 1 and (f"{folder}: continuing from step" in told) == (len(kept) > 1)
    names = ("whole", "first", "second")
    whole, *others = (load_file(tmp_path / name / "net.safetensors") for name in names)
    assert all(np.array_equal(other[name], whole[name]) for other in others for name in whole)
    assert main([*options, "--resume", str(folder), "--seed", "4"]) == 2
    assert "the saved run is another one: settings seed was 0, is 4" in capsys.readouterr().err


def test_the_command_line_trains_longer(tmp_path, capsys):
    """The same command with more epochs continues a run that was done; with fewer it is refused."""
    options = ["train", "lstm", "--hidden", "4", "--resume", str(tmp_path / "saved"), "--out", str(tmp_path / "out")]
    for epochs, code, words in (
        (1, 0, "epoch 1 train loss"),
        (2, 0, "the run was to have 1 epoch, and now continues to 2"),
        (2, 0, "the training is complete"),
        (1, 2, "epochs: must be at least the 2 of the saved run, got 1"),
    ):
        assert main([*options, "--epochs", str(epochs)]) == code
        told = capsys.readouterr()
        assert words in " ".join((told.out + told.err).split())
    assert len(json.loads((tmp_path / "out" / "history.json").read_text())["epochs"]) == 2


def test_one_flipped_bit_changes_the_digest():
    one = Snapshot({"a": np.arange(5), "b": np.zeros((2, 3), np.float32)}, {"x": 1})
    others = [({"a": np.arange(5), "b": np.zeros((3, 2), np.float32)}, {"x": 1}), (one.arrays, {"x": 2})]
    others += [({"a": np.arange(5) ^ 1, "b": one.arrays["b"]}, {"x": 1}), ({"c": one.arrays["a"]}, {"x": 1})]
    assert len({one.digest, *(Snapshot(*other).digest for other in others)}) == 5
