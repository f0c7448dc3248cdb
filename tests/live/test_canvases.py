"""The screen in a real Chromium, without Jupyter: its code, its style, and a model that stands for the kernel."""

import base64
from xml.etree import ElementTree

import numpy as np
import pytest
from tiers import needed

from snnlab.controls import Knob
from snnlab.health import Health, LayerHealth
from snnlab.history import History, Report
from snnlab.live.frames import curves, scenes, style
from snnlab.live.frames.about import about_frame
from snnlab.live.frames.branches import Lane, Times, branches_frame, ghosts_frame
from snnlab.live.frames.chosen import Chosen
from snnlab.live.frames.paper import Paper
from snnlab.live.frames.probe import Neuron, Probe
from snnlab.live.frames.running import Said, results_frame, run_frame
from snnlab.live.frames.status import PANELS, Recorded, Status, View
from snnlab.live.frames.voltages import Spiking, voltages_frame
from snnlab.live.states import RunState, Transport
from snnlab.live.widgets.cockpit import Cockpit, Deeds

NAMES = ("zero", "one", "two")
LIGHT, DARK = ("#ffffff", "#202020"), ("#111111", "#e0e0e0")  # paper and ink, as a front end may have them
PAPER = Paper(shape=(4, 4), dtype=np.dtype("float32"), low=0.0, high=15.0, frame=(0, 0, 3, 2))
LOUD = 2  # the unit that fires all the time
PALE = style.SKY  # what was before a move
SIZE = {"width": 1050, "height": 760}  # of the page: the screen is 620 high in it
RASTER, MAIN, NEURON = ".raster canvas", ".main canvas", "canvas[aria-label^='Voltage and']"
HEALTH = "canvas[aria-label^=Health]"

# Counts what is painted, and notes what is written; a model has the methods that a view uses.
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
  const { clearRect: clear, fillText: write } = CanvasRenderingContext2D.prototype;
  window.paints = 0;
  CanvasRenderingContext2D.prototype.clearRect = function (...box) {
    window.paints++;
    this.canvas.written = [];
    this.canvas.words = [];
    clear.apply(this, box);
  };
  CanvasRenderingContext2D.prototype.fillText = function (words, x, y) {
    const width = this.measureText(words).width, size = parseFloat(this.font.match(/[\\d.]+px/));
    const left = x - width * { left: 0, center: 0.5, right: 1 }[this.textAlign];
    this.canvas.written?.push(words);
    if (words) this.canvas.words?.push({ name: words, left, right: left + width, top: y - 0.7 * size, bottom: y });
    write.call(this, words, x, y);
  };
  window.model = {
    state: decode(state), listeners: {}, sent: [], saved: 0,
    get(name) { return this.state[name]; },
    on(event, act) { (this.listeners[event] ??= []).push(act); },
    off(event, act) { this.listeners[event] = this.listeners[event].filter((other) => other !== act); },
    send(message, callbacks, buffers = []) {
      const bytes = buffers.map((part) => [...new Uint8Array(part)]);
      this.sent.push(buffers.length ? { ...message, bytes } : message);
    },
    tell(event) { for (const act of this.listeners[event] ?? []) act(); },
    set(name, value) { this.state[name] = value; this.tell(`change:${name}`); },
    save_changes() { this.saved++; },
    receive(name, value) { this.set(name, decode(value)); },
  };
  const { default: widget } = await import(`data:text/javascript;charset=utf-8,${encodeURIComponent(code)}`);
  widget.initialize({ model: window.model });
  window.end = widget.render({ model: window.model, el: document.getElementById("here") });
}"""
# How many pixels of a colour there are in every row and column of a canvas, and how many of any colour in every row;
# read from a copy, which changes nothing there. What is fainter than `least` does not count.
INK = """([selector, ink, least]) => {
  const canvas = document.querySelector(`.snnlab ${selector}`), { width, height } = canvas;
  const copy = Object.assign(document.createElement("canvas"), { width, height });
  const pen = copy.getContext("2d", { willReadFrequently: true });
  pen.drawImage(canvas, 0, 0);
  const pixels = pen.getImageData(0, 0, width, height).data, [r, g, b] = ink;
  const [rows, columns, any] = [height, width, height].map((count) => new Array(count).fill(0));
  for (let k = 0; k < pixels.length; k += 4) {
    if (pixels[k + 3] <= least) continue;
    const row = Math.floor(k / 4 / width);
    any[row]++;
    if (Math.abs(pixels[k] - r) + Math.abs(pixels[k + 1] - g) + Math.abs(pixels[k + 2] - b) >= 20) continue;
    rows[row]++;
    columns[(k / 4) % width]++;
  }
  return { rows, columns, any, ratio: width / canvas.clientWidth };
}"""
# What can be seen of every element that matches: its name and its box, cut off where something around it cuts it off.
SEEN = """(selector) => [...document.querySelectorAll(selector)].map((el) => {
  let { left, top, right, bottom } = el.getBoundingClientRect();
  for (let outer = el.parentElement; outer; outer = outer.parentElement) {
    if (getComputedStyle(outer).overflow === "visible") continue;
    const box = outer.getBoundingClientRect();
    [left, top] = [Math.max(left, box.left), Math.max(top, box.top)];
    [right, bottom] = [Math.min(right, box.right), Math.min(bottom, box.bottom)];
  }
  const name = `${el.tagName} ${el.className} ${el.ariaLabel ?? el.textContent.slice(0, 20)}`;
  const hidden = !el.checkVisibility({ visibilityProperty: true }); // in a closed list, too
  return { name, left, top, right, bottom, hidden };
}).filter(({ left, top, right, bottom, hidden }) => !hidden && right - left > 1 && bottom - top > 1)"""


def wire(value):
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {key: wire(part) for key, part in value.items()}
    return [wire(part) for part in value] if isinstance(value, list | tuple) else value


def rgb(colour: str) -> list[int]:
    return [int(colour[k : k + 2], 16) for k in (1, 3, 5)]


# ---- what the kernel sends ----


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


def raster(prediction: int = 1, sort: str = "index", unit: int | None = None, spiking: bool = True, preview=False):
    """Both traits of a raster."""
    probe = make_probe(prediction, spiking)
    constants = (("tau_mem", 10.0, "ms"), ("v_th", 1.0, ""))
    one = Neuron(layer="hidden", unit=unit or 0, constants=constants, weights=np.arange(-8.0, 8.0), first=True)
    selected = None if unit is None else scenes.neuron_frame(probe, one, NAMES, 1.0)
    frame = scenes.raster_frame(probe, NAMES, "all", sort, selected) | {"preview": preview}
    known = Spiking(v_th=np.array(1.0), v_rest=np.array(0.0), v_reset=np.array(0.0), reset="subtract")
    spikes = probe.rasters.get("hidden")
    frame["voltages"] = voltages_frame(probe.states["hidden"], spikes, known) | {"layer": "hidden", "spikes": spiking}
    scene = scenes.raster_scene(probe, NAMES, 1.0) | {"drawing": PAPER.drawing(probe.sample)}
    return {"scene": scene, "frame": frame}


def health(dead: int = 3, gradient: float = 0.2) -> dict:
    rates = np.concatenate([np.zeros(dead), np.linspace(5, 60, 20 - dead), [900.0]])
    over_time = np.geomspace(1e-6, 1.0, 50)
    numbers = {"dead": dead, "saturated": 1, "max_rate": 1000.0, "in_window": 0.4}
    hidden = LayerHealth(name="hidden", rates=rates, gradient=gradient, gradient_over_time=over_time, **numbers)
    readout = LayerHealth(name="readout", gradient=float("inf"), gradient_over_time=np.zeros(50))
    common = {"step": 3, "samples": 64, "loss": 1.0, "accuracy": 0.5, "readout_spread": 1.0, "finite": False}
    return scenes.health_frame(Health(layers=(hidden, readout), **common))


KNOBS = [
    Knob(name="hidden.tau_mem", value=10.0, low=1.0, high=100.0, least=0.0, unit="ms", log=True),
    Knob(name="hidden.v_th", value=1.0, low=0.01, high=4.0, least=0.0),
    Knob(name="readout.tau_mem", value=20.0, low=1.0, high=100.0, least=0.0, unit="ms", log=True),
    *(Knob(name=name, value=0.0, low=0.0, high=0.1, least=0.0) for name in ("l1", "l2")),
    Knob(name="learning_rate", value=2e-3, low=1e-5, high=1.0, log=True),
]


def about(knobs=KNOBS) -> dict:
    return about_frame(
        {knob.name: knob for knob in knobs},
        order=["hidden", "readout"],
        layers=["hidden"],
        terms=["cross_entropy", "l1", "l2"],
        spiking=True,
        samples=100,
        classes=NAMES,
        structure={"hidden": 5, "epochs": 10, "batch_size": 64},
        folder="exports",
        show=PANELS,
        paper=PAPER,
    )


def history(moves: tuple[int, ...] = ()) -> History:
    """Of 80 steps, with moves of one knob."""
    made, falling = History(), np.linspace(1.0, 0.2, 80)
    made.add_steps({"loss": falling, "accuracy": 1.0 - falling, "grad_norm": falling, "epoch": np.ones(80, int)})
    made.add_epoch({"epoch": 1, "test_loss": 0.25, "test_acc": 0.75})
    for step in moves:
        made.add_intervention(step=step, knob="hidden.v_th", old=1.0, new=step / 100)
    return made


def run(state: RunState = RunState.TRAINING, transport: Transport = Transport.PAUSE, said="", trace=None) -> dict:
    report = Report(phase="train", epoch=1, step=80, total_steps=800, metrics={}, samples_per_second=9999.0, eta=99.0)
    status = Status(
        state=state,
        transport=transport,
        recorded=Recorded(history(), 80),
        earlier=(),
        epochs=10,
        total_steps=800,
        compilations=1,
        knobs={knob.name: knob for knob in KNOBS},
        pace=None,
        report=report,
        traceback=trace,
        problem=None,
    )
    return run_frame(View(status), Said(said), Chosen(4.0).fields()) | {"heard": {}}


def curves_of(moves: tuple[int, ...] = ()) -> dict:
    return curves.curves_frame(history(moves), 80, 800, "all steps")


def times(step: int = 80, behind: bool = False, branches: int = 1, **more) -> dict:
    """Both traits of a run with some branches, each of 80 steps, the last one with a move; the trunk is shown."""
    lanes = [Lane("a", 0, None, 0, 80, 1, history())]
    lanes += [
        Lane("abcdef"[k], k, "a", 10 * k, 80, 1, history((60,)), {"hidden.v_th": 0.6}) for k in range(1, branches)
    ]
    kept = tuple(range(0, 81, 8))
    told = Times(tuple(lanes), "a", step, 80, 800, kept, behind, behind, bytes=12.3e6, budget=64e6, least=1e5, **more)
    return {"times": branches_frame(told), "ghosts": ghosts_frame(told)}


def everything() -> dict:
    """All traits of a run that trains."""
    made = {"about": about(), "run": run(), "results": results_frame([{"epoch": 1, "test_acc": 0.75}], 1), "ui": {}}
    made |= {"curves": curves_of(), "earlier": [], "health": {}, "tab": {}, "ping": 0}
    return made | times() | raster()


def make_cockpit(wake=lambda: None, **press) -> Cockpit:
    def ignored(*_) -> None:
        pass

    others = ("move", "try_out", "moved", "set", "pace", "restart", "export", "note")
    deeds = Deeds(press=press, **dict.fromkeys(others, ignored))
    return Cockpit(about(), deeds, Chosen(4.0), wake)


# ---- the page ----


class Page:
    """A page with one dashboard; whatever goes wrong in it fails the test."""

    def __init__(self, browser, ratio: float = 1.0, scheme: str = "light"):
        self.page = browser.new_page(viewport=SIZE, device_scale_factor=ratio, color_scheme=scheme)
        self.errors: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.errors.append(request.url))

    def open(self, colours=LIGHT, **traits):
        """Show all of a run, or what is given of it; `colours` are those of the front end, None if it has none."""
        names = ("--jp-layout-color0", "--jp-layout-color1", "--jp-ui-font-color1")
        lab = "".join(f"{name}: {c};" for name, c in zip(names, (colours[0], *colours), strict=True)) if colours else ""
        cockpit = make_cockpit()
        sheet = f"body {{ margin: 0; }} :root {{ {lab} }} {cockpit._css}"
        self.page.set_content(f"<!doctype html><style>{sheet}</style><div id=here class=snnlab></div>")
        self.page.evaluate(PAGE, [str(cockpit._esm), wire(everything() | traits)])
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

    def set(self, **traits) -> None:
        """As the kernel writes them."""
        for name, value in traits.items():
            self.page.evaluate("([name, value]) => window.model.receive(name, value)", [name, wire(value)])
        self.settle()

    def tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name).click()
        self.settle()

    def ink(self, colour: str, canvas: str = RASTER, least: int = 230) -> dict:
        return self.page.evaluate(INK, [canvas, rgb(colour), least])

    def loudest(self, colour: str) -> float:
        """Where most is drawn in a colour: the share of the raster's height above it."""
        rows = self.ink(colour)["rows"]
        return (int(np.argmax(rows)) + 0.5) / len(rows)

    def click(self, down: float) -> None:
        """Click the raster, at a share of its height."""
        box = self.page.locator(RASTER).bounding_box()
        self.page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + down * box["height"])

    def read(self, expression: str):
        return self.page.evaluate(f"() => {expression}")

    def each(self, selector: str, expression: str) -> list:
        """The value of an expression for every element `el` of the dashboard that matches, and for itself."""
        return self.page.evaluate(
            "([selector, act]) => [...document.querySelectorAll('.snnlab, .snnlab *')]"
            ".filter((el) => el.matches(selector)).map(new Function('el', `return ${act}`))",
            [selector, expression],
        )

    def sent(self, name: str) -> list:
        """What the page sent under a name."""
        return [message[name] for message in self.read("model.sent") if name in message]

    def seen(self, selector: str) -> list[dict]:
        """What can be seen of the elements that match, see `SEEN`."""
        return self.page.evaluate(SEEN, f".snnlab {selector}")

    def written(self, canvas: str) -> list[str]:
        """All words in a canvas."""
        return self.read(f"document.querySelector('.snnlab {canvas}').written")

    def height(self, canvas: str) -> int:
        return self.read(f"document.querySelector('.snnlab {canvas}').clientHeight")

    def label(self, canvas: str = RASTER) -> str:
        return self.page.get_attribute(f".snnlab {canvas}", "aria-label")


@pytest.fixture
def view(one_browser):
    """Opens pages."""
    pages = []

    def new(ratio: float = 1.0, scheme: str = "light") -> Page:
        pages.append(Page(one_browser, ratio, scheme))
        return pages[-1]

    yield new
    for page in pages:
        page.page.close()
        assert page.errors == []


# Draw what a canvas shows as SVG, in a canvas of the same size: the share of pixels that differ visibly.
AS_SVG = """async (selector) => {
  const canvas = document.querySelector(`.snnlab ${selector}`), { width, height } = canvas;
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(window.saved)}`;
  await image.decode();
  const [one, other] = [canvas, image].map((from) => {
    const pen = Object.assign(document.createElement("canvas"), { width, height }).getContext("2d");
    pen.fillStyle = getComputedStyle(canvas).backgroundColor;
    pen.fillRect(0, 0, width, height);
    pen.drawImage(from, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height).data;
  });
  let differ = 0, inked = 0;
  for (let k = 0; k < one.length; k += 4) {
    const far = Math.max(...[0, 1, 2].map((c) => Math.abs(one[k + c] - other[k + c])));
    if (far > 100) differ++;
    if (Math.max(...[0, 1, 2].map((c) => Math.abs(one[k + c] - one[c]))) > 60) inked++; // not as in the corner
  }
  return { differ: differ / (width * height), inked: inked / (width * height) };
}"""
# Note the file that the page offers, instead of downloading it.
CATCH = """() => {
  URL.createObjectURL = (blob) => {
    blob.text().then((text) => (window.saved = text));
    window.kind = blob.type;
    return "#";
  };
}"""


@pytest.mark.parametrize("colours", [LIGHT, DARK])
@pytest.mark.parametrize(
    ("menu", "tab", "canvas"),
    [(".raster", None, RASTER), (".main", None, MAIN), (".tabs", "Health", HEALTH), (".tabs", "Look inside", NEURON)],
)
def test_a_saved_drawing_is_what_is_seen(view, menu, tab, canvas, colours):
    page = view().open(colours, **raster(unit=LOUD), health=health(), curves=curves_of((20, 60)))
    if tab:
        page.tab(tab)
    page.read(f"({CATCH})()")
    page.page.locator(f".snnlab {menu} .menu summary").click()
    page.page.locator(f".snnlab {menu} .menu button", has_text="SVG").click()
    page.page.wait_for_function("window.saved")
    ElementTree.fromstring(page.read("window.saved").encode())
    found = page.page.evaluate(AS_SVG, canvas)
    assert page.read("window.kind") == "image/svg+xml" and found["inked"] > 0.01
    assert found["differ"] < 0.02 * found["inked"] + 0.002  # the edges of letters
    assert not page.read(f"document.querySelector('.snnlab {menu} .menu').open")


def test_the_curves_are_saved_as_numbers(view):
    page = view().open()
    page.read(f"({CATCH})()")
    page.page.locator(".snnlab .main .menu summary").click()
    page.page.locator(".snnlab .main .menu button", has_text="CSV").click()
    page.page.wait_for_function("window.saved")
    rows = [row.split(",") for row in page.read("window.saved").splitlines()]
    assert rows[0] == ["curve", "step", "value"]
    loss = np.array([[float(step), float(value)] for name, step, value in rows[1:] if name == '"loss"'])
    np.testing.assert_allclose(loss[:, 1], history().steps()["loss"], rtol=1e-6)


# ---- colours ----


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_ink_follows_the_theme_of_the_front_end(view, colours):
    page = view().open(colours)
    assert max(page.ink(colours[1])["rows"]) >= 50  # the marks of a neuron that fires at every step
    assert max(page.ink(style.ORANGE)["rows"]) > 0 and "true class one, predicted one" in page.label()


@pytest.mark.parametrize(("scheme", "theme"), [("light", style.LIGHT), ("dark", style.DARK)])
def test_ink_follows_the_system_elsewhere(view, scheme, theme):
    """Where no front end says what its colours are."""
    page = view(scheme=scheme).open(None)
    assert max(page.ink(theme.ink)["rows"]) >= 50
    paper = page.read("getComputedStyle(document.querySelector('.snnlab .screen')).backgroundColor")
    assert paper == f"rgb({', '.join(str(part) for part in rgb(theme.paper))})"


def test_a_theme_that_changes_is_followed(view):
    page = view().open(LIGHT)
    page.page.evaluate(
        f"document.documentElement.style.setProperty('--jp-ui-font-color1', '{DARK[1]}');"
        "document.body.dataset.jpThemeLight = 'false'"
    )
    page.settle()
    assert max(page.ink(DARK[1])["rows"]) >= 50


# ---- choosing a neuron ----


@pytest.mark.parametrize(("ratio", "sort", "large"), [(1.0, "index", False), (2.0, "rate", False), (1.0, "rate", True)])
def test_a_click_selects_the_neuron_under_it(view, ratio, sort, large):
    """Where its spikes are drawn, there it is; and its inside is shown."""
    page = view(ratio).open(**raster(sort=sort), ui={"large": large})
    assert page.ink(LIGHT[1])["ratio"] == pytest.approx(ratio * (1.3 if large else 1.0), 0.01)
    page.click(page.loudest(LIGHT[1]))
    assert page.sent("select") == [{"layer": "hidden", "unit": LOUD}]
    assert page.read("model.get('ui').tab") == "Look inside" and page.read("model.saved") == 1
    page.click(0.003)  # on nothing: no longer
    assert page.sent("select")[1:] == [None]


def test_what_does_not_spike_is_drawn_and_selected(view):
    page = view().open(**raster(spiking=False, unit=0))
    assert "selected hidden unit 0: tau_mem 10 ms, v_th 1" in page.label()
    seen = page.ink(style.VERMILION)
    full = np.flatnonzero(np.array(seen["any"]) > 0.5 * len(seen["columns"]))
    image = max(np.split(full, np.flatnonzero(np.diff(full) > 1) + 1), key=len)  # it has no holes
    assert max(seen["rows"]) > 0 and len(image) > 50
    page.click((image[0] + 0.7 * len(image)) / len(seen["any"]))  # the fourth of five rows
    assert page.sent("select") == [{"layer": "hidden", "unit": 3}]


def test_the_keyboard_selects(view):
    """Tab reaches the canvas, and shows so; arrows move over neurons and layers, Enter selects, Escape clears."""
    page = view().open(**raster(unit=3))
    canvas, press = page.page.locator(RASTER), page.page.keyboard.press
    outline = "(canvas) => canvas === document.activeElement && getComputedStyle(canvas).outlineStyle"
    assert canvas.evaluate(outline) is False
    for _ in range(60):
        press("Tab")
        if canvas.evaluate(outline):
            break
    assert canvas.evaluate(outline) == "solid"
    page.read("void document.addEventListener('keydown', ({ key }) => (window.keys ??= []).push(key))")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "Enter"):  # the first one shows the cursor
        press(key)
    page.settle()
    assert "Cursor: hidden neuron 2, 50 spikes." in page.label()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "Enter", "ArrowLeft", "ArrowUp", "Enter"):
        press(key)  # over the end of the layer to the second class, and back
    press("Escape")
    units = [("hidden", 2), ("readout", 1), ("hidden", 0)]
    assert page.sent("select") == [*({"layer": layer, "unit": unit} for layer, unit in units), None]
    press("Shift+Tab")
    assert canvas.evaluate(outline) is False
    assert page.read("window.keys ?? null") is None  # none of them reached the notebook, where keys are commands


# ---- what moves and what does not ----


def test_nothing_jumps(view):
    """All stays where it is, whatever the network does, whatever there is to say, whichever neuron is selected."""
    page = view().open(frame={})
    everywhere = "header, header > *, .row *, .panel, .tabs, .tabs button, .fields, .knob"
    places = lambda: page.each(everywhere, "[el.className, JSON.stringify(el.getBoundingClientRect())]")  # noqa: E731
    before, heights = places(), [page.height(RASTER)]
    for traits in (raster(), raster(prediction=2), raster(unit=3), raster(sort="rate", unit=LOUD)):
        page.set(frame=traits["frame"])
        heights.append(page.height(RASTER))
    assert len(set(heights)) == 1 and heights[0] > 300
    page.set(run=run(said="a long sentence " * 20), curves=curves_of((20, 40)), health=health())
    page.set(run=run(RunState.TRAINING, trace="Traceback\nValueError: no"))
    assert places() == before and len(before) > 40
    assert "selected hidden neuron 2: tau_mem 10 ms, v_th 1, 50 spikes (1,000 Hz)" in page.label()
    page.tab("Look inside")
    assert max(page.ink(style.BLUE, NEURON)["rows"]) > 0  # its voltage
    assert page.label(NEURON).startswith("Voltage and weights: hidden neuron 2: tau_mem 10 ms, v_th 1")


def test_the_newest_frame_wins_and_what_is_hidden_is_not_drawn(view):
    page = view().open()
    before = page.read("paints")
    page.read("{ for (let k = 0; k < 20; k++) model.tell('change:frame'); }")
    page.settle()
    assert page.read("paints") == before + 2, "the raster and the voltages, once each"
    for hidden in ("display: none", "margin-top: 3000px"):
        page.page.evaluate(f"() => document.getElementById('here').setAttribute('style', '{hidden}')")
        page.page.wait_for_timeout(100)
        before = page.read("paints")
        page.set(frame=raster(prediction=2)["frame"], curves=curves_of((20,)))
        assert page.read("paints") == before
    page.read("document.getElementById('here').removeAttribute('style')")
    page.page.wait_for_function(f"() => window.paints > {before}")
    for name in ("Look inside", "Health", "Run"):
        page.tab(name)
    page.read("window.end()")
    before = page.read("paints")
    page.set(**(everything() | raster(unit=1)))
    assert page.read("paints") == before
    left = "Object.keys(model.listeners).filter((event) => model.listeners[event].length)"
    assert page.read(left) == ["change:ping"]  # answered as long as the widget lives


def test_it_asks_for_all_and_answers_when_it_has_drawn(view):
    page = view().open(ping=4)
    assert page.sent("hello") == [True] and page.sent("pong") == [4]
    page.set(ping=5)
    assert page.sent("pong") == [4, 5]


def test_another_structure_after_a_restart(view):
    page = view().open()
    page.set(about=about([Knob(name="second.v_th", value=1.0, low=0.0, high=4.0)]))
    assert [row["name"].split()[-1] for row in page.seen(".knobs [role=group]")] == ["second"]
    assert page.page.locator("[data-knob]").count() == 1 and page.page.locator(".screen").count() == 1
    assert "predicted one" in page.label()


# ---- room ----


def overlaps(boxes: list[dict]) -> list[tuple[str, str]]:
    """Names of two of them that have more than a pixel in common."""
    return [
        (a["name"], b["name"])
        for k, a in enumerate(boxes)
        for b in boxes[:k]
        if min(a["right"], b["right"]) - max(a["left"], b["left"]) > 1
        and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 1
    ]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(("width", "height"), [(1600, 1000), (1050, 740), (800, 740), (600, 740)])
def test_there_is_room_for_everything(view, width, height, large):
    """Nothing overlaps, nothing is wider than the screen, and canvases are as wide as their place."""
    page = view()
    page.page.set_viewport_size({"width": width, "height": height})
    traits = raster(unit=LOUD) | times(step=40, behind=True, branches=4)
    page.open(**traits, health=health(), ui={"large": large}, run=run(said="a long sentence " * 20))
    for tab in ("Learn", "Look inside", "Health", "Time", "Run"):
        page.tab(tab)
        wide = page.each(".screen, .snnlab, header, .row, .knobs, .fill", "el.scrollWidth - el.clientWidth")
        assert len(wide) >= 7 and max(wide) <= 0, tab
        assert overlaps(page.seen(".panel, .snnlab .tabs, .snnlab header")) == []
        assert overlaps(page.seen(":is(button, input, select, canvas, h4, .facts, .said, .name, .unit)")) == [], tab
        assert all(seen["left"] >= 0 and seen["right"] <= width for seen in page.seen("*"))
        assert set(page.each("canvas", "el.parentElement.clientWidth - el.clientWidth")) == {0}


@pytest.mark.smoke
def test_the_core_is_seen_at_once(view):
    """In a cell of an ordinary notebook page, knobs, raster and main curves need no scrolling."""
    page = view().open()
    (screen,) = page.seen(".screen")
    assert (screen["right"] - screen["left"], screen["bottom"] - screen["top"]) == (1050, 620)
    for name in (".left", ".raster", ".main"):
        box = page.page.locator(f".snnlab .panel{name}").bounding_box()
        assert box["x"] >= screen["left"] and box["x"] + box["width"] <= screen["right"]
        assert box["y"] >= screen["top"] and box["y"] + box["height"] <= screen["bottom"]
    assert len(page.seen("[data-knob] input[type=range]")) == len(KNOBS)
    assert page.each(".knobs, .raster .fill, .main .fill", "el.scrollHeight > el.clientHeight") == [False] * 3


@pytest.mark.parametrize("width", [1600, 1050, 600])
def test_no_word_covers_another(view, width):
    """Nor is one cut off at the side, whatever is drawn: a cursor, a former raster, a preview, many marks."""
    page = view()
    page.page.set_viewport_size({"width": width, "height": 1400})
    traits = raster(unit=LOUD, preview=True) | times(step=40, behind=True, branches=4)
    page.open(**traits, health=health(), curves=curves_of(tuple(range(2, 80, 6))))
    slider = page.page.locator("[data-knob='hidden.v_th'] input[type=range]")
    slider.focus()
    page.page.keyboard.press("ArrowRight")
    for tab in ("Learn", "Look inside", "Health", "Time"):
        page.tab(tab)
        page.set(frame=raster(unit=LOUD, prediction=2, preview=True)["frame"])
        for hover in (False, True):
            box = page.page.locator(RASTER).bounding_box()
            page.page.mouse.move(
                *((box["x"] + 0.7 * box["width"], box["y"] + 0.45 * box["height"]) if hover else (1, 1))
            )
            page.settle()
            assert any(words.startswith("neuron ") for words in page.written(RASTER)) is hover
            for words, room in page.each("canvas", "[el.clientWidth && el.words, el.clientWidth]"):
                assert not words or overlaps(words) == []
                assert all(word["left"] >= 0 and word["right"] <= room for word in words or [])


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_axe_finds_nothing(view, colours):
    """No violation of WCAG that axe-core can find, in any tab, by day or night."""
    axe = needed("axe_playwright_python.sync_playwright", "browser").Axe()
    traits = raster(unit=LOUD, preview=True) | times(step=40, behind=True, branches=3)
    page = view().open(colours, health=health(), **traits)
    for tab in ("Learn", "Look inside", "Health", "Errors", "Weights", "Time", "Run"):
        page.tab(tab)
        found = axe.run(page.page, context="#here").response
        assert [(found["id"], found["nodes"][0]["html"]) for found in found["violations"]] == [], tab
        assert len(found["passes"]) > 10


def test_a_page_may_come_before_anything_is_known(view):
    """It shows nothing then, and everything as soon as the kernel has said where the run stands."""
    page = view().open(run={})
    assert page.page.locator(".snnlab button").count() == 0
    page.set(run=run())
    assert page.page.locator(".snnlab [data-do=transport]").is_visible() and page.height(RASTER) > 300
    page.set(run=run(RunState.PAUSED, Transport.RESUME))
    assert page.page.get_by_role("button", name="Resume").is_visible()


def test_presentation(view):
    """Everything is larger, in sharp type; another page of the same dashboard is large, too."""
    page = view().open()
    width = lambda: page.page.locator(".snnlab [data-do=transport]").bounding_box()["width"]  # noqa: E731
    button, before = page.page.get_by_role("button", name="presentation"), width()
    button.click()
    page.settle()
    assert page.read("[model.get('ui'), model.saved]") == [{"large": True}, 1]
    assert button.get_attribute("aria-pressed") == "true" and width() == pytest.approx(1.3 * before, 0.02)
    assert page.ink(LIGHT[1])["ratio"] == pytest.approx(1.3, 0.01)  # as many pixels as it is drawn with
    other = view().open(ui={"large": True})
    assert other.page.locator(".snnlab .frame.large").count() == 1
    button.click()
    page.settle()
    assert page.read("model.get('ui')") == {"large": False} and width() == before


def test_tabs_by_keyboard(view):
    """Tab reaches the one that is shown, arrows turn to the next one, around the end."""
    page = view().open(health=health())
    focused = "document.activeElement.textContent"
    shown = lambda: page.page.locator("[role=tab][aria-selected=true]").all_inner_texts()  # noqa: E731
    assert shown() == ["Learn"]
    page.page.locator("[role=tab][tabindex='0']").focus()
    assert page.read(focused) == "Learn"
    for key, name in (
        ("ArrowRight", "Look inside"),
        ("ArrowRight", "Health"),
        ("ArrowRight", "Errors"),
        ("ArrowRight", "Weights"),
        ("ArrowRight", "Time"),
        ("ArrowRight", "Run"),
        ("ArrowRight", "Learn"),
        ("ArrowLeft", "Run"),
    ):
        page.page.keyboard.press(key)
        page.settle()
        assert [page.read(focused), *shown(), page.page.get_by_role("tabpanel").get_attribute("aria-label")] == [
            name
        ] * 3
        assert page.read("model.get('ui').tab") == name
        assert page.page.locator("[role=tabpanel] > :not([hidden])").count() == 1
        assert page.page.locator("[role=tab][tabindex='0']").all_inner_texts() == [name]
    assert page.page.get_by_role("button", name="Export").is_visible()


# ---- slow motion, and the stage ----


def at_share(page: Page, canvas: str, right: float, down: float) -> tuple[float, float]:
    """A point of a canvas; `right` is a share of the axis of time."""
    page.page.locator(f".snnlab {canvas}").scroll_into_view_if_needed()
    box = page.page.locator(f".snnlab {canvas}").bounding_box()
    left, end = (136, 16) if canvas == RASTER else (1.5 * 44, 1.5 * 16)
    x = box["x"] + left + right * (box["width"] - left - end)
    return x, box["y"] + down * box["height"]


def test_a_moment_is_shown_where_one_clicks(view):
    """What comes later is pale, and stays so with a new frame; the time is said; Escape shows all again."""
    page = view().open()
    full = max(page.ink(LIGHT[1])["rows"])
    page.page.mouse.click(*at_share(page, RASTER, 0.5, 0.98))  # on the axis: 25 of 50 ms
    page.settle()
    said = lambda: next(words for words in page.written(RASTER) if words.startswith("readout"))  # noqa: E731
    assert "25 ms" in page.written(RASTER) and said().startswith("readout after 25 ms: one leads (")
    assert "hidden: 26 of 51 spikes so far, 5 neurons" in page.written(RASTER)
    assert max(page.ink(LIGHT[1])["rows"]) < 0.7 * full  # some rows hold words, too
    assert page.sent("select") == [], "no neuron was chosen, and none was left"
    page.set(frame=raster(prediction=2)["frame"])
    assert said().startswith("readout after 25 ms: two leads (")
    x, y = at_share(page, RASTER, 0.5, 0.98)
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    page.page.mouse.move(*at_share(page, RASTER, 0.2, 0.5), steps=3)  # it may leave the axis
    page.page.mouse.up()
    page.settle()
    assert said().startswith("readout after 10 ms: no class leads (")  # one rises from 20 ms on
    assert "so far: none" in page.written(RASTER) and "says: two" not in page.written(RASTER)
    page.page.keyboard.press("Shift+ArrowRight")
    page.settle()
    assert "11 ms" in page.written(RASTER)
    page.page.keyboard.press("Escape")
    page.settle()
    assert "says: two" in page.written(RASTER) and max(page.ink(LIGHT[1])["rows"]) == full
    assert page.sent("select") == []


def test_it_plays_and_ends(view):
    page = view().open()
    play = page.page.get_by_role("button", name="play in slow motion")
    play.click()
    page.page.wait_for_function("() => /After [1-9]/.test(document.querySelector('.raster canvas').ariaLabel)")
    page.page.get_by_role("button", name="pause slow motion").click()
    page.settle()
    said = page.label()
    page.page.wait_for_timeout(200)
    assert page.label() == said and "After " in said
    page.page.get_by_role("button", name="end slow motion").click()
    page.settle()
    assert "After " not in page.label() and not page.page.get_by_role("button", name="end slow motion").is_visible()


def test_who_wants_less_motion_moves_the_cursor(view):
    page = view()
    page.page.emulate_media(reduced_motion="reduce")
    page.open()
    page.page.get_by_role("button", name="play in slow motion").click()
    page.page.wait_for_timeout(300)
    assert "After 0 ms: no class leads." in page.label()
    page.page.mouse.click(*at_share(page, RASTER, 0.5, 0.98))
    page.settle()
    assert "After 25 ms: one leads." in page.label()


def drawn(bytes_: bytes, prediction: int = 2) -> dict:
    """Both traits of a drawing."""
    made = raster(prediction)
    return {"scene": made["scene"] | {"label": None, "drawing": bytes_}, "frame": made["frame"]}


def test_what_is_drawn_on_the_stage_is_sent(view):
    """By mouse and by keyboard, the newest at most once a picture, as one byte a pixel; nothing claims a true class."""
    page = view().open()
    page.page.get_by_role("button", name="stage", exact=True).click()
    page.settle()
    assert page.read("model.get('ui').stage") is True and not page.page.locator(".snnlab .body").is_visible()
    assert "Test sample 0, true class one." in page.page.locator(".pad .hint").inner_text()
    page.page.get_by_role("button", name="Clear").click()
    assert page.sent("bytes")[-1] == [[0] * 16]
    box = page.page.locator(".pad canvas").bounding_box()
    at = lambda x, y: (box["x"] + x * box["width"], box["y"] + y * box["height"])  # noqa: E731
    page.page.mouse.move(*at(0.125, 0.125))
    page.page.mouse.down()
    page.page.mouse.move(*at(0.125, 0.875), steps=20)
    page.page.mouse.up()
    page.settle()
    ink = np.array(page.sent("bytes")[-1]).reshape(4, 4)
    assert ink[:, 0].min() > 200 and ink[:, 2:].max() == 0, "a line down the first column"
    assert len(page.sent("bytes")) <= 25
    page.set(**drawn(bytes(16)))  # what comes back is older, and does not wipe it away
    assert "Your drawing." in page.page.locator(".pad .hint").inner_text()
    assert all("true" not in words for words in page.written(".film canvas"))
    page.page.get_by_role("button", name="Centre").click()
    page.settle()
    moved = np.array(page.sent("bytes")[-1]).reshape(4, 4)
    np.testing.assert_array_equal(moved[:, 1:3].sum(1), ink.sum(1))
    canvas = page.page.locator(".pad canvas")
    canvas.focus()
    for key in ("Delete", "Enter", "ArrowRight", "Enter"):  # the pen begins in the middle
        page.page.keyboard.press(key)
    page.settle()
    lines = np.array(page.sent("bytes")[-1]).reshape(4, 4)
    assert lines[2, 2] > 200 and lines[2, 3] > 200 and lines[:, 0].max() == 0
    page.page.get_by_role("button", name="Next test sample").click()
    assert page.sent("set")[-1] == {"sample": 1}
    page.set(**raster())
    assert "true class one" in page.page.locator(".pad .hint").inner_text()


def test_the_scores_race(view):
    """Each bar is as long as its score at the cursor, on one scale; the class that leads is named."""
    page = view().open(ui={"stage": True})
    lanes = lambda: page.each(".race .lane", "[el.innerText.split('\\n'), el.querySelector('i').style.width]")  # noqa: E731
    assert [lane[1] for lane in lanes()] == ["0%", "100%", "0%"]
    assert page.page.locator(".winner").inner_text() == "one"
    assert "right" in page.page.locator(".verdict").inner_text()
    page.page.mouse.click(*at_share(page, ".film canvas", 0.2, 0.9))
    page.settle()
    assert [lane[1] for lane in lanes()] == ["0%"] * 3
    assert page.page.locator(".verdict").inner_text() == "no class leads after 10 ms"
    page.page.mouse.click(*at_share(page, ".film canvas", 0.8, 0.3))  # all of it is the axis of time
    page.settle()
    assert page.page.locator(".verdict").inner_text() == "leads after 40 ms"
    slider = page.page.get_by_role("slider", name="moment")
    assert slider.input_value() == "40" and slider.get_attribute("aria-valuetext") == "40 ms"
    assert page.sent("select") == []


def test_space_is_the_runs_and_escape_leaves(view):
    """Anywhere on the stage, on a button, too; but not where one types."""
    page = view().open()
    page.page.get_by_role("button", name="stage", exact=True).click()
    press = page.page.keyboard.press
    press("Space")
    page.page.get_by_role("button", name="Clear").focus()
    press("Space")
    page.page.get_by_role("slider", name="moment").focus()
    press("Space")
    assert page.sent("do") == ["transport"] * 3 and page.sent("bytes") == [], "Clear was not pressed"
    page.page.locator(".stage [data-knob='hidden.v_th'] input[type=number]").focus()
    press("Space")
    assert len(page.sent("do")) == 3
    page.page.locator(".stage [data-do=transport]").focus()
    press(".")
    press("Escape")  # the slow motion first
    assert page.read("model.get('ui').stage") is True
    press("Escape")
    assert page.read("model.get('ui').stage") is False and page.page.locator(".snnlab .body").is_visible()
    assert page.read("document.activeElement.ariaLabel") == "stage"


def test_the_stage_moves_the_knobs_that_are_chosen(view):
    """Threshold and time constant at first; two sliders never move the same one."""
    page = view().open(ui={"stage": True})
    shown = lambda: page.each(".slot", "[el.querySelector('select').value, el.querySelector('.knob').dataset.knob]")  # noqa: E731
    assert shown() == [["hidden.v_th"] * 2, ["hidden.tau_mem"] * 2]
    page.page.get_by_label("knob 1").select_option("hidden.tau_mem")
    assert shown() == [["hidden.tau_mem"] * 2, ["hidden.v_th"] * 2]
    page.page.get_by_label("knob 2").select_option("l1")
    assert shown()[1] == ["l1"] * 2
    page.page.locator(".stage [data-knob='l1'] input[type=range]").focus()
    page.page.keyboard.press("ArrowRight")
    assert [name for name, _ in page.sent("move")] == ["l1"]


def test_a_stage_without_images_or_knobs(view):
    """It says why nothing can be drawn, and shows the test sample."""
    reason = "The samples are events, so there is nothing to draw."
    bare = about([]) | {"paper": {"rows": 0, "columns": 0, "frame": None, "reason": reason}, "only": "stage"}
    made = raster()
    page = view().open(about=bare, scene=made["scene"] | {"drawing": None}, run=run() | {"knobs": {}})
    assert reason in page.page.locator(".pad .hint").inner_text()
    assert page.page.locator(".pad canvas").get_attribute("role") == "img" and page.height(".pad canvas") > 100
    assert page.page.get_by_role("button", name="Clear").count() == page.page.locator(".slot").count() == 0
    assert page.page.get_by_role("button", name="leave the stage").count() == 0  # it stands alone


@pytest.mark.parametrize("only", [True, False])
@pytest.mark.parametrize(("width", "height"), [(1600, 1000), (1280, 720), (800, 740), (600, 740)])
def test_there_is_room_on_the_stage(view, width, height, only):
    """Nothing overlaps or is cut off, and the type is large."""
    page = view()
    page.page.set_viewport_size({"width": width, "height": height})
    page.open(about=about() | ({"only": "stage"} if only else {}), ui={"stage": True}, run=run(said="a sentence " * 20))
    page.page.mouse.click(*at_share(page, ".film canvas", 0.6, 0.5))
    page.settle()
    assert (
        max(page.each(".screen, .snnlab, .stage, .acts, .acts > *, .sliders, .fill", "el.scrollWidth - el.clientWidth"))
        <= 0
    )
    assert overlaps(page.seen(":is(.stage .line, .pad, .film, .race, .sliders)")) == []
    assert (
        overlaps(
            page.seen(".stage :is(button, input, select, canvas, .lane, .hint, .what, .winner, b, .accuracy, .unit)")
        )
        == []
    )
    assert all(seen["left"] >= 0 and seen["right"] <= width for seen in page.seen("*"))
    sizes = page.each(
        ".stage :is(button, select, .lane, .verdict)",
        "el.checkVisibility() ? parseFloat(getComputedStyle(el).fontSize) : 99",
    )
    assert min(sizes) >= (19 if width == 1280 else 14)
    words = page.read("document.querySelector('.film canvas').words")
    assert overlaps([word for word in words if word["name"] != "30 ms"]) in ([], [("30", "30 ms")])


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_axe_finds_nothing_on_the_stage(view, colours):
    axe = needed("axe_playwright_python.sync_playwright", "browser").Axe()
    page = view().open(colours, ui={"stage": True})
    page.page.mouse.click(*at_share(page, ".film canvas", 0.6, 0.5))
    page.settle()
    found = axe.run(page.page, context="#here").response
    assert [(found["id"], found["nodes"][0]["html"]) for found in found["violations"]] == []
    assert len(found["passes"]) > 10


# ---- what a move does ----


def test_the_former_raster_stays_behind_a_move(view):
    """Pale, while a slider is held and a while longer; then it vanishes."""
    page = view().open()
    pale = lambda: sum(page.ink(PALE, least=100)["rows"])  # noqa: E731
    slider = page.page.locator("[data-knob='hidden.v_th'] input[type=range]")
    box = slider.bounding_box()
    share = slider.evaluate("(s) => (s.value - s.min) / (s.max - s.min)")
    x, y = box["x"] + 7 + share * (box["width"] - 14), box["y"] + box["height"] / 2
    page.page.mouse.move(x, y)
    page.page.mouse.down()
    quieter = raster(prediction=2)["frame"]
    spikes = np.zeros((50, 5), bool)
    spikes[7, 0] = True
    quieter["layers"]["hidden"] |= {"bits": np.packbits(spikes).tobytes(), "title": "hidden: 1 spike"}
    page.set(frame=quieter)
    assert max(page.ink(PALE, least=100)["rows"]) >= 50  # the neuron that fired all the time
    assert "before: 51 spikes" in page.written(RASTER)
    page.page.mouse.move(x + 6, y, steps=3)
    page.page.mouse.up()
    page.settle()
    assert pale() > 50 and page.sent("move")[-1][0] == "hidden.v_th" and page.sent("move")[-1][1] > 1.0
    page.page.wait_for_function(
        "() => !document.querySelector('.snnlab .raster canvas').written.includes('before: 51 spikes')"
    )
    page.settle()
    assert pale() == 0


def test_a_preview_says_so(view):
    """The raster of knobs that no training step has used yet."""
    page, words = view().open(), "preview: not trained yet"
    assert words not in page.written(RASTER)
    page.set(frame=raster(preview=True)["frame"])
    assert words in page.written(RASTER)
    page.set(frame=raster()["frame"])
    assert words not in page.written(RASTER)


def test_marks_of_moves_are_lines_at_their_steps(view):
    """Moves at every quarter of the steps divide both plots into quarters; each has its label once."""
    page = view().open(curves=curves_of((20, 40, 60)))
    seen = page.ink(LIGHT[1], MAIN, least=40)
    lines = [k for k, count in enumerate(seen["columns"]) if count > 0.2 * len(seen["rows"])]  # dashed
    starts = [k for k in lines if k - 1 not in lines]
    assert len(starts) == 5 and np.ptp(np.diff(starts)) <= 2, starts  # with those of the frame
    assert [words for words in page.written(MAIN) if words.startswith("v_th")] == ["v_th 0.6", "v_th 0.4", "v_th 0.2"]
    assert page.label(MAIN).endswith(
        "3 moves, the newest first: v_th 0.6 at step 60, v_th 0.4 at step 40, v_th 0.2 at step 20."
    )


def test_curves_are_drawn_with_their_newest_values(view):
    """Train in blue, test in orange; an earlier run behind them; smooth and logarithmic when asked to."""
    page = view().open()
    for colour in (style.TRAIN.colour, style.TEST.colour):
        assert sum(page.ink(colour, MAIN, least=100)["rows"]) > 20, colour
    assert {"accuracy", "train 80%", "test 75%", "loss", "train 0.2", "test 0.25"} <= set(page.written(MAIN))
    name = "run 1: seed 0, 80 steps"
    before = sum(page.ink(style.GREY, MAIN, least=150)["rows"])
    frame = curves.earlier_frame([{"loss": (np.array([0.0, 80.0], np.float32), np.full(2, 0.9))}])
    page.set(earlier=frame, curves=curves_of() | {"earlier": [name]})
    assert sum(page.ink(style.GREY, MAIN, least=150)["rows"]) > before + 100  # a line from side to side
    assert name in page.written(MAIN)
    for name in ("smooth", "log loss"):
        button = page.page.get_by_role("button", name=name)
        before = page.page.locator(MAIN).screenshot()
        button.click()
        page.settle()
        assert button.get_attribute("aria-pressed") == "true"
        assert page.page.locator(MAIN).screenshot() != before
    assert page.read("model.get('ui')") == {"smooth": True, "log": True}


@pytest.mark.smoke
def test_health_is_drawn(view):
    page = view().open()
    page.tab("Health")
    assert page.height(".tab > :not([hidden]) canvas") == 0
    page.set(health=health())
    height = page.height(HEALTH)
    assert height > 150 and page.page.get_attribute(f".snnlab {HEALTH}", "role") == "img"
    assert "3 dead, 17 healthy, 1 saturated of 21, 40% in the surrogate window, gradient norm 0.2" in page.label(HEALTH)
    page.page.locator(HEALTH).scroll_into_view_if_needed()
    page.settle()
    for colour in (style.BLUE, style.ORANGE, style.GREEN, style.VERMILION):  # healthy, saturated, window, dead
        assert max(page.ink(colour, HEALTH)["rows"]) > 3, colour
    page.set(health=health(dead=0, gradient=1e-5))
    assert sum(page.ink(style.VERMILION, HEALTH)["rows"]) == 0 and page.height(HEALTH) == height


@pytest.mark.smoke
def test_the_kernel_hears_what_was_selected():
    calls: list[tuple[str, int] | None] = []
    cockpit = make_cockpit(lambda: calls.append(cockpit.chosen.selected))
    cockpit.show_sample(**raster())
    say = lambda message: cockpit._handle_custom_msg(message, [])  # noqa: E731
    say({"select": {"layer": "hidden", "unit": 3}})
    say({"select": {"layer": "hidden", "unit": 3}})
    for nonsense in ({"layer": "hidden", "unit": 5}, {"layer": "cow", "unit": 0}, {"unit": 1.5}, {}, [], "hidden"):
        say({"select": nonsense})
    say({"select": None})
    assert calls == [("hidden", 3), None] and cockpit.chosen.selected is None
    say({"hello": True})
    assert cockpit.hellos == 1 and calls[2:] == [None]  # it is shown what there is
