"""The exhibit in a real Chromium, offline and from the disk: it checks itself, and every control does something."""

import base64
import html
import re

import lab_driver
import numpy as np
import pytest
from test_exhibit import data_of, network, page_data, with_own_constants
from tiers import Needs, needed

from snnlab.export.exhibits import exhibit


@pytest.fixture(scope="module")
def chromium():
    if lab_driver.CHROMIUM is None:
        Needs.missing("browser", "no chromium: apt-get install chromium (or another Chromium on the PATH)")
    playwright = needed("playwright.sync_api", "browser")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=lab_driver.CHROMIUM, args=lab_driver.FLAGS)
        yield browser
        browser.close()


class Opened:
    """A page, and what it complained of and asked for."""

    def __init__(self, browser, **options):
        self.context = browser.new_context(offline=True, **{"viewport": {"width": 1200, "height": 900}} | options)
        self.page, self.complaints, self.requests = self.context.new_page(), [], []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append("dialog"), dialog.dismiss()))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self, path):
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("body[data-checked]")
        return self.page

    def says(self, selector: str) -> str:
        return self.page.locator(selector).first.inner_text()


@pytest.fixture
def opened(chromium):
    made = []

    def make(**options) -> Opened:
        made.append(Opened(chromium, **options))
        return made[-1]

    yield make
    for one in made:
        one.context.close()


def written(tmp_path, kind: str, **options):
    return exhibit(network(kind), tmp_path / "net.html", data_of(kind), training={"readout": "mean"}, **options).path


KINDS = ["latency", "events", "recurrent", "refractory", "three layers", "adaptive", "lstm", "rate", "delta"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", [("light", 1200), ("dark", 400)], ids=lambda look: look[0])
def test_every_page_checks_itself_offline(tmp_path, opened, kind, look):
    tab = opened(color_scheme=look[0], viewport={"width": look[1], "height": 900})
    path = written(tmp_path, kind)
    page = tab.open(path)
    noun = "output" if kind == "lstm" else "spike"
    assert f"20 of 20 samples, every {noun} as in Python" in tab.says(".certificate")
    assert page.locator("body").get_attribute("data-good") == "20"
    assert tab.complaints == [] and tab.requests == [path.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") <= look[1]
    for canvas in page.locator("canvas").all():
        assert canvas.get_attribute("aria-label") and canvas.bounding_box()["height"] > 50


def test_every_control_by_mouse_and_keyboard(tmp_path, opened):
    tab = opened()
    page = tab.open(written(tmp_path, "latency"))
    label = page.locator(".fill.raster canvas")
    assert tab.says(".row output") == "50 of 50 ms"
    page.get_by_title("One step back").click()
    assert tab.says(".row output") == "49 of 50 ms"
    page.get_by_title("One step on").click()
    page.get_by_role("slider", name="Time").focus()
    page.keyboard.press("Home")
    assert tab.says(".row output") == "0 of 50 ms" and "nothing yet" in tab.says(".said")
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("slider", name="Time").press("End")
    # The sample
    first = tab.says(".said")
    page.get_by_title("Next sample").click()
    assert tab.says(".said") != first and "Sample 2 of 20" in tab.says(".said")
    page.get_by_title("Previous sample").click()
    assert tab.says(".said") == first
    page.get_by_label("Sample", exact=True).select_option("5")
    assert "Sample 6 of 20" in tab.says(".said")
    page.get_by_label("Sample", exact=True).select_option("0")
    assert tab.says(".said") == first
    # The neuron: a click into the hidden layer, and keys
    box = label.bounding_box()
    page.mouse.click(box["x"] + 200, box["y"] + box["height"] * 0.5)
    picked = tab.says(".neuron .hint")
    assert picked.startswith("hidden, neuron ")
    label.focus()
    page.keyboard.press("ArrowDown")
    assert tab.says(".neuron .hint") != picked
    page.keyboard.press("PageDown")
    assert tab.says(".neuron .hint").startswith("readout: ")
    page.keyboard.press("ArrowLeft")
    assert tab.says(".row output") == "49 of 50 ms"
    assert tab.complaints == []


def test_sliders_say_what_is_certified_and_go_back(tmp_path, opened):
    tab = opened()
    page = tab.open(written(tmp_path, "latency"))
    back = page.get_by_role("button", name="As trained", exact=True)
    ranges = page.locator(".knob input").all()
    assert len(ranges) == 10 and back.is_disabled()  # two of the code, six of the layers, two shares left out
    before = tab.says(".decision canvas") + page.locator(".decision canvas").screenshot().hex()
    for slider in ranges:
        name = slider.get_attribute("aria-label")
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert "Moved: " in tab.says(".constants .hint") and "checksums exist for the trained ones only" in tab.says(
            ".constants .hint"
        )
        own = page.get_by_role("button", name=f"{name} as trained", exact=True)
        own.click()
        assert tab.says(".constants .hint") == "As trained."
        box = slider.bounding_box()
        page.mouse.click(box["x"] + 0.85 * box["width"], box["y"] + box["height"] / 2)
        assert "Moved: " in tab.says(".constants .hint")
        own.click()
    page.get_by_role("slider", name="hidden.v_th", exact=True).fill("35")  # so high that nothing fires
    page.wait_for_selector("text=no neuron fires")
    back.click()
    page.wait_for_selector(".notes >> text=spikes a sample")
    assert tab.says(".decision canvas") + page.locator(".decision canvas").screenshot().hex() == before
    assert tab.complaints == []


def test_a_constant_of_each_neuron_is_told(tmp_path, opened, digits):
    tab = opened()
    page = tab.open(exhibit(with_own_constants(), tmp_path / "net.html", digits).path)
    assert "One value per neuron: hidden.tau_mem, hidden.v_th" in tab.says(".constants .hint")
    row = page.locator(".knob", has_text="tau_mem").first
    assert row.locator("output").inner_text() == "own"
    row.locator("input").press("ArrowRight")
    assert row.locator("output").inner_text().endswith(" ms")
    row.get_by_role("button").click()
    assert row.locator("output").inner_text() == "own" and tab.complaints == []


def test_one_draws_and_opens_files(tmp_path, opened, digits):
    tab = opened()
    path = written(tmp_path, "latency")
    page = tab.open(path)
    page.get_by_role("button", name="Clear").click()
    paper = page.locator(".fill.paper canvas")
    box = paper.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 180, steps=10)
    page.mouse.up()
    assert tab.says(".said").startswith("Your own input: the network says ")
    assert "no checksum exists" in tab.says(".constants .hint")
    page.get_by_role("button", name="Centre").click()
    assert "Your own input" in tab.says(".said")
    paper.focus()
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    assert "Your own input" in tab.says(".said")
    # The bytes of a sample, as a file of numbers, give the answer that the sample has
    found = page_data(path)
    sample = found["samples"][3]
    own = tmp_path / "own.csv"
    own.write_text(",".join(map(str, base64.b64decode(sample["bytes"]))))
    page.locator("input[type=file]").set_input_files(own)
    page.wait_for_selector(f"text=Your own input: the network says {found['classes'][sample['answer']]}.")
    own.write_text("1, 2, three")
    page.locator("input[type=file]").set_input_files(own)
    page.wait_for_selector("text=The file has something else than numbers.")
    own.write_text("1 2 3")
    page.locator("input[type=file]").set_input_files(own)
    page.wait_for_selector("text=The network reads 64 numbers, the file has 3.")
    own.write_text(",".join(["300", *["0"] * 63]))
    page.locator("input[type=file]").set_input_files(own)
    page.wait_for_selector("text=Numbers must be 0 to 1, or 0 to 255; the file has 300.")
    page.screenshot(path=tmp_path / "own.png")
    page.locator("input[type=file]").set_input_files(tmp_path / "own.png")
    page.wait_for_selector("text=Your own input: the network says ")
    assert tab.complaints == []


def test_a_file_of_events(tmp_path, opened):
    tab = opened()
    path = written(tmp_path, "events")
    page = tab.open(path)
    found = page_data(path)
    sample, step = found["samples"][0], found["input"]["microseconds"]
    when, who = (
        np.frombuffer(base64.b64decode(sample[name]), kind) for name, kind in (("when", "<u2"), ("who", "<u4"))
    )
    own = tmp_path / "own.txt"
    own.write_text("\n".join(f"{int(t) * step + 1} {u}" for t, u in zip(when, who, strict=True)))
    page.locator("input[type=file]").set_input_files(own)
    page.wait_for_selector(f"text=Your own input: the network says {found['classes'][sample['answer']]}.")
    own.write_text(f"{own.read_text()}\n{found['steps'] * step} 0")
    page.locator("input[type=file]").set_input_files(own)
    page.wait_for_selector(f"text=1 of {len(when) + 1} events are at other times or of other units, and left out.")
    assert tab.complaints == []


def spikes_a_sample(words: str) -> float:
    return float(re.search(r"([\d.,]+) spikes a sample", words)[1].replace(",", ""))


def test_a_rate_adds_spikes_to_those_that_are_there(tmp_path, opened):
    tab = opened()
    page = tab.open(written(tmp_path, "rate"))
    assert "random numbers are Python's" in page.locator(".group .hint").first.inner_text()

    before = page.locator(".notes li").nth(1).inner_text()
    page.get_by_role("slider", name="code.max_rate", exact=True).press("End")
    page.wait_for_function("(old) => document.querySelectorAll('.notes li')[1].textContent !== old", arg=before)
    after = page.locator(".notes li").nth(1).inner_text()
    assert spikes_a_sample(after) > spikes_a_sample(before) and tab.complaints == []


def test_a_code_without_a_constant_says_so(tmp_path, opened):
    tab = opened()
    page = tab.open(written(tmp_path, "events"))
    assert page.locator(".group", has_text="input code").inner_text().endswith("this code has no constant.")
    assert page.locator(".group", has_text="input code").locator("input").count() == 0 and tab.complaints == []


def test_a_signal_of_ones_own(tmp_path, opened):
    """The numbers of a sample, as a file, give the answer that the sample has."""
    tab = opened()
    path = written(tmp_path, "delta")
    page, found = tab.open(path), page_data(path)
    sample = found["samples"][4]
    own = tmp_path / "own.csv"
    own.write_text("\n".join(map(repr, np.frombuffer(base64.b64decode(sample["values"]), "<f4").tolist())))
    page.locator("input[type=file]").set_input_files(own)
    page.wait_for_selector(f"text=Your own input: the network says {found['classes'][sample['answer']]}.")
    assert tab.complaints == []


HOSTILE = "</script><img src=x onerror=alert(1)>\"'&\u2028\u2029"


def test_names_are_shown_as_text(tmp_path, opened):
    names = [f"{HOSTILE}{k}" for k in range(10)]
    training = {"readout": "mean", "note<b>": HOSTILE}
    told = {"class_names": names, "title": HOSTILE, "licence": HOSTILE, "command": HOSTILE, "training": training}
    path = exhibit(network("latency"), tmp_path / "net.html", data_of("latency"), **told).path
    tab = opened()
    page = tab.open(path)
    assert page.locator("img, b").count() == 0 and "dialog" not in tab.complaints and tab.complaints == []
    assert page.locator("h1").text_content() == HOSTILE and page.title().startswith("</script><img src=x")
    assert HOSTILE in page.locator("dl").text_content() and HOSTILE in page.locator(".said").text_content()
    assert HOSTILE in page.locator("select option").first.text_content()
    assert "20 of 20 samples" in tab.says(".certificate")


def test_in_a_frame_that_may_only_run_scripts(tmp_path, opened):
    tab = opened()
    inner = written(tmp_path, "latency").read_text(encoding="utf-8")
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<iframe sandbox="allow-scripts" width="1000" height="800" srcdoc="{html.escape(inner)}"></iframe>',
        encoding="utf-8",
    )
    tab.page.goto(outer.as_uri())
    frame = tab.page.frame_locator("iframe")
    frame.locator("body[data-checked]").wait_for()
    assert frame.locator(".certificate").inner_text() == "20 of 20 samples, every spike as in Python"
    assert tab.complaints == []


def test_without_scripts_there_is_a_picture(tmp_path, opened):
    tab = opened(java_script_enabled=False)
    tab.page.goto(written(tmp_path, "latency").as_uri())
    assert tab.page.locator("svg").is_visible() and "Here is a picture of it" in tab.page.locator("body").inner_text()
    assert tab.page.locator("svg path").get_attribute("d").count("M") > 5 and tab.complaints == []


@pytest.mark.parametrize("change", ["weight", "sample"])
def test_a_changed_file_is_told(tmp_path, opened, change):
    """The last bit of a weight that no sample needs; one pixel."""
    path = written(tmp_path, "latency")
    found, text = page_data(path), path.read_text(encoding="utf-8")
    old = found["layers"][0]["weights"] if change == "weight" else found["samples"][0]["bytes"]
    raw = bytearray(base64.b64decode(old))
    raw[0] ^= 1
    path.write_text(text.replace(old, base64.b64encode(raw).decode()), encoding="utf-8")
    tab = opened()
    page = tab.open(path)
    assert "THIS FILE WAS CHANGED" in tab.says(".certificate")
    assert re.search(r"\bbad\b", page.locator(".certificate").get_attribute("class"))


def test_weights_of_eight_bits_are_told(tmp_path, opened):
    tab = opened()
    tab.open(written(tmp_path, "latency", bits=8))
    assert "20 of 20 samples" in tab.says(".certificate") and "WEIGHTS OF 8 BITS" in tab.says(".warning")


def test_everyone_can_use_it(tmp_path, opened):
    """axe finds nothing to object to, in light and in dark."""
    axe = needed("axe_playwright_python.sync_playwright", "browser")
    for scheme in ("light", "dark"):
        tab = opened(color_scheme=scheme, bypass_csp=True)  # axe is a script of its own
        tab.open(written(tmp_path, "latency", overwrite=True))
        results = axe.Axe().run(tab.page)
        assert results.violations_count == 0, results.generate_report()
