"""A training step, compiled for an NVIDIA GPU that is not there, launches few kernels.

Needs what the extra `absent-gpu` installs: JAX's plugin for NVIDIA's GPUs, and NVIDIA's compiler. No GPU, no driver.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
from tiers import ROOT, Needs

from benchmarks.launches import counted

if importlib.util.find_spec("jax_cuda13_plugin") is None:
    Needs.missing("gpu", "jax_cuda13_plugin cannot be imported; the extra 'absent-gpu' has it")


def test_a_step_has_two_loops_and_few_launches():
    """The neurons forward and backward; the reference goes through all hundred steps eight times."""
    few, many = counted("reference", "gpu"), counted("reference", "reference")
    assert len(few.loops) <= 2 and few.total <= 130
    assert len(many.loops) > 2 and many.total > 10 * few.total


@pytest.mark.parametrize("name", ["deep", "recurrent", "cochlea"])
def test_other_networks_have_two_loops_a_hidden_layer(name):
    found = counted(name, "gpu")
    assert len(found.loops) <= (4 if name == "deep" else 2)
    assert all(loop.turns <= 16 for loop in found.loops)


FILTERS = """
import jax, jax.numpy as jnp
from benchmarks.launches import compiled, count
from snnlab.kernels.gpu.filters import expon

for num_steps in (1, 2, 15, 16, 17, 33, 129, 257, 1000):
    for tau in ((), (5,)):
        x = jax.ShapeDtypeStruct((num_steps, 3, 5), jnp.float32)
        gradient = jax.grad(lambda x, tau: (expon(x, tau, dt=1.0) ** 2).sum(), (0, 1))
        assert not count(compiled(gradient, x, jax.ShapeDtypeStruct(tau, jnp.float32))).loops
"""


def test_filters_of_any_length_compile_without_a_loop():
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", FILTERS], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
