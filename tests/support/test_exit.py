"""What a fresh process does with globals and at its end."""

import os
import subprocess
import sys

import pytest

TRAIN = """
import jax
from snnlab import LstmConfig, Trainer, build, load_data
from snnlab.checkpoint import Checkpoints
{before}
digits = load_data("digits").subset(train=96, test=40)
folder = lambda: jax.config.values["jax_compilation_cache_dir"]
imported = folder()
net = build(LstmConfig(hidden=4), sample_shape=(8, 8), num_classes=10)
built = folder()
trainer = Trainer(net, digits, epochs=2, batch_size=32)
reports = iter({reports})
next(reports)
print(imported, built, folder())
"""


def run(tmp_path, reports="trainer", before="", **environment) -> subprocess.CompletedProcess:
    """A script that ends with an iteration half used. Its cache is empty, so it does without kernels."""
    text = TRAIN.format(reports=reports, before=before)
    base = {name: value for name, value in os.environ.items() if "COMPIL" not in name}
    env = base | {"SNNLAB_CACHE": str(tmp_path / "cache"), "SNNLAB_KERNELS": "reference"} | environment
    return subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, env=env, check=True, capture_output=True, text=True
    )


@pytest.mark.endure
def test_a_half_used_iteration_ends_in_silence(tmp_path):
    """And importing snnlab sets no global of JAX; the first compilation does, that of the draw of the weights."""
    done = run(tmp_path)
    imported, built, later = done.stdout.split()
    assert done.stderr == ""
    assert imported == "None" and built == later and later.startswith(str(tmp_path / "cache"))


@pytest.mark.endure
def test_half_used_checkpoints_are_saved_in_silence(tmp_path):
    done = run(tmp_path, reports="Checkpoints(trainer, 'run')", SNNLAB_COMPILE_CACHE="0")
    assert done.stderr == "" and done.stdout.split() == ["None"] * 3
    assert list((tmp_path / "run").glob("checkpoint-*"))


@pytest.mark.parametrize("how", ["variable", pytest.param("config", marks=pytest.mark.endure)])
def test_the_users_own_compilation_cache_is_left_alone(tmp_path, how):
    own = str(tmp_path / "own")
    if how == "variable":
        done = run(tmp_path, JAX_COMPILATION_CACHE_DIR=own)
    else:
        done = run(tmp_path, before=f"jax.config.update('jax_compilation_cache_dir', {own!r})")
    assert done.stdout.split() == [own] * 3 and done.stderr == ""
