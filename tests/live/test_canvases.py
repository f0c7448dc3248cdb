"""The canvases in a real Chromium, without Jupyter: their code, and a model that stands for the kernel."""

import base64

import lab_driver
import numpy as np
import pytest

from snnlab.health import Health, LayerHealth
from snnlab.live.frames import scenes
from snnlab.live.frames.probe import Neuron, Probe
from snnlab.live.widgets.canvases import HealthCanvas, RasterCanvas

NAMES = ("zero", "one", "two")
LIGHT, DARK = ("#ffffff", "#202020"), ("#111111", "#e0e0e0")  # paper and ink
LOUD = 2  # the unit that fires all the time

# Counts what is painted; a model has the four methods that a view uses.
PAGE = """async ([code, state]) => {
  const decode = (value) => {
    if (value && value.$bytes !== undefined) {
      const bytes = Uint8Array.from(atob(value.$bytes), (c) => c.charCodeAt(0));
      const shifted = new Uint8Array(bytes.length + 1); // as from a socket: not aligned
      shifted.set(bytes, 1);
      return new DataView(shifted.buffer, 1);
    }
    if (Array.isArray(value)) return value.map(decode);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, decode(part)]));
  };
  const clear = CanvasRenderingContext2D.prototype.clearRect;
  window.paints = 0;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) { window.paints++; clear.apply(this, box); };
  window.model = {
    state: decode(state), listeners: {}, sent: [],
    get(name) { return this.state[name]; },
    on(event, act) { this.listeners[event] = act; },
    off(event) { delete this.listeners[event]; },
    send(message) { this.sent.push(message); },
    set(name, value) { this.state[name] = decode(value); this.listeners[`change:${name}`]?.(); },
  };
  const widget = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(code)}`);
  window.end = widget.default.render({ model: window.model, el: document.getElementById("here") });
}"""
# How many pixels of a colour there are in every row of the canvas; read from a copy, which changes nothing there.
INK = """(ink) => {
  const canvas = document.querySelector("canvas"), { width, height } = canvas;
  const copy = Object.assign(document.createElement("canvas"), { width, height });
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const pixels = pen.getImageData(0, 0, width, height).data, [r, g, b] = ink, rows = new Array(height).fill(0);
  for (let k = 0; k < pixels.length; k += 4)
    if (pixels[k + 3] > 230 && Math.abs(pixels[k] - r) + Math.abs(pixels[k + 1] - g) + Math.abs(pixels[k + 2] - b) < 20)
      rows[Math.floor(k / 4 / width)]++;
  return { rows, ratio: devicePixelRatio };
}"""


def wire(value):
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: wire(part) for key, part in value.items()}
    return [wire(part) for part in value] if isinstance(value, list | tuple) else value


def rgb(colour: str) -> list[int]:
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


@pytest.fixture(scope="module")
def one_browser(chromium):
    """A real Chromium for all tests of this file."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=lab_driver.FLAGS)
        yield browser
        browser.close()


class Page:
    """A page with one canvas; whatever goes wrong in it fails the test."""

    def __init__(self, browser, ratio: float = 1.0):
        self.page = browser.new_page(viewport={"width": 900, "height": 1000}, device_scale_factor=ratio)
        self.errors: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.errors.append(request.url))

    def open(self, widget, colours=LIGHT, variables: bool = True, **state):
        paper, ink = colours
        lab = f":root {{ --jp-ui-font-color1: {ink}; --jp-layout-color0: {paper}; }}" if variables else ""
        body = f"body {{ margin: 0; background: {paper}; color: {ink}; }}"
        self.page.set_content(f"<style>{body} {lab}</style><div id=here></div>")
        self.page.evaluate(PAGE, [str(widget._esm), wire(state)])
        self.settle()
        return self

    def settle(self) -> None:
        """Until all that was asked for is painted."""
        self.page.evaluate("""async () => {
          for (let before = -1; before !== window.paints; ) {
            before = window.paints;
            for (let k = 0; k < 3; k++) await new Promise(requestAnimationFrame);
          }
        }""")

    def set(self, name: str, value) -> None:
        self.page.evaluate("([name, value]) => window.model.set(name, value)", [name, wire(value)])
        self.settle()

    def ink(self, colour: str) -> dict:
        return self.page.evaluate(INK, rgb(colour))

    def loudest(self, colour: str) -> float:
        """Where most is drawn in a colour: y in CSS pixels."""
        seen = self.ink(colour)
        return (int(np.argmax(seen["rows"])) + 0.5) / seen["ratio"]

    def read(self, expression: str):
        return self.page.evaluate(f"() => {expression}")

    @property
    def height(self) -> int:
        return self.read("document.querySelector('canvas').clientHeight")

    @property
    def label(self) -> str:
        return self.page.get_attribute("canvas", "aria-label")


@pytest.fixture
def view(one_browser):
    """Opens pages."""
    pages = []

    def new(ratio: float = 1.0) -> Page:
        pages.append(Page(one_browser, ratio))
        return pages[-1]

    yield new
    for page in pages:
        page.page.close()
        assert page.errors == []


def make_probe(prediction: int = 1, spiking: bool = True) -> Probe:
    steps, units = 50, 5
    hidden = np.zeros((steps, units), bool)
    hidden[:, LOUD] = hidden[7, 0] = True
    readout = np.zeros((steps, 3), np.float32)
    readout[20:, prediction] = 2.0
    states = {"hidden": np.random.default_rng(0).random((steps, units)).astype(np.float32), "readout": readout}
    rasters = {"input": np.eye(steps, 16, dtype=bool), "hidden": hidden} if spiking else {}
    sample = np.arange(16.0).reshape(4, 4)
    return Probe(sample=sample, rasters=rasters, states=states, readout=readout, label=1, prediction=prediction)


def raster(prediction: int = 1, sort: str = "index", unit: int | None = None, spiking: bool = True) -> dict:
    """Both traits of a raster."""
    probe = make_probe(prediction, spiking)
    constants = (("tau_mem", 10.0, "ms"), ("v_th", 1.0, ""))
    one = Neuron(layer="hidden", unit=unit or 0, constants=constants, weights=np.arange(-8.0, 8.0), first=True)
    selected = None if unit is None else scenes.neuron_frame(probe, one, NAMES, 1.0)
    frame = scenes.raster_frame(probe, NAMES, "all", sort, selected)
    return {"scene": scenes.raster_scene(probe, NAMES, 1.0), "frame": frame}


def health(dead: int = 3, gradient: float = 0.2) -> dict:
    rates = np.concatenate([np.zeros(dead), np.linspace(5, 60, 20 - dead), [900.0]])
    over_time = np.geomspace(1e-6, 1.0, 50)
    numbers = {"dead": dead, "saturated": 1, "max_rate": 1000.0, "in_window": 0.4}
    hidden = LayerHealth(name="hidden", rates=rates, gradient=gradient, gradient_over_time=over_time, **numbers)
    readout = LayerHealth(name="readout", gradient=float("inf"), gradient_over_time=np.zeros(50))
    common = {"step": 3, "samples": 64, "loss": 1.0, "accuracy": 0.5, "readout_spread": 1.0, "finite": False}
    return scenes.health_frame(Health(layers=(hidden, readout), **common))


@pytest.mark.parametrize(("colours", "variables"), [(LIGHT, True), (DARK, True), (DARK, False)])
def test_ink_follows_the_theme(view, colours, variables):
    """As JupyterLab's variables say; elsewhere it is inherited from the page."""
    page = view().open(RasterCanvas, colours, variables, **raster())
    assert max(page.ink(colours[1])["rows"]) >= 50  # the marks of a neuron that fires at every step
    assert max(page.ink("#E69F00")["rows"]) > 0 and "true class one, predicted one" in page.label


def test_a_theme_that_changes_is_followed(view):
    page = view().open(RasterCanvas, LIGHT, **raster())
    page.page.evaluate(
        f"document.documentElement.style.setProperty('--jp-ui-font-color1', '{DARK[1]}');"
        "document.body.dataset.jpThemeLight = 'false'"
    )
    page.settle()
    assert max(page.ink(DARK[1])["rows"]) >= 50


@pytest.mark.parametrize(("ratio", "sort"), [(1.0, "index"), (2.0, "rate")])
def test_a_click_selects_the_neuron_under_it(view, ratio, sort):
    """Where its spikes are drawn, there it is."""
    page = view(ratio).open(RasterCanvas, **raster(sort=sort))
    assert page.ink(LIGHT[1])["ratio"] == ratio
    page.page.mouse.click(500, page.loudest(LIGHT[1]))
    assert page.read("model.sent") == [{"select": {"layer": "hidden", "unit": LOUD}}]
    page.page.mouse.click(500, 2)  # on nothing: no longer
    assert page.read("model.sent")[1:] == [{"select": None}]


def test_what_does_not_spike_is_drawn_and_selected(view):
    page = view().open(RasterCanvas, **raster(spiking=False, unit=0))
    assert "selected hidden unit 0: tau_mem 10 ms, v_th 1" in page.label and max(page.ink("#D55E00")["rows"]) > 0
    page.page.mouse.click(500, 22 + 128 * 0.7)  # the fourth of five rows below the title
    assert page.read("model.sent") == [{"select": {"layer": "hidden", "unit": 3}}]


def test_the_keyboard_selects(view):
    """Tab reaches the canvas, and shows so; arrows move over neurons and layers, Enter selects, Escape clears."""
    page = view().open(RasterCanvas, **raster(unit=3))
    canvas, press = page.page.locator("canvas"), page.page.keyboard.press
    assert canvas.evaluate("(canvas) => canvas.style.outlineStyle") in ("", "none")
    press("Tab")
    assert canvas.evaluate("(canvas) => canvas === document.activeElement && canvas.style.outlineStyle") == "solid"
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):  # the first one shows the cursor
        press(key)
    page.settle()
    assert "Cursor: hidden neuron 2, 50 spikes." in page.label
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "Enter", "ArrowLeft", "ArrowUp", "Enter"):
        press(key)  # over the end of the layer to the second class, and back
    press("Escape")
    units = [("hidden", 2), ("readout", 1), ("hidden", 0)]
    assert page.read("model.sent") == [
        *({"select": {"layer": layer, "unit": unit}} for layer, unit in units),
        {"select": None},
    ]
    press("Shift+Tab")
    assert canvas.evaluate("(canvas) => canvas.style.outlineStyle") == "none"


def test_nothing_jumps(view):
    """The height is that of the scene, whatever the network says and whether a neuron is selected."""
    page = view().open(RasterCanvas, scene=raster()["scene"], frame={})
    heights = [page.height]
    for state in (raster(), raster(prediction=2), raster(unit=3), raster(sort="rate", unit=LOUD)):
        page.set("frame", state["frame"])
        heights.append(page.height)
    assert len(set(heights)) == 1 and heights[0] > 300
    assert "selected hidden neuron 2: tau_mem 10 ms, v_th 1, 50 spikes (1e+03 Hz)" in page.label
    assert max(page.ink("#0072B2")["rows"]) > 0  # its voltage


def test_the_newest_frame_wins_and_what_is_hidden_is_not_drawn(view):
    page = view().open(RasterCanvas, **raster())
    before = page.read("paints")
    page.page.evaluate("() => { for (let k = 0; k < 20; k++) model.listeners['change:frame'](); }")
    page.settle()
    assert page.read("paints") == before + 1
    for style in ("display: none", "margin-top: 3000px"):
        page.page.evaluate(f"() => document.getElementById('here').setAttribute('style', '{style}')")
        page.page.wait_for_timeout(100)
        before = page.read("paints")
        page.set("frame", raster(prediction=2)["frame"])
        assert page.read("paints") == before
    page.page.evaluate("() => document.getElementById('here').removeAttribute('style')")
    page.page.wait_for_function(f"() => window.paints > {before}")
    page.page.evaluate("() => window.end()")
    before = page.read("paints")
    page.set("frame", raster()["frame"])
    assert page.read("paints") == before


@pytest.mark.parametrize("widget", [RasterCanvas, HealthCanvas])
def test_as_wide_as_the_page(view, widget):
    page = view().open(widget, **(raster() if widget is RasterCanvas else {"frame": health()}))
    for width in (1200, 700):
        page.page.set_viewport_size({"width": width, "height": 1000})
        page.settle()
        assert page.page.locator("canvas").evaluate("(canvas) => canvas.clientWidth") == width


@pytest.mark.smoke
def test_health_is_drawn(view):
    page = view().open(HealthCanvas, frame={})
    assert page.height == 0
    page.set("frame", health())
    height = page.height
    assert 150 < height < 220 and page.page.get_attribute("canvas", "role") == "img"
    assert "3 dead, 17 healthy, 1 saturated of 21, 40% in the surrogate window, gradient norm 0.2" in page.label
    for colour in ("#0072B2", "#E69F00", "#009E73", "#D55E00"):  # healthy, saturated, window, dead
        assert max(page.ink(colour)["rows"]) > 3, colour
    page.set("frame", health(dead=0, gradient=1e-5))
    assert sum(page.ink("#D55E00")["rows"]) == 0 and page.height == height


@pytest.mark.smoke
def test_the_kernel_hears_what_was_selected():
    canvas, calls = RasterCanvas(), []
    canvas.on_select(lambda: calls.append(canvas.selected))
    canvas.show(**raster())
    say = lambda message: canvas._handle_custom_msg(message, [])  # noqa: E731
    say({"select": {"layer": "hidden", "unit": 3}})
    say({"select": {"layer": "hidden", "unit": 3}})
    for nonsense in ({"layer": "hidden", "unit": 5}, {"layer": "cow", "unit": 0}, {"unit": 1.5}, {}):
        say({"select": nonsense})
    say({"select": None})
    say({"hello": True})
    assert calls == [("hidden", 3), None] and canvas.selected is None
