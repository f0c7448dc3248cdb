"""The scrubber and the tab Time in a real Chromium, without Jupyter: what a hand and a key ask for, what is seen."""

import numpy as np
import pytest
from test_canvases import (  # noqa: F401 (fixtures)
    DARK,
    LIGHT,
    MAIN,
    Page,
    about,
    curves_of,
    rgb,
    run,
    times,
    view,
)

from snnlab.history import History
from snnlab.live.frames import curves, style

SLIDER = ".scrubber"
LEFT, RIGHT = 46, 10  # margins of the curves


def slider(page: Page):
    return page.page.locator(f".snnlab {SLIDER}")


def value(page: Page) -> tuple[int, int]:
    """Where the handle is, and the last step, as a screen reader is told."""
    return tuple(int(slider(page).get_attribute(f"aria-value{end}")) for end in ("now", "max"))


def x_of(page: Page, step: float, high: float = 80, low: float = 0) -> float:
    """Where a step is on the page, from the margins of the curves alone."""
    box = page.page.locator(MAIN).bounding_box()
    return box["x"] + LEFT + (step - low) / (high - low) * (box["width"] - LEFT - RIGHT)


def y_of(page: Page) -> float:
    box = slider(page).bounding_box()
    return box["y"] + 10


def asked(page: Page) -> list:
    """What the page asked the kernel for, since the last call."""
    found = [message.get("ask") or message["do"] for message in page.read("model.sent") if {"ask", "do"} & set(message)]
    page.read("void (model.sent = [])")
    return found


@pytest.mark.smoke
def test_a_drag_asks_for_every_place_and_its_end_for_the_exact_step(view):  # noqa: F811
    page = view().open()
    assert value(page) == (80, 80)
    page.page.mouse.move(x_of(page, 80), y_of(page))
    page.page.mouse.down()
    page.page.mouse.move(x_of(page, 20), y_of(page), steps=6)
    page.page.wait_for_timeout(120)
    glances = asked(page)
    assert {name for name, _ in glances} == {"glance"} and glances[-1] == ["glance", 20] and len(glances) <= 8
    assert value(page)[0] == 20, "the handle follows the hand, not the kernel"
    page.page.mouse.up()
    assert asked(page) == [["rewind", 20]] and value(page)[0] == 20
    page.set(**times(step=16, behind=True))  # an answer to an earlier wish
    assert value(page)[0] == 20
    page.set(**times(step=20, behind=True))
    page.set(**times(step=33, behind=True))  # another page moved it
    assert value(page)[0] == 33


def test_a_drag_to_the_end_returns_to_now_and_leaves_no_branch(view):  # noqa: F811
    page = view().open(**times(step=20, behind=True))
    page.page.mouse.move(x_of(page, 20), y_of(page))
    page.page.mouse.down()
    page.page.mouse.move(x_of(page, 200), y_of(page), steps=3)
    page.page.mouse.up()
    assert asked(page)[-1] == "now" and value(page) == (80, 80)


def test_a_finger_drags_it(view):  # noqa: F811
    """The same with the events of a touch, and the page does not scroll under it."""
    page = view().open()
    assert page.each(SLIDER, "getComputedStyle(el).touchAction") == ["none"]
    for event, step in (("pointerdown", 80), ("pointermove", 40), ("pointerup", 40)):
        at = {"clientX": x_of(page, step), "clientY": y_of(page), "pointerId": 1, "pointerType": "touch"}
        page.page.evaluate(
            "([event, at]) => { const el = document.querySelector('.scrubber'); el.setPointerCapture = () => {};"
            " el.dispatchEvent(new PointerEvent(event, { bubbles: true, ...at })); }",
            [event, at],
        )
    assert asked(page)[-1] == ["rewind", 40]


@pytest.mark.parametrize("window", [(0, 80), (30, 70)])
def test_it_shares_the_axis_of_the_curves(view, window):  # noqa: F811
    """The line over the plots stands where the step is; the track ends with the steps that are seen."""
    low, high = window
    page = view().open(curves=curves_of() | {"range": list(window)}, **times(step=48, behind=True))
    ink = page.ink(style.VERMILION, MAIN, least=40)
    columns = np.array(ink["columns"])
    line = np.flatnonzero(columns > 0.8 * columns.max())
    box = page.page.locator(MAIN).bounding_box()
    wanted = (x_of(page, 48, high, low) - box["x"]) * ink["ratio"]
    assert len(line) and abs(line.mean() + 0.5 - wanted) <= 1.5
    page.page.mouse.click(x_of(page, high, high, low) + 5, y_of(page))
    assert asked(page)[-1] == ("now" if high == 80 else ["rewind", high])
    page.page.mouse.click(x_of(page, low, high, low), y_of(page))
    assert asked(page)[-1] == ["rewind", low]


def test_keys_go_through_time(view):  # noqa: F811
    page = view().open(**times(step=40, behind=True))
    slider(page).focus()
    for key, wanted in (
        ("ArrowLeft", ["rewind", 32]),
        ("ArrowLeft", ["rewind", 24]),
        ("ArrowUp", ["rewind", 25]),
        ("ArrowRight", ["rewind", 32]),
        ("Shift+ArrowLeft", ["rewind", 0]),
        ("Shift+ArrowRight", "now"),
        ("Home", ["rewind", 0]),
        ("End", "now"),
    ):
        page.page.keyboard.press(key)
        assert asked(page) == [wanted], key
    page.page.keyboard.press("Home")
    page.page.keyboard.press("Escape")  # the tooltip
    page.page.keyboard.press("Escape")
    assert asked(page)[-1] == "now"


def test_it_tells_a_screen_reader_where_the_run_is(view):  # noqa: F811
    page = view().open(**times(step=40, behind=True, branches=2))
    told = slider(page)
    assert told.get_attribute("role") == "slider" and told.get_attribute("aria-valuemin") == "0"
    assert told.get_attribute("aria-valuetext") == "step 40 of 80, an earlier moment, branch a"
    page.set(**times())
    assert told.get_attribute("aria-valuetext") == "step 80, branch a"


def test_go_on_and_back_are_offered_only_where_they_act(view):  # noqa: F811
    page = view().open()
    go_on, back = (page.page.locator(f".snnlab [data-do={name}]") for name in ("go_on", "now"))
    assert not go_on.is_visible() and not back.is_visible()
    page.set(**times(step=40, behind=True))
    go_on.click()
    back.click()
    assert asked(page) == ["go_on", "now"]


def test_ghosts_begin_where_they_left_and_end_in_the_legend(view):  # noqa: F811
    nothing = curves.curves_frame(History(), 80, 800, "all steps")  # of the trunk, which would lie over them
    page = view().open(curves=nothing, **times(branches=3))
    box = page.page.locator(MAIN).bounding_box()
    for k in (1, 2):
        ink = page.ink(style.of_branch(k).colour, MAIN, least=100)
        drawn = np.flatnonzero(ink["columns"])
        drawn = drawn[drawn > 80 * ink["ratio"]]  # right of the legend
        assert drawn.max() - drawn.min() > 40
        left = (x_of(page, 10 * k) - box["x"]) * ink["ratio"]
        assert abs(drawn.min() - left) <= 8, "a dot where it left, and its curve from there"
    assert {"b", "c"} <= set(page.written(MAIN))
    page.set(**times(step=40, behind=True))
    assert "a, later" in page.written(MAIN)
    assert page.written(MAIN).count("a") >= 1, "its letter at its end"


def test_a_branch_is_chosen_by_click_key_or_lane(view):  # noqa: F811
    page = view().open(**times(branches=3))
    page.tab("Time")
    button = page.page.get_by_role("button", name="branch b")
    button.click()
    assert asked(page) == [["switch", "b"]]
    button.focus()
    page.page.keyboard.press("Enter")
    assert asked(page) == [["switch", "b"]]
    lanes = page.page.locator(".snnlab .lanes canvas").bounding_box()
    page.page.mouse.click(lanes["x"] + 100, lanes["y"] + 6 + 2.5 * 20)
    assert asked(page) == [["switch", "c"]]
    assert page.each("[aria-current=true]", "el.dataset.branch") == ["a"]
    cells = page.page.locator(".snnlab .timetab tbody tr").nth(1).locator("td, th").all_inner_texts()
    assert [cell.strip() for cell in cells][1:5] == ["b", "a \u00b7 10", "80", "v_th 0.6"]


def test_two_are_selected_and_run(view):  # noqa: F811
    page = view().open(**times(branches=3))
    page.tab("Time")
    both = page.page.locator(".snnlab [data-do=run_both]")
    assert both.is_disabled()
    page.page.get_by_role("checkbox", name="select c").check()
    assert both.is_disabled()
    page.page.get_by_role("checkbox", name="select a").check()
    page.set(**times(branches=3, in_turn=("a", "c")))  # pictures come meanwhile
    both.click()
    assert asked(page) == [["run_both", ["a", "c"]]]


def test_memory_is_shown_and_can_be_set(view):  # noqa: F811
    page = view().open()
    page.tab("Time")
    field = page.page.get_by_role("spinbutton", name="memory in MB")
    assert field.input_value() == "64" and "12.3 of" in page.page.locator(".snnlab .timetab .fields").inner_text()
    field.fill("20.5")
    field.press("Enter")
    assert asked(page) == [["budget", 20.5e6]]


def test_a_run_without_a_step_has_nothing_to_drag(view):  # noqa: F811
    empty = times()
    empty["times"] |= {"step": 0, "tip": 0, "kept": b""}
    page = view().open(**empty)
    assert slider(page).get_attribute("aria-disabled") == "true"
    page.page.mouse.click(x_of(page, 30), y_of(page))
    assert asked(page) == []


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_a_drawing_of_the_curves_has_the_scrubber(view, colours):  # noqa: F811
    """What is saved shows the same marks: the star of the best epoch and the line of the moment."""
    page = view().open(colours, **times(step=40, behind=True, branches=2))
    page.page.locator(".snnlab .main summary").click()
    with page.page.expect_download() as download:
        page.page.locator(".snnlab .main .menu button", has_text="SVG").click()
    drawing = download.value.path().read_text(encoding="utf-8")
    assert style.VERMILION in drawing and "step 40" in drawing and ">b<" in drawing
