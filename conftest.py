"""Marks each test, doctest and notebook with its tier; here, as it concerns the package, too."""

import gc
import importlib
import os

import pytest
from tiers import ROOT, TIERS, Needs, compile_quickly, marks, runs_whole, tier_of

# Unless IPython has been imported, JAX adds a note to an exception, and a doctest would take that for the message.
os.environ.setdefault("JAX_TRACEBACK_FILTERING", "off")


def pytest_addoption(parser):
    parser.addoption(
        "--optimized", action="store_true", help="let XLA optimize in default, endure, shapes and nightly, too"
    )


def pytest_configure(config):
    Needs.whole = frozenset(tier for tier in TIERS if runs_whole(config, tier))
    Needs.nothing_else = not runs_whole(config, "smoke") and not runs_whole(config, "")
    if Needs.whole <= {"endure", "nightly", "shapes"} and not config.getoption("optimized"):
        compile_quickly()


def pytest_ignore_collect(collection_path, config):
    """Do not even import files that need the packages of a tier which is not asked for, or have no test to run.

    Look for no doctests among the helpers of the tests either: there are several files conftest.py, and Python would
    take one for the other.
    """
    tier, tested = tier_of(collection_path), ROOT / "snnlab" in collection_path.parents
    unasked = tier is not None and tier not in Needs.whole and (tested or tier == "peers")
    code = collection_path.suffix == ".py"
    helper = code and not tested and not collection_path.name.startswith("test_")
    empty = code and Needs.nothing_else and tier not in Needs.whole and not marks(collection_path)
    return True if unasked or helper or empty else None


def pytest_itemcollected(item):
    """Mark a test with the tier of its file."""
    if tier := tier_of(item.path):
        item.add_marker(tier)


def pytest_collection(session):
    """To collect the package compiles its kernels. Let the second worker begin at the end: the two meet half way."""
    if os.environ.get("PYTEST_XDIST_WORKER") == "gw1" and "snnlab" in session.config.args:
        for kernel in ("recurrent_back", "recurrent", "lstm", "lif", "filter"):
            importlib.import_module(f"snnlab.kernels.cpu.{kernel}")


def pytest_collection_finish():
    """What is imported by now stays: the garbage collector need not look through it again and again.

    Nor through the programs that JAX keeps, each time that 700 objects more are alive, as they come by thousands.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def programs():
    """What is compiled is compiled once for all processes and runs, the thousands of little programs of tests, too."""
    import jax

    from snnlab.support.compile_cache import keep_programs

    keep_programs()
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
