"""The README's pictures of the dashboard, from a real JupyterLab: a run with a move, its ghost, dark, a silent layer.

python tests/live/pictures.py
"""

import tempfile
from pathlib import Path

import lab_driver

PICTURES = Path(__file__).parents[2] / ".github"
WIDTH = 1070  # pixels of a picture
HEIGHT = 800  # pixels of the page; the dashboard is 140 lower
NEURON = 0.6, 0.4  # in the canvas of the raster: one of the hidden layer
MAKE = """
import snnlab
digits = snnlab.load_data("digits")
config = snnlab.SnnConfig(hidden=100{more})
net = snnlab.build(config, sample_shape=digits.sample_shape, num_classes=digits.num_classes)
lab = snnlab.LiveTrainer(net, digits, epochs=400, batch_size=64, hz=4.0{slow})
"""
RUN = "lab.trainer.plan([(220, 'v_th', 0.6)])\nlab.fit(until_epoch=18)"
AGAIN = "lab.reset(seed=1)\nlab.fit(until_epoch=12)"


def take(page, name: str) -> None:
    """A picture of the dashboard, once its last frame is drawn."""
    page.wait_for_timeout(6000)  # a checkup comes within five seconds
    page.locator(".snnlab .screen").first.screenshot(path=PICTURES / f"{name}.png")
    print(PICTURES / f"{name}.png")


def show(page, address: str, folder: Path, cells: list[str]) -> lab_driver.Notebook:
    """A notebook with a dashboard in it, of the width of the pictures, after its first two cells."""
    folder.mkdir()
    notebook = lab_driver.Notebook(page, address, folder, cells)
    page.add_style_tag(content=f".snnlab {{ width: {WIDTH}px !important; background: var(--jp-layout-color0); }}")
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.wait_for("stopped", 100)
    return notebook


def main() -> None:
    """All of them."""
    folder = Path(tempfile.mkdtemp(prefix="pictures-"))
    with lab_driver.lab_page(folder, WIDTH + 500, HEIGHT) as (page, address):
        notebook = show(page, address, folder / "run", [MAKE.format(more="", slow="") + lab_driver.SPY, RUN, AGAIN])
        canvas = page.locator(".snnlab canvas[aria-label*=predicted]")
        canvas.wait_for()
        box = canvas.bounding_box()
        canvas.click(position={"x": NEURON[0] * box["width"], "y": NEURON[1] * box["height"]})
        take(page, "dashboard")
        notebook.command("apputils:change-theme", theme="JupyterLab Dark")
        take(page, "dark")
        notebook.command("apputils:change-theme", theme="JupyterLab Light")
        notebook.run_cell(2)
        notebook.wait_for("stopped", 100)
        notebook.tab("Learn")
        take(page, "ghosts")
        ill = MAKE.format(more=", v_th=3.0, slope=100.0", slow=", learning_rate=1e-3")
        show(page, address, folder / "sick", [ill + lab_driver.SPY, "lab.fit(until_epoch=10)"]).tab("Health")
        take(page, "sick")


if __name__ == "__main__":
    main()
