"""`python -m benchmarks.latency`: milliseconds from a slider to what is seen of it, while a network trains; and back.

A real JupyterLab and Chromium. A key moves the threshold of the hidden layer, again and again; the page itself measures
until the raster that a person sees was drawn with the new value: first as a preview, which no training step has used,
then of the trained network. Then keys on the scrubber take the run back, to points that are kept and to steps between
them, until the raster of that moment is drawn. Needs the extra "test", a Chromium, and the data (`--data`). Takes three
minutes.
"""

import argparse
import json
import tempfile
from pathlib import Path
from statistics import median, quantiles

from tests.live import lab_driver
from tests.live.lab_driver import Notebook

SETUP = """
import snnlab
images = snnlab.load_data({data!r})
net = snnlab.build(snnlab.SnnConfig(), sample_shape=images.sample_shape, num_classes=images.num_classes)
lab = snnlab.LiveTrainer(net, images, epochs=10_000)
lab
"""

# Press a key on the slider; the milliseconds until the raster was drawn with the new value. The label of a canvas is
# written when it is drawn; two frames later the picture is on the screen.
MEASURE = """(key) => new Promise((done) => {
  const canvas = document.querySelector(".snnlab .raster canvas");
  const slider = document.querySelector(".snnlab [data-knob='hidden.v_th'] input[type=range]");
  const began = performance.now(), found = {};
  let number = 0;
  const seen = new MutationObserver(() => {
    const preview = /preview/.test(canvas.ariaLabel), name = preview ? "preview" : "trained";
    if (found[name] || (name === "trained" && ++number < 2 && !found.preview)) return; // one may have been on its way
    found[name] = performance.now() - began;
    if (name === "trained") {
      seen.disconnect();
      done(found);
    }
  });
  seen.observe(canvas, { attributes: true, attributeFilter: ["aria-label"] });
  setTimeout(() => { seen.disconnect(); done(found); }, 3000);
  slider.value = +slider.value + (key === "ArrowRight" ? 1 : -1);
  slider.dispatchEvent(new Event("input", { bubbles: true }));
})"""

# Press a key on the scrubber of a run that stands; the milliseconds until the raster was drawn anew.
TRAVEL = """(key) => new Promise((done) => {
  const canvas = document.querySelector(".snnlab .raster canvas");
  const scrubber = document.querySelector(".snnlab .scrubber");
  const began = performance.now(), from = scrubber.getAttribute("aria-valuenow");
  const seen = new MutationObserver(() => {
    seen.disconnect();
    done([performance.now() - began, +from - +scrubber.getAttribute("aria-valuenow")]);
  });
  seen.observe(canvas, { attributes: true, attributeFilter: ["aria-label"] });
  setTimeout(() => { seen.disconnect(); done(null); }, 10000);
  scrubber.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
})"""
BACK = {"ArrowLeft": "kept point", "ArrowDown": "step between"}


def measure(data: str, moves: int) -> dict[str, list[float]]:
    """The milliseconds of every move, and of every way back."""
    found: dict[str, list[float]] = {"preview": [], "trained": [], **{name: [] for name in BACK.values()}}
    folder = Path(tempfile.mkdtemp(prefix="latency-"))
    with lab_driver.lab_page(folder, 1280, 720) as (page, address):
        (folder / "nb").mkdir()
        notebook = Notebook(page, address, folder / "nb", [SETUP.format(data=data)])
        notebook.run_cell(0)
        page.locator(".snnlab [data-do=transport]").click(timeout=100_000)
        page.wait_for_function("/predicted/.test(document.querySelector('.snnlab .raster canvas').ariaLabel)")
        page.wait_for_timeout(10_000)  # compiled, checked up, at rest
        for k in range(moves):
            for name, took in page.evaluate(MEASURE, "ArrowRight" if k % 2 else "ArrowLeft").items():
                found[name].append(took)
            page.wait_for_timeout(700)
        page.locator(".snnlab [data-do=stop]").click()
        page.wait_for_timeout(3000)  # the last look and the last checkup are over
        for k in range(moves):
            key = list(BACK)[k % 2]
            took = page.evaluate(TRAVEL, key)
            if took is None:
                raise SystemExit(f"{BACK[key]}: no picture came within 10 s")
            found[BACK[key]].append(took[0])
            page.wait_for_timeout(1500)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion_mnist", help="name or folder of the images (default: fashion_mnist)")
    parser.add_argument("--moves", type=int, default=60, help="moves of the slider (default: 60)")
    options = parser.parse_args()
    for name, took in measure(options.data, options.moves).items():
        cuts = quantiles(took, n=10) if len(took) > 1 else [float("nan")] * 9
        print(
            json.dumps(
                {
                    "until": name,
                    "moves": len(took),
                    "median_ms": round(median(took or [float("nan")])),
                    "p90_ms": round(cuts[8]),
                }
            )
        )


if __name__ == "__main__":
    main()
