"""Records the README's animation: a real dashboard in a real JupyterLab while a spiking network learns Fashion-MNIST.

    python tests/live/animate.py --data path/to/fashion-mnist      (extra "test", Chromium on the PATH)

It plays at the speed at which it happened: every frame is shown as long as the next one took. After a third of the
time the threshold is dragged up, after two thirds down again.
"""

import argparse
import functools
import io
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import lab_driver
from PIL import Image

ANIMATION = lab_driver.ROOT / ".github" / "live.webp"
WIDTH, SHOWN = 1070, 900  # pixels: of the dashboard, of the animation
HEIGHT = 800  # pixels of the page; the dashboard is 140 lower
KNOB = "hidden.v_th"
Plan = list[tuple[float, Callable[[], object]]]  # what to do at which time [s]
MAKE = """
import snnlab
data = snnlab.load_data({data!r})
net = snnlab.build(snnlab.SnnConfig(hidden=100), sample_shape=data.sample_shape, num_classes=data.num_classes)
loss = snnlab.Classification(l1=1e-4, l2=1e-4)
lab = snnlab.LiveTrainer(net, data, loss=loss, epochs=12, batch_size=256, hz=4.0, show=("curves", "raster"))
"""


def record(data: str, seconds: float, rate: float) -> list[tuple[float, Image.Image]]:
    """Pictures of the dashboard and when they were taken [s].

    Args:
        data: what the network learns.
        seconds: how long.
        rate: pictures a second, if the machine keeps up.
    """
    folder = Path(tempfile.mkdtemp(prefix="animate-"))
    (folder / "live").mkdir()
    with lab_driver.lab_page(folder, WIDTH + 500, HEIGHT) as (page, address):
        cells = [MAKE.format(data=data) + lab_driver.SPY, "lab"]
        notebook = lab_driver.Notebook(page, address, folder / "live", cells)
        notebook.run_all()
        page.add_style_tag(content=f".snnlab {{ width: {WIDTH}px !important; background: white; }}")
        page.locator(".snnlab canvas[aria-label*=predicted]").wait_for()
        page.evaluate("document.querySelector('.snnlab').scrollIntoView()")
        clip = page.locator(".snnlab .screen").bounding_box()
        notebook.button("Start").click()
        notebook.wait_for("training")
        plan = drag(notebook, seconds / 3, 0.3) + drag(notebook, seconds * 2 / 3, -0.42)
        taken = capture(page, clip, seconds, 1.0 / rate, plan)
    return taken


def drag(notebook: lab_driver.Notebook, begin: float, share: float, seconds: float = 3.0) -> Plan:
    """Drag the knob by a share of its slider, steadily."""
    mouse, start = notebook.page.mouse, {}

    def grab() -> None:
        start["x"], start["y"] = notebook.grab(KNOB)

    def move(pixels: float) -> None:
        mouse.move(start["x"] + pixels, start["y"])

    whole = share * notebook.slider(KNOB).bounding_box()["width"]
    steps = int(10 * seconds)
    moves = [(begin + 0.1 * k, functools.partial(move, whole * k / steps)) for k in range(1, steps + 1)]
    return [(begin, grab), *moves, (begin + seconds, mouse.up)]


def capture(page, clip: dict, seconds: float, pause: float, plan: Plan) -> list[tuple[float, Image.Image]]:
    """One picture after the other, and in between what is planned."""
    taken, started = [], time.monotonic()
    while (now := time.monotonic() - started) < seconds:
        while plan and plan[0][0] <= now:
            plan.pop(0)[1]()
        taken.append((now, Image.open(io.BytesIO(page.screenshot(clip=clip)))))
        time.sleep(max(0.0, now + pause - (time.monotonic() - started)))
    return taken


def save(taken: list[tuple[float, Image.Image]], path: Path, quality: int) -> None:
    """An animation in the time in which it happened."""
    times = [when for when, _ in taken]
    spans = [round(1000 * (after - when)) for when, after in itertools.pairwise(times)]
    size = SHOWN, round(SHOWN * taken[0][1].height / WIDTH)
    pictures = [picture.convert("RGB").resize(size, Image.Resampling.LANCZOS) for _, picture in taken]
    options = {"duration": [*spans, 2000], "loop": 0, "quality": quality, "method": 6, "minimize_size": True}
    pictures[0].save(path, save_all=True, append_images=pictures[1:], **options)
    print(f"{path}: {len(taken)} pictures of {times[-1]:.1f} s, {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion_mnist")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=4.0)
    parser.add_argument("--quality", type=int, default=60)
    options = parser.parse_args()
    save(record(options.data, options.seconds, options.rate), ANIMATION, options.quality)
