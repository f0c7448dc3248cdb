"""Everything on the screen explains itself, to the pointer and to the keyboard: a real Chromium, without Jupyter."""

import pytest
from test_canvases import DARK, LIGHT, Page, about, health, raster, run, view  # noqa: F401 (fixtures)
from tiers import needed

TABS = ("Learn", "Look inside", "Health", "Errors", "Weights", "Time", "Run")
CONTROLS = "button, select, input, summary"
TIP = ".snnlab .tip"
# What describes an element to a screen reader, and whether the tooltip is inside the screen and on top.
SHOWN = """() => {
  const tip = document.querySelector(".snnlab .tip"), el = document.activeElement;
  const box = tip.getBoundingClientRect(), screen = document.querySelector(".snnlab .screen").getBoundingClientRect();
  const seen = tip.matches(":popover-open") && !tip.hidden;
  return {
    seen, of: el.dataset.explain ?? "", described: seen && el.getAttribute("aria-describedby") === tip.id,
    name: el.ariaLabel ?? el.textContent, words: tip.innerText,
    inside: box.left >= screen.left && box.right <= screen.right && box.top >= screen.top
      && box.bottom <= screen.bottom,
    covers: tip.contains(document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2)),
    focused: (({ left, top, right, bottom }) => Math.min(right, box.right) > Math.max(left, box.left)
      && Math.min(bottom, box.bottom) > Math.max(top, box.top))(el.getBoundingClientRect()),
  };
}"""


def shown(page: Page) -> dict:
    return page.page.evaluate(SHOWN)


def tip(page: Page) -> str:
    """The words of the tooltip; empty if there is none."""
    return page.page.evaluate(
        "() => { const t = document.querySelector('.snnlab .tip'); return t.hidden ? '' : t.innerText; }"
    )


@pytest.mark.smoke
def test_every_control_has_an_explanation_and_no_second_tooltip(view):  # noqa: F811
    page = view().open(health=health(), **raster(unit=0))
    table = about()["explained"]
    for tab in TABS:
        page.tab(tab)
        controls = page.each(
            f":is({CONTROLS}):not([hidden])",
            "[el.dataset.explain ?? null, el.hasAttribute('title'), el.outerHTML.slice(0, 200)]",
        )
        controls = [(key, title, html) for key, title, html in controls if "close" not in html]
        outside = [html for key, _, html in controls if key not in table]
        assert [html for html in outside if not any(word in html for word in ("Back", "Next", "End"))] == []  # the tour
        assert [html for _, title, html in controls if title] == []


@pytest.mark.parametrize("size", [(1050, 760), (600, 760)])
def test_the_keyboard_shows_it_at_once(view, size):  # noqa: F811
    """From control to control with Tab: the tooltip of each is there, described, inside the screen and on top of it."""
    page = view()
    page.page.set_viewport_size({"width": size[0], "height": size[1]})
    page.open(health=health(), run=run())
    page.tab("Run")
    page.page.locator(".snnlab [data-do=transport]").focus()
    page.page.keyboard.press("Shift+Tab")
    found = set()
    for _ in range(70):
        page.page.keyboard.press("Tab")
        now = shown(page)
        if now["of"]:
            assert now["seen"] and now["described"] and now["inside"] and now["covers"] and not now["focused"], now
            sentence, equation = about()["explained"][now["of"]]
            assert sentence in now["words"] and equation in now["words"]
            found.add(now["of"])
        else:
            assert not now["seen"], now
    assert {"knob.v_th", "head.start", "raster.sorted by", "curves.smooth", "run.export", "fact.state"} <= found
    assert {"panel.explain", "restart.hidden", "tab.Run", "run.compilations"} <= found


def test_escape_hides_it_and_nothing_else(view):  # noqa: F811
    page = view().open()
    field = page.page.locator("[data-knob='hidden.v_th'] input[type=number]")
    page.page.locator("[data-knob='hidden.v_th'] input[type=range]").focus()
    page.page.keyboard.press("Tab")
    field.fill("2")
    assert "Threshold" in tip(page) and "hidden.v_th" in tip(page)
    page.page.keyboard.press("Escape")
    assert tip(page) == "" and field.input_value() == "2" and field.get_attribute("aria-describedby") is None
    page.page.keyboard.press("Escape")
    assert field.input_value() == "1"


def test_facts_are_one_stop_with_arrows(view):  # noqa: F811
    page = view().open()
    page.page.locator(".snnlab .facts [tabindex='0']").focus()
    seen = []
    for _ in range(6):
        page.page.keyboard.press("ArrowRight")
        seen.append(shown(page)["of"])
    assert seen == [f"fact.{name}" for name in ("epoch", "step", "samples per second", "time left", "score", "state")]
    page.set(run=run(said="something else"))
    assert shown(page)["seen"], "what is explained stays, whatever the kernel says meanwhile"
    assert len(page.each(".facts [tabindex='0']", "1")) == 1


def point(page: Page, selector: str, x: float, y: float) -> None:
    box = page.page.locator(f".snnlab {selector}").first.bounding_box()
    page.page.mouse.move(box["x"] + x, box["y"] + y, steps=2)


def test_the_pointer_shows_it_after_a_while(view):  # noqa: F811
    """It can be pointed at itself, goes when one leaves or presses, and there is never another one."""
    page = view().open()
    page.page.hover("[data-knob='hidden.v_th'] .name")
    assert tip(page) == ""
    page.page.wait_for_selector(TIP)
    assert "hidden.v_th Threshold" in tip(page) and "s = H(v - v_th)" in tip(page)
    point(page, ".tip", 30, 12)
    page.page.wait_for_timeout(600)
    assert tip(page) != "", "it stays while one points at it"
    page.page.hover(".snnlab .main canvas", position={"x": 100, "y": 60})
    page.page.wait_for_selector(TIP, state="hidden")
    page.page.hover(".snnlab [data-do=reset]")
    page.page.wait_for_selector(TIP)
    page.page.mouse.down()
    assert tip(page) == ""
    page.page.mouse.up()


def test_a_disabled_button_is_explained(view):  # noqa: F811
    page = view().open()
    assert page.page.locator(".snnlab [data-do=step]").is_disabled()
    point(page, "[data-do=step]", 20, 10)
    page.page.wait_for_selector(TIP)
    assert "Takes one step" in tip(page)


def test_what_is_drawn_is_explained(view):  # noqa: F811
    """Titles and legends in canvases: of curves, terms of the loss, the raster, the voltages, the health."""
    page = view().open(health=health(), **raster(unit=0))
    drawn = "el.getContext('2d').explained.map((one) => [one.key, one.box.x + 8, one.box.y + one.box.height / 2])"
    for canvas, tab, wanted in (
        (".main canvas", "Learn", {"curves.score", "curves.loss"}),
        (".raster canvas", "Learn", {"raster.sample", "raster.input", "raster.spikes", "raster.readout"}),
        (".voltages canvas", "Learn", {"voltages.voltages"}),
        (
            "canvas[aria-label^=Curves]:not(.main canvas)",
            "Learn",
            {"term.cross_entropy", "term.l1", "learn.gradient norm"},
        ),
        ("canvas[aria-label^=Health]", "Health", {"health.dead", "health.saturated", "health.gradient norm"}),
        ("canvas[aria-label^='Voltage and']", "Look inside", {"inside.voltage", "inside.weights"}),
    ):
        page.tab(tab)
        (areas,) = page.each(canvas, drawn)
        assert wanted <= {key for key, _, _ in areas}, canvas
        for key, x, y in areas:
            if key not in wanted:
                continue
            page.page.locator(f".snnlab {canvas}").evaluate("(el, y) => { el.parentElement.scrollTop = y - 40; }", y)
            page.page.mouse.move(1, 1)
            page.page.wait_for_selector(TIP, state="hidden")
            point(page, canvas, x, y)
            page.page.wait_for_selector(TIP)
            assert about()["explained"][key][0] in tip(page), key
            assert page.each(canvas, "el.style.cursor") == ["help"]


def test_a_list_of_all_that_a_panel_explains(view):  # noqa: F811
    """The button "?" opens it, Escape closes it, and the focus returns; the tab that is seen has its own."""
    page = view().open(health=health())
    page.tab("Health")
    button = page.page.get_by_role("button", name="explain this panel: Health")
    button.focus()
    page.page.keyboard.press("Enter")
    dialog = page.page.get_by_role("dialog", name="Health, explained")
    assert dialog.is_visible() and button.get_attribute("aria-expanded") == "true"
    names = dialog.locator("dt").all_inner_texts()
    assert {"dead", "saturated", "gradient norm", "backward signal"} <= set(names) and "Errors" not in names
    page.page.keyboard.press("Escape")
    assert not dialog.is_visible() and page.read("document.activeElement.ariaLabel") == "explain this panel: Health"
    for name, wanted in (("Raster", "readout"), ("Knobs", "v_th"), ("Curves", "loss"), ("Run", "time left")):
        page.page.get_by_role("button", name=f"explain this panel: {name}").click()
        assert wanted in page.page.locator(".snnlab .explanations dt").all_inner_texts()
    page.page.mouse.click(5, 5)
    page.page.locator("[data-knob='hidden.v_th'] input[type=number]").click()
    assert page.page.locator(".snnlab .explanations").is_hidden()
    assert page.read("document.activeElement.type") == "number", "the focus stays where one has clicked"


@pytest.mark.parametrize("only", ["head", "knobs", "raster", "curves", "voltages", "health", "weights", "time", "run"])
def test_a_part_alone_explains_itself(view, only):  # noqa: F811
    """It may be lower than a tooltip, which is seen whole all the same."""
    page = view().open(about=about() | {"only": only}, health=health())
    page.page.locator(".snnlab .ask").focus()
    page.page.keyboard.press("Shift+Tab")
    page.page.keyboard.press("Tab")
    box = page.page.locator(TIP).bounding_box()
    assert "Explains everything" in tip(page)
    assert box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 1050 and box["y"] + box["height"] <= 760
    assert shown(page)["covers"] and not shown(page)["focused"]
    page.page.keyboard.press("Enter")
    assert len(page.page.locator(".snnlab .explanations dt").all_inner_texts()) > 0


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_axe_finds_nothing_in_what_explains(view, colours):  # noqa: F811
    axe = needed("axe_playwright_python.sync_playwright", "browser").Axe()
    page = view().open(colours, health=health())
    page.page.get_by_role("button", name="explain this panel: Curves").click()
    page.page.wait_for_timeout(100)
    for _ in range(2):
        found = axe.run(page.page, context="#here").response
        assert [(found["id"], found["nodes"][0]["html"]) for found in found["violations"]] == []
        page.page.keyboard.press("Escape")
        page.page.get_by_role("button", name="tour").click()
        page.page.wait_for_timeout(300)
