"""The PTX text in the package is that of its source, every GPU's assembler takes it, and XLA launches it.

Needs what the extra `absent-gpu` installs; no GPU, no driver. The text is compared where CUDA's nvcc is at hand.
"""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tiers import Needs

from snnlab.kernels.gpu.cuda import PTX, SOURCE, build

NO_PLUGIN = "jax_cuda13_plugin cannot be imported; the extra 'absent-gpu' has it"


def tool(name: str) -> str:
    """The path of one of NVIDIA's programs: installed with CUDA, or by pip."""
    found = shutil.which(name) or shutil.which(name, path="/usr/local/cuda/bin")
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations or [] if spec else []:
        found = found or shutil.which(name, path=str(Path(folder) / "cu13" / "bin"))
    if found is None:
        Needs.missing("gpu", f"there is no {name}; the extra 'absent-gpu' has it")
    return found


def test_the_text_is_that_of_the_source():
    """Rebuilt by the same release of nvcc, it is the same, letter by letter."""
    compiler, made_by = build.nvcc(), PTX.read_text().split("\n", 1)[0].split()[-1]
    if compiler is None or build.release(compiler) != made_by:
        pytest.skip(f"there is no nvcc {made_by}, which made lif.ptx")
    assert build.compiled(compiler) == PTX.read_text()


def test_the_source_did_not_change_after_it_was_compiled():
    """Where no nvcc can tell: the text names the digest of its source."""
    assert build.digest() in PTX.read_text().split("\n", 2)[1]
    assert "lif.cu" in SOURCE.name


@pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"])
def test_an_assembler_takes_it(architecture, tmp_path):
    """From Turing to Blackwell, and no value leaves the registers."""
    command = [tool("ptxas"), "-v", f"--gpu-name={architecture}", str(PTX), "-o", str(tmp_path / "lif.cubin")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    spills = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
    assert len(spills) == 6 and set(spills) == {("0", "0")}


def test_xla_launches_them_in_a_training_step():
    """For an H100 that is not there: no loop over time is left, and one launch forward and two backward are ours."""
    if importlib.util.find_spec("jax_cuda13_plugin") is None:
        Needs.missing("gpu", NO_PLUGIN)
    from benchmarks.launches import counted

    few, before = counted("reference", "cuda"), counted("reference", "gpu")
    assert not few.loops and few.total < before.total
    assert few.ours == ("snnlab_lif", "snnlab_lif_back", "snnlab_weights_back") and before.ours == ()


@pytest.mark.parametrize("name", ["recurrent", "cochlea"])
def test_xla_launches_recurrent_ones(name):
    """The neurons forward and backward, and the weights inside the layer; those from outside where spikes come once."""
    if importlib.util.find_spec("jax_cuda13_plugin") is None:
        Needs.missing("gpu", NO_PLUGIN)
    from benchmarks.launches import counted

    found = counted(name, "cuda")
    outside = ("snnlab_weights_back",) if name == "recurrent" else ()
    assert found.ours == ("snnlab_peers_back", "snnlab_recurrent", "snnlab_recurrent_back", *outside)
    assert not found.loops and found.total <= 130
