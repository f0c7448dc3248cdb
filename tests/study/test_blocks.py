"""The cells of a study are shared out over devices, to the same bits; on a GPU some are computed at once."""

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hills import bits, plan_on
from networks import SMALL

from snnlab import data
from snnlab.errors import ArgumentError
from snnlab.study import blocks as blocks_
from snnlab.study.agenda import Grid
from snnlab.study.blocks import Blocks
from snnlab.study.cells import Fate
from snnlab.study.engines import Job, engine_for, here
from snnlab.study.folder import StudyFolder, lead
from snnlab.study.population import Population
from snnlab.study.study import sweep
from snnlab.study.work import make_trainer, open_cell

OVER = {"tau_mem": [5.0, 9.0, 20.0], "seed": [0, 3], "hidden": [16, 32]}  # two structures of six cells each
ROUNDING = 2e-4  # of weights near 1 after some steps; a spike that falls elsewhere makes 1e-2


def study_of(place, small, blocks: Blocks | None, over=OVER, **options) -> StudyFolder:
    folder = lead(place, plan_on(small, over, **options))
    order = folder.plan.space.in_order()
    job = Job(folder=folder, data=small, on_cell=lambda cell: None, source=lambda cells: Grid(order))
    here.run(job, lambda: False, blocks)
    return folder


def is_that_of_its_trainer(folder: StudyFolder, index, small) -> None:
    alone, mine = make_trainer(folder.plan, small, index), open_cell(folder, index, small)
    alone.fit()
    for left, right in zip(jax.tree.leaves(alone.state), jax.tree.leaves(mine.state), strict=True):
        assert left.dtype == right.dtype and bool((left == right).all())
    for name, values in alone.history.steps().items():
        np.testing.assert_array_equal(values, mine.history.steps()[name], err_msg=name)


def same(one: StudyFolder, other: StudyFolder) -> None:
    for index in one.plan.space:
        assert bits(one, index) == bits(other, index) and one.cell(index) == other.cell(index)


# ---- in a process with four devices ----


def has_the_same_bits(small, tmp_path) -> None:
    """Six cells on four devices, on three, and on one, where some of them are trained alone."""
    expected = study_of(tmp_path / "one", small, Blocks.of())
    for count in (4, 3):
        blocks = Blocks.of(count)
        assert blocks.devices == count and blocks.mesh.devices.size == count
        same(expected, study_of(tmp_path / str(count), small, blocks))
    for index in ((0, 0, 0), (2, 1, 1)):
        is_that_of_its_trainer(expected, index, small)


def each_has_its_share(small, tmp_path) -> None:
    """Devices say nothing to each other, and none computes the cells of another; one program serves all blocks."""
    population = Population(plan_on(small, {"v_th": [0.5, 1.0, 2.0], "seed": [0, 1]}), small, (0, 0), Blocks.of(4))
    members = [population.member(index) for index in population._plan.space]
    for chosen in (members, members[1:4], members[:1]):
        population.train(chosen)
    assert population.compilations == 1 and population.blocks.size == 16
    assert [member.history.num_epochs for member in members] == [2, 2, 2, 2, 1, 1]
    given = population.blocks.shared_out(population._indices(members, {}, []))
    assert {shard.data.shape[0] for shard in given[0].addressable_shards} == {4}
    assert len(given[0].sharding.device_set) == 4
    stack = population.blocks.stack([member.state for member in members])
    text = population._chunks.lower(stack, *population._samples, *given).compile().as_text()
    assert "while(" in text and not [
        word for word in ("all-gather", "all-reduce", "all-to-all", "collective-permute") if word in text
    ]


def goes_on_with_another_number(small, tmp_path) -> None:
    """More epochs, on another number of devices each time."""
    over = {"tau_mem": [5.0, 9.0, 20.0]}
    for epochs, count in ((1, 4), (2, 1), (3, 2)):
        study_of(tmp_path / "some", small, Blocks.of(count), over, epochs=epochs).close()
    for epochs in (1, 2, 3):
        study_of(tmp_path / "one", small, Blocks.of(), over, epochs=epochs).close()
    plan = plan_on(small, over, epochs=3)
    same(StudyFolder(tmp_path / "one", plan), StudyFolder(tmp_path / "some", plan))


def gives_up_cells(small, tmp_path) -> None:
    """A cell that diverges and one that is silent stop, wherever they are computed."""
    over = {"learning_rate": [0.01, 1e30], "v_th": [1.0, 300.0]}
    folder = study_of(tmp_path, small, Blocks.of(4), over, epochs=14, batch_size=64, stop="silent")
    check_given_up(folder)


def is_swept(small, tmp_path) -> None:
    study = sweep(
        SMALL,
        small,
        over={"tau_mem": [5.0, 20.0]},
        epochs=1,
        batch_size=32,
        folder=tmp_path,
        devices="all",
    )
    assert study.wait() and study._engine.keywords["blocks"].devices == 4
    study.stop()
    with pytest.raises(ArgumentError, match=r"devices: there are 4 devices \(CPU\), got 5"):
        engine_for(None, devices=5)


def on_four_devices(*names: str, optimized: bool = True) -> None:
    """Run functions of this file in a process that has four devices; `optimized` lets XLA round as for users."""
    flags = f"{'' if optimized else os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    folder = str(Path(__file__).parents[1])
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join([folder, *sys.path])}
    subprocess.run([sys.executable, __file__, *names], env=environment, check=True)


# ---- here ----


def check_given_up(folder: StudyFolder) -> None:
    """The cells of `learning_rate` 0.01 and 1e30, with thresholds 1 and 300."""
    fires, silent, diverged, _ = folder.cells().values()
    assert (fires.fate, fires.finding, len(fires.rows)) == (Fate.DONE, "", 14)
    assert (silent.fate, silent.why, len(silent.rows)) == (Fate.STOPPED, "silent after epoch 13", 13)
    assert (diverged.fate, diverged.finding, diverged.rows) == (Fate.STOPPED, "diverged", ())


def test_on_four_devices_cells_have_the_bits_that_they_have_alone():
    on_four_devices("has_the_same_bits", optimized=False)


@pytest.mark.endure
def test_everything_on_four_devices():
    on_four_devices(*ON_FOUR)


@pytest.mark.parametrize("backend", [pytest.param("numba", marks=pytest.mark.endure), "gpu"])
def test_networks_at_once_are_within_rounding_of_turns(small, tmp_path, monkeypatch, backend):
    """Six cells by fours: a block is longer than the cells, and one of them has another number of steps to take."""
    monkeypatch.setenv("SNNLAB_KERNELS", backend)
    plan = plan_on(small, {"tau_mem": [5.0, 9.0, 20.0], "seed": [0, 3]})
    found = {}
    for k in (1, 4):
        population = Population(plan, small, (0, 0), Blocks(share=8, together=k))
        members = [population.member(index) for index in plan.space]
        left = [2]

        def one_call(left=left) -> bool:  # then the last cell is in the middle of its epoch
            left[0] -= 1
            return left[0] <= 0

        population._steps_in_call = 3
        population.train(members[-1:], one_call)
        assert len(members[-1].history) == 3
        population.train(members)
        assert population.compilations == 1
        assert [(len(one.history), one.history.num_epochs) for one in members] == [(8, 1)] * 6
        found[k] = [
            (*map(np.asarray, jax.tree.leaves(one.state.params)), *one.history.steps().values()) for one in members
        ]
    for turns, at_once in zip(found[1], found[4], strict=True):
        for one, other in zip(turns, at_once, strict=True):
            np.testing.assert_allclose(other, one, rtol=ROUNDING, atol=ROUNDING)
    assert not np.allclose(found[4][0][0], found[4][2][0], atol=0.01), "cells differ by far more than that"


@pytest.mark.parametrize("backend", ["numba", pytest.param("gpu", marks=pytest.mark.endure)])
def test_rules_act_on_networks_that_are_computed_at_once(small, tmp_path, monkeypatch, backend):
    """A silent cell stops, a diverged one stays as it was and harms none beside it, halving keeps the best third."""
    monkeypatch.setenv("SNNLAB_KERNELS", backend)
    over = {"learning_rate": [0.01, 1e30], "v_th": [1.0, 300.0]}
    blocks = Blocks(share=4, together=4)
    check_given_up(study_of(tmp_path / "silent", small, blocks, over, epochs=14, batch_size=64, stop="silent"))
    over = {"v_th": [0.5, 0.7, 1.0, 1.4, 2.0, 300.0]}
    halved = study_of(tmp_path / "halved", small, blocks, over, epochs=3, stop="halving").cells().values()
    done = [cell for cell in halved if cell.fate is Fate.DONE]
    stopped = [cell for cell in halved if cell.fate is Fate.STOPPED]
    assert len(done) + len(stopped) == 6 and 2 <= len(done) < 6
    assert all(len(cell.rows) == 3 for cell in done) and all(len(cell.rows) == 1 for cell in stopped)
    best = sorted((cell.rows[0].accuracy for cell in halved), reverse=True)
    assert {cell.rows[0].accuracy for cell in done} >= set(best[:2])
    assert all("halving: not among the best" in cell.why for cell in stopped)


def test_networks_take_turns_or_are_computed_at_once():
    @jax.custom_batching.custom_vmap
    def at_once(x):
        return jnp.ones_like(x)

    @at_once.def_vmap
    def _(size, batched, x):
        return jnp.full_like(x, size), batched[0]

    for k in (1, 2, 3):
        found = jax.jit(lambda x, k=k: Blocks(share=6, together=k).map(lambda read, x: at_once(x), (), x))(
            jnp.arange(6)
        )
        assert found.tolist() == [k] * 6


def test_a_block_that_is_not_full_leaves_no_device_without_work():
    """Devices differ by one cell at most, whatever the numbers; no two cells have the same place."""
    for devices in (1, 2, 3, 4):
        mesh = jax.sharding.AbstractMesh((devices,), ("network",)) if devices > 1 else None
        for share in (1, 4, 6):
            blocks = Blocks(mesh=mesh, share=share)
            for cells in range(blocks.size + 1):
                places = np.array(blocks.places(cells), int)
                assert len(set(places)) == cells and (places < blocks.size).all()
                counts = np.bincount(places // share, minlength=devices)
                assert counts.max() - counts.min() <= 1


def test_as_many_at_once_as_fit_into_the_memory_of_a_gpu(small, monkeypatch):
    """Half as many until the program needs no more than half of what is free; who asks for a number gets it."""
    plan, needed = plan_on(small, {"v_th": [0.5, 1.0]}), {}
    fitted = Blocks(share=16, together=16, fitted=True)

    def chosen(free: int, blocks: Blocks) -> int:
        monkeypatch.setattr(blocks_, "free_memory", lambda device: free)
        return Population(plan, small, (0,), blocks).blocks.together

    def compiled(blocks: Blocks):
        needs = 1000 + 100 * blocks.together
        needed[blocks.together] = needs
        memory = SimpleNamespace(argument_size_in_bytes=1000, output_size_in_bytes=0, temp_size_in_bytes=needs - 1000)
        return SimpleNamespace(memory_analysis=lambda: memory)

    for free, expected in ((5200, 16), (5199, 8), (2 * 1400, 4), (2 * 1400 - 1, 2), (0, 1), (None, 16)):
        monkeypatch.setattr(blocks_, "free_memory", lambda device, free=free: free)
        blocks = fitted.that_fit(compiled)
        assert blocks.together == expected and blocks.size == fitted.size
    assert replace(fitted, fitted=False).that_fit(compiled).together == 16
    assert needed[16] == 2600
    two = Blocks(share=2, together=2, fitted=True)
    assert chosen(2**40, two) == 2 and chosen(1, two) == 1, "XLA says what the real program needs"
    assert chosen(1, replace(two, fitted=False)) == 2


def test_a_gpu_computes_some_at_once_and_a_cpu_one_after_the_other(monkeypatch):
    for cores, share in ((1, 16), (2, 8), (3, 6), (16, 1), (64, 1)):  # a block has 16 cells, or one for each core
        monkeypatch.setattr(blocks_, "cores", lambda cores=cores: cores)
        expected = Blocks(share=share, threads=cores)
        assert Blocks.of() == Blocks.of(1) == expected and 16 <= expected.cells <= max(18, cores)
    assert Blocks.of(together=5) == Blocks(share=20, together=5)
    monkeypatch.setattr(jax, "local_devices", lambda: [SimpleNamespace(platform="gpu")])
    assert Blocks.of() == Blocks(share=16, together=16, fitted=True)
    assert Blocks.of(together=1) == Blocks() and Blocks.of(together=32) == Blocks(share=32, together=32)
    with jax.default_prng_impl("rbg"):  # draws other numbers under vmap
        assert Blocks.of() == Blocks()
        with pytest.raises(ArgumentError, match=r"together: random keys of the kind 'rbg' .* for 4 networks at once"):
            Blocks.of(together=4)


def test_what_cannot_be_shared_out_is_refused(tmp_path):
    over, there = {"v_th": [0.5, 1.0]}, len(jax.local_devices())

    def begin(words: str, model=SMALL, **options) -> None:
        with pytest.raises(ArgumentError, match=words):
            sweep(model, "digits", over=over, folder=tmp_path / "map", epochs=1, **options)

    begin(f"devices: there .* got {there + 1}; .*device_count={there + 1}", devices=there + 1)
    begin("devices: must be a number or 'all', got 'four'", devices="four")
    for wrong in (0, -1, 2.0, True):
        begin(f"devices: must be an integer >= 1, got {wrong}", devices=wrong)
        begin(f"together: must be an integer >= 1, got {wrong}", together=wrong)
    for cluster in (4, "folder", "slurm", "tls://node:8786"):
        begin("devices: applies to a study in this process; with cluster=.* Leave one", devices="all", cluster=cluster)
        begin("together: applies to a study in this process", together=4, cluster=cluster)
    begin("devices: applies to networks of a config; those of own:", model="own:rows", devices="all")
    assert not (tmp_path / "map").exists()


ON_FOUR = "has_the_same_bits", "each_has_its_share", "goes_on_with_another_number", "gives_up_cells", "is_swept"

if __name__ == "__main__":
    for word in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            globals()[word](data.load("digits").subset(train=256, test=64), Path(folder))
