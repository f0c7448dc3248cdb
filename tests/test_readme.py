"""The Python of the README and of the guide runs as it stands, page by page, and their links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
# How many blocks of Python a page has, so that none is lost, and what they must have done in the end.
BLOCKS = {"README.md": 2, "dashboard.md": 3, "python.md": 7, "data.md": 4, "export.md": 4, "checkpoints.md": 5}
BLOCKS |= {"scale.md": 1, "studies.md": 3, "surrogates.md": 1}


@pytest.mark.parametrize(
    "page",
    [page if page.name == "README.md" else pytest.param(page, marks=pytest.mark.endure) for page in PAGES],
    ids=lambda page: page.name,
)
def test_python_blocks_run(page):
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    assert len(blocks) == BLOCKS.get(page.name, 0)
    names: dict = {}
    for block in blocks:
        exec(compile(block, page.name, "exec"), names)
    assert "trainer" not in names or names["trainer"].done
    assert "lab" not in names or names["lab"].state in ("idle", "done")


def test_links_lead_somewhere():
    """Those of the guide are checked when the documentation is built."""
    for link in re.findall(r"\]\((?!http)([^)]+)\)", PAGES[0].read_text(encoding="utf-8")):
        assert (ROOT / link).exists(), link


def test_notebooks_are_committed_without_outputs():
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        text = notebook.read_text(encoding="utf-8")
        assert '"output_type"' not in text and '"widgets"' not in text, notebook.name
