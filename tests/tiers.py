"""The tiers of the tests: which files belong to which, and what of them runs by default.

`python -m pytest` runs the default tier: all that no other tier holds, and of each other tier the tests that are marked
`smoke`. `python -m pytest -m peers` runs one tier with its smoke, `-m ""` everything. `.ci/run` runs every tier but
"nightly", which repeats for long what other tests do a few times.

In the default tier, in "endure", "shapes" and "nightly", XLA does not optimize what it compiles, or it would take more
time than all else in these tests. `--optimized` lets it, as it does in the other tiers and for users; the nightly run
tests the default tier and "shapes" so, too.
"""

import importlib
import os
from pathlib import Path

import pytest
from _pytest.mark.expression import Expression
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from jaxlib.version import __version_info__ as jaxlib_version

ROOT = Path(__file__).parents[1]

# The tiers beside the default, and the files and folders that belong to them. Single tests are marked where they stand.
TIERS = {
    "browser": [
        "snnlab/gallery",
        "tests/export/test_exhibit_browser.py",
        "tests/gallery",
        "tests/live/test_browser.py",
        "tests/live/test_canvases.py",
        "tests/live/test_explained.py",
        "tests/live/test_exported.py",
        "tests/live/test_follow.py",
        "tests/live/test_marimo.py",
        "tests/live/test_notebooks.py",
        "tests/live/test_scrubber.py",
        "tests/live/test_stage.py",
        "tests/live/test_study_browser.py",
        "tests/live/test_tasks_browser.py",
        "tests/live/test_timeline_panel.py",
        "tests/live/test_tour.py",
    ],
    "endure": [],
    "fuzz": ["tests/fuzz"],
    "gpu": ["tests/kernels/test_fused.py", "tests/kernels/test_launches.py", "tests/kernels/test_ptx.py"],
    "nightly": [],
    "node": ["tests/export/test_exhibit_node.py"],
    "notebooks": ["notebooks", "tests/live/test_notebook_pages.py"],
    "peers": [
        "snnlab/data/tfds_builder.py",
        "tests/data/test_data_tfds.py",
        "tests/data/test_data_tonic.py",
        "tests/peers",
        "tests/study/test_dask.py",
    ],
    "shapes": [],
}

# Options of XLA, with which it compiles four times as fast. jaxlib 0.11 no longer knows the second, and a flag that XLA
# does not know ends the process.
UNOPTIMIZED: dict[str, int | bool] = {"xla_backend_optimization_level": 0}
if jaxlib_version < (0, 11):
    UNOPTIMIZED["xla_cpu_use_fusion_emitters"] = False

# Steps, batch, inputs, units. Few, so that each program is compiled once; primes, 1, the edge of a tile of 16 (17), and
# a whole tile.
SHAPES = [(23, 3, 11, 7), (1, 1, 1, 1), (40, 2, 33, 17), (7, 5, 16, 16)]


def tier_of(path: Path) -> str | None:
    """The tier that a file belongs to whole."""
    for tier, places in TIERS.items():
        if any(path.is_relative_to(ROOT / place) for place in places):
            return tier
    return None


def runs_whole(config: pytest.Config, tier: str) -> bool:
    """Whether this run has asked for all tests of a tier, or with another mark; "" is those without a mark."""
    expression = config.getoption("markexpr")
    return not expression or Expression.compile(expression).evaluate(lambda name, **_: name == tier)


def marks(path: Path) -> bool:
    """Whether a file may mark single tests for a tier that this run has asked for, or does so with `drawn`."""
    text = path.read_text(encoding="utf-8")
    return "from tiers import" in text or any(f"mark.{tier}" in text for tier in Needs.whole)


def compile_quickly() -> None:
    """Let XLA do without optimizing, in this process and those that it starts. Call it before anything is compiled."""
    flags = [os.environ.get("XLA_FLAGS", ""), *(f"--{name}={int(value)}" for name, value in UNOPTIMIZED.items())]
    os.environ["XLA_FLAGS"] = " ".join(flags)
    # The frames that each operation was called from; nobody reads them in these programs.
    os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")


class Needs:
    """Gets what a tier needs: if CI runs the tier, a test fails without it; otherwise it is skipped and says so."""

    whole: frozenset[str] = frozenset()  # the tiers that this run has asked for
    nothing_else = False  # whether it has asked for these tiers alone

    @classmethod
    def missing(cls, tier: str, message: str) -> None:
        """Fail, or skip."""
        if os.environ.get("CI") and tier in cls.whole:
            pytest.fail(message)
        pytest.skip(message, allow_module_level=True)


def needed(name: str, tier: str):
    """Import a package that the tests of a tier need."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        Needs.missing(tier, f"{name} cannot be imported ({error}); the extra {tier!r} has it")


def drawn(count: int, shape: st.SearchStrategy, **others: st.SearchStrategy):
    """Make three tests of a function: three draws from `SHAPES`; a third of `count` draws from `shape`, at least four,
    in the tier "shapes"; and `count` in the tier "nightly".

    The function gets `shape` and the others as arguments. Its `hypothesis.example`s belong to the last two.
    """

    def decorate(function):
        def test(draws: int) -> None:
            few = draws == 3
            phases = [Phase.generate] if few else [Phase.explicit, Phase.generate]  # to shrink takes minutes
            chosen = {"shape": st.sampled_from(SHAPES) if few else shape, **others}
            options = settings(max_examples=draws, phases=phases, deadline=None, derandomize=True, database=None)
            options(given(**chosen)(function))()

        test.__name__, test.__doc__, test.__module__ = function.__name__, function.__doc__, function.__module__
        fewer = pytest.param(max(4, count // 3), marks=pytest.mark.shapes)
        return pytest.mark.parametrize("draws", [3, fewer, pytest.param(count, marks=pytest.mark.nightly)])(test)

    return decorate
