"""A run on several devices has the bits of a run on one, and shares its samples out."""

import copy
import functools
import os
import pickle
import re
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType

from snnlab import data, kernels, losses, models
from snnlab.checkpoint import Checkpoints
from snnlab.config import LATENCY_CONV, ConvConfig, LstmConfig, SnnConfig
from snnlab.dynamics import LifParams
from snnlab.errors import ArgumentError
from snnlab.kernels.cpu.calls import added, check_shared
from snnlab.kernels.devices import sharing
from snnlab.live import LiveTrainer
from snnlab.live.display import about_of
from snnlab.live.frames.paper import paper_of
from snnlab.surrogate import inv_square
from snnlab.train import Trainer
from snnlab.train.devices import Devices

COUNTS = 1, 2, 4
NETWORKS = {
    "snn": SnnConfig(hidden=20, num_steps=30, input_dropout=0.2),
    "recurrent": SnnConfig(hidden=20, num_steps=30, recurrent=True, neuron="alif", bias=True),
    "deep": SnnConfig(hidden=(20, 17), num_steps=30, synapse="double_exponential"),
    "delays": SnnConfig(hidden=20, num_steps=30, most_delay=3),
    "conv": replace(LATENCY_CONV, channels=(5, 16)),
    "normalized": ConvConfig(channels=(5, 16), dense=(9,)),
    "normalized events": replace(LATENCY_CONV, channels=(5, 16), norm=True),
    "lstm": LstmConfig(hidden=20),
}


def trainer_of(name: str, devices, **settings) -> Trainer:
    digits = data.load("digits").subset(train=512, test=100)  # a last batch of 36, which does not come out even
    net = models.build(NETWORKS[name], sample_shape=(8, 8), num_classes=10)
    loss = losses.Classification(l1=1e-4, l2=1e-6) if name == "snn" else None  # the square is not linear in the batch
    return Trainer(net, digits, loss=loss, devices=devices, **{"epochs": 2, "batch_size": 64} | settings)


def result(trainer: Trainer) -> list[np.ndarray]:
    """Everything that a run leaves behind, but how long it took."""
    leaves = list(jax.tree.leaves((trainer.state.params, trainer.state.rest, trainer.state.opt_state)))
    rows = [{name: row[name] for name in row if "second" not in name} for row in trainer.history.epochs]
    plain = [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x) for x in leaves]
    return [*plain, *trainer.history.steps().values(), np.array(repr(rows))]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- in a process with four devices ----


def has_the_same_bits(name: str) -> None:
    """As on one, also after a knob was moved, and nothing is compiled a second time."""
    expected = None
    for count in COUNTS:
        trainer = trainer_of(name, count)
        trainer.fit(until=5)
        trainer.set(learning_rate=0.02)
        trainer.fit()
        assert trainer.devices.count == count and trainer.compilations == 1
        assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(trainer.state)), "others compute on one device"
        expected = expected or result(trainer)
        same(expected, result(trainer))
        assert not np.array_equal(result(trainer)[0], result(trainer_of(name, None))[0]), "it has learned"


def goes_on_with_another_number() -> None:
    """A checkpoint, a copy, and a point of the run."""
    whole = trainer_of("snn", None)
    whole.fit()
    with tempfile.TemporaryDirectory() as folder:
        for count, until in ((4, 5), (1, 9), (2, None)):
            saved = Checkpoints(trainer_of("snn", count), folder)
            for report in saved:
                if report.step == until:
                    break
                saved.trainer.mailbox.stop_at = until
            saved.close()
        same(result(whole), result(saved.trainer))
    here = trainer_of("snn", 4)
    here.fit(until=3)
    point, copied, elsewhere = here.at, copy.deepcopy(here), pickle.loads(pickle.dumps(here))
    assert copied.devices == here.devices and elsewhere.devices.count == 1
    here.fit(until=7)
    here.at = point
    for trainer in (here, copied, elsewhere):
        trainer.fit()
        same(result(whole), result(trainer))
    assert here.evaluate() == whole.evaluate()


def takes_batches_of_a_source() -> None:
    """Also data that are read while it learns have the same bits."""
    digits = data.load("digits").subset(train=256, test=64)
    batches = [(digits.x_train[k : k + 64], digits.y_train[k : k + 64]) for k in range(0, 256, 64)]
    expected = None
    for count in COUNTS:
        net = models.build(NETWORKS["snn"], sample_shape=(8, 8), num_classes=10)
        trainer = Trainer(net, batches, test=batches[:2], epochs=2, devices=count)
        trainer.fit()
        expected = expected or result(trainer)
        same(expected, result(trainer))


def shares_the_samples() -> None:
    """Each call of a kernel has a quarter of the samples, and no array of spikes is sent around."""
    params = LifParams(*map(jnp.float32, (10.0, 1.0, 0.0, 0.0, 1.0, 0.0, 10.0)))

    def objective(kernel, x):
        drive = kernels.Drive(x=x, kernel=kernel, tau_syn=jnp.float32(10.0))
        first = kernels.lif(drive, params, dt=1.0, surrogate=inv_square)
        second = kernels.Drive(x=first.packed, kernel=kernel[:48], tau_syn=jnp.float32(10.0))
        return kernels.leaky(second, jnp.float32(5.0), dt=1.0)[1].mean()

    devices, x = Devices.of(4), jnp.ones((23, 64, 48))
    text = devices.jit(jax.grad(objective)).lower(jnp.ones((48, 48)), x).compile().as_text()
    calls = [line for line in text.splitlines() if 'custom_call_target="snnlab_' in line]
    fired = [line for line in calls if 'target="snnlab_lif"' in line]
    assert fired and all(re.search(r"u16\[16,3,23\]", line) for line in fired)
    assert not any(re.search(r"\[64,", line) for line in calls if "filter_gradient" in line)
    gathered = [line for line in text.splitlines() if re.search(r"= \S+ all-gather", line)]
    assert gathered and not any("u16" in line for line in gathered)


def is_shown() -> None:
    """The dashboard says how many devices there are, and a restart keeps them."""
    trainer = trainer_of("snn", 2)
    lab = LiveTrainer.of(trainer)
    lab.fit(until_epoch=1)
    assert lab.trainer is trainer and trainer.history.num_epochs == 1 and lab.checkup().layers
    about = about_of(trainer, structure=lab.structure, folder="", show=(), paper=paper_of(trainer.data))
    assert about["devices"] == 2
    lab.reset(batch_size=128, epochs=1)
    assert lab.trainer is not trainer and lab.trainer.devices == trainer.devices
    lab.fit()
    assert lab.state == "done"


def refuses() -> None:
    for settings, words in (
        ({"devices": 3}, "batch_size: must be a multiple of the 3 devices that share it out, got 64; 66 is"),
        ({"devices": 4, "batch_size": 2}, "batch_size: must be a multiple of the 4"),
        ({"devices": 5}, "devices: there are 4 devices .CPU., got 5"),
        ({"devices": 3, "batch_size": 66}, "devices: the gradients of 66 samples .* use 4 devices or fewer"),
    ):
        with pytest.raises(ArgumentError, match=words):
            trainer_of("snn", **settings)
    both = jax.make_mesh((2, 2), ("model", "batch"), axis_types=(AxisType.Explicit,) * 2)  # as make_mesh does by itself
    assert trainer_of("snn", both).devices.count == 2 and trainer_of("snn", "all").devices.count == 4


def on_four_devices(*names: str, optimized: bool = True) -> None:
    """Run functions of this file in a process that has four devices; `optimized` lets XLA round as for users."""
    flags = f"{'' if optimized else os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    folder = str(Path(__file__).parents[1])
    environment = os.environ | {"XLA_FLAGS": flags, "PYTHONPATH": os.pathsep.join([folder, *sys.path])}
    subprocess.run([sys.executable, __file__, *names], env=environment, check=True)


# ---- here ----


def test_a_spiking_network_on_four_devices():
    on_four_devices("snn", optimized=False)


@pytest.mark.endure
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_on_four_devices(name):
    on_four_devices(name)


@pytest.mark.endure
def test_everything_else_on_four_devices():
    on_four_devices(
        "goes_on_with_another_number", "takes_batches_of_a_source", "shares_the_samples", "is_shown", "refuses"
    )


def test_sums_are_added_as_a_tree():
    """In pairs, and these in pairs: so parts of the tree can be added elsewhere, to the same bits."""
    parts = np.random.default_rng(0).normal(size=(16, 3, 32)).astype(np.float32) * 1e3

    def tree(parts):
        while len(parts) > 1:
            odd = parts[len(parts) // 2 * 2 :]
            parts = np.concatenate([parts[: len(parts) // 2 * 2 : 2] + parts[1::2], odd])
        return parts[0]

    for count in (1, 2, 3, 7, 16):
        np.testing.assert_array_equal(added(jnp.asarray(parts[:count])), tree(parts[:count]))
    for devices in (2, 4, 8):
        branches = jnp.stack([added(branch) for branch in jnp.asarray(parts).reshape(devices, -1, 3, 32)])
        np.testing.assert_array_equal(added(branches), added(jnp.asarray(parts)))
    assert added(jnp.zeros((4, 2, 0, 16))).shape == (2, 0, 16)


def test_devices_that_cannot_be_had(small):
    net = models.build(NETWORKS["lstm"], sample_shape=(8, 8), num_classes=10)
    make = functools.partial(Trainer, net, small)
    there = len(jax.devices())
    with pytest.raises(ArgumentError, match=f"devices: there .* got {there + 1}; .*device_count={there + 1}"):
        make(devices=there + 1)
    for wrong in (0, -1, 2.0, True):
        with pytest.raises(ArgumentError, match=f"devices: must be an integer >= 1, got {wrong}"):
            make(devices=wrong)
    with pytest.raises(ArgumentError, match="devices: must be a number, 'all' or a mesh, got 'four'"):
        make(devices="four")
    with pytest.raises(ArgumentError, match=r"devices: the mesh must have an axis 'batch', .* got \('data',\)"):
        make(devices=jax.make_mesh((1,), ("data",)))
    assert make(devices=1).devices == make(devices=jax.make_mesh((1,), ("batch",))).devices == make().devices


def test_sums_that_devices_cannot_share():
    """The number of sums does not depend on the devices, so some numbers of devices cannot have as many each."""
    assert sharing() == 1
    for devices, batch, blocks in ((2, 64, 4), (4, 64, 4), (8, 60, 4)):  # 60 samples are no one's: all compute them
        with jax.sharding.use_abstract_mesh(AbstractMesh((devices,), ("batch",))):
            check_shared(batch, blocks)
    for devices, batch, blocks in ((8, 64, 4), (3, 66, 4), (4, 96, 12)):
        with (
            jax.sharding.use_abstract_mesh(AbstractMesh((devices,), ("batch",))),
            pytest.raises(ArgumentError, match=f"of {batch} samples are summed in {blocks} parts, which {devices} dev"),
        ):
            check_shared(batch, blocks)
    with jax.sharding.use_abstract_mesh(AbstractMesh((8,), ("batch",), axis_types=(AxisType.Explicit,))):
        assert sharing() == 1, "a mesh of the user's own, which types his arrays"


if __name__ == "__main__":
    for word in sys.argv[1:]:
        has_the_same_bits(word) if word in NETWORKS else globals()[word]()
