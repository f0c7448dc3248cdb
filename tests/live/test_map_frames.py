"""The map of a study, from hand-made cells: what each place shows, its lines, its words, what a page is sent."""

import math
import statistics
from xml.etree import ElementTree

import numpy as np
import pytest
from studies_made import EPOCHS, HIDDEN, SEEDS, TAU, THRESHOLD, done, point, random_study, rows

from snnlab.errors import ArgumentError
from snnlab.history import Scored
from snnlab.live.frames.map_grid import (
    FATES,
    View,
    changed,
    checked_view,
    first_view,
    grid,
    questions,
    space,
)
from snnlab.live.frames.map_lines import contour, front
from snnlab.live.frames.map_pace import Pace
from snnlab.live.frames.map_sent import Sent
from snnlab.live.frames.map_words import (
    Standing,
    about_map,
    drawn_map,
    facts,
    level_below,
    progress,
    score_scale,
    spike_scale,
    state_map,
    table,
)
from snnlab.live.frames.running import Said
from snnlab.live.still.study_map import study_picture
from snnlab.study.cells import Axis, Cell, Fate, Row
from snnlab.support.palette import HIGH_IS_BRIGHT, LOW_IS_BRIGHT, shades

AXES = (TAU, THRESHOLD, HIDDEN, SEEDS)


def shown(standing: Standing, view: View):
    return grid(standing.axes, space(standing.axes, standing.cells), view, standing.epochs)


# ---- places ----


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 3, 0, 1)])
@pytest.mark.parametrize("fixed", [0, 1, None])
def test_a_place_is_the_median_of_its_seeds(order, fixed):
    """For any order of the axes; of an axis that is not shown one value, or the one with the highest median."""
    axes = tuple(AXES[k] for k in order)
    standing = random_study(axes, seed=sum(order))
    drawn = shown(standing, View("tau_mem", "v_th", {"hidden": fixed}))
    by_point = {tuple(sorted(cell.point.items())): cell for cell in standing.cells}

    def results(tau, v_th, hidden):
        cells = [
            by_point[tuple(sorted({"tau_mem": tau, "v_th": v_th, "hidden": hidden, "seed": seed}.items()))]
            for seed in SEEDS.values
        ]
        return [cell.rows[-1] for cell in cells if cell.rows]

    assert drawn.shape == (3, 5)
    for row, v_th in enumerate(THRESHOLD.values):
        for column, tau in enumerate(TAU.values):
            of_hidden = [results(tau, v_th, hidden) for hidden in HIDDEN.values]
            if fixed is None:
                known = [r for r in of_hidden if r]
                best = max(known, key=lambda r: statistics.median(x.accuracy for x in r)) if known else []
            else:
                best = of_hidden[fixed]
            if not best:
                assert np.isnan(drawn.accuracy[row, column]).all()
                continue
            for values, name in ((drawn.accuracy, "accuracy"), (drawn.spikes, "spikes")):
                one = [getattr(result, name) for result in best]
                np.testing.assert_allclose(values[row, column], [statistics.median(one), min(one), max(one)])


def test_the_typical_seed_is_nearest_to_the_median():
    axes = (TAU, SEEDS)
    cells = [done(axes, (2, k), score, 10.0) for k, score in enumerate((0.5, 0.9, 0.8))]
    drawn = shown(Standing(axes, tuple(cells), EPOCHS), View("tau_mem"))
    assert drawn.typical[0].tolist() == [0, 3, 8, 9, 12] and drawn.base[0].tolist() == [0, 3, 6, 9, 12]


@pytest.mark.parametrize(
    ("fates", "together"),
    [
        ("", "absent"),
        ("waiting waiting waiting", "waiting"),
        ("waiting done waiting", "running"),
        ("running waiting waiting", "running"),
        ("done done done", "done"),
        ("done done stopped", "done"),
        ("done stopped stopped", "stopped"),
        ("done done failed", "failed"),
        ("waiting running failed", "failed"),
    ],
)
def test_where_the_seeds_of_a_place_stand(fates, together):
    axes = (Axis("v_th", (1.0,)), SEEDS)
    cells = tuple(Cell((0, k), {}, Fate(fate)) for k, fate in enumerate(fates.split()))
    assert FATES[shown(Standing(axes, cells, EPOCHS), View("v_th")).fate[0, 0]] == together


def test_what_failed_or_diverged_is_no_result():
    axes = (Axis("v_th", (1.0, 2.0)), SEEDS)
    cells = (
        done(axes, (0, 0), 0.9, 5.0, fate=Fate.FAILED),
        done(axes, (0, 1), 0.7, 7.0),
        done(axes, (1, 0), 0.8, 6.0, finding="diverged"),
        done(axes, (1, 1), math.nan, math.nan),
    )
    drawn = shown(Standing(axes, cells, EPOCHS), View("v_th"))
    np.testing.assert_allclose(drawn.accuracy[0, 0], [0.7] * 3)
    assert np.isnan(drawn.accuracy[0, 1]).all() and np.isnan(drawn.spikes[0, 1]).all()


@pytest.mark.parametrize(("count", "said"), [(1, 0), (2, 1), (3, 1)])
def test_a_finding_counts_if_half_of_the_seeds_have_it(count, said):
    axes = (Axis("v_th", (1.0,)), SEEDS)
    cells = tuple(done(axes, (0, k), 0.1, 0.0, finding="silent" if k < count else "") for k in range(3))
    assert shown(Standing(axes, cells, EPOCHS), View("v_th")).finding[0, 0] == said


def test_progress_counts_the_epochs_of_all_seeds():
    axes = (Axis("v_th", (1.0,)), SEEDS)
    cells = (done(axes, (0, 0), 0.5, 1.0), Cell((0, 1), {}, Fate.RUNNING, rows(0.2, 1.0)[:1]), Cell((0, 2), {}))
    assert shown(Standing(axes, cells, EPOCHS), View("v_th")).progress[0, 0] == pytest.approx((4 + 1) / 12)


# ---- which axes ----


def test_choosing_the_other_axis_swaps_them():
    view = first_view(AXES)
    assert (view.x, view.y, view.fixed) == ("tau_mem", "v_th", {"hidden": None})
    swapped = checked_view(view, {"x": "v_th"}, AXES)
    assert (swapped.x, swapped.y) == ("v_th", "tau_mem")
    assert checked_view(view, {"y": "tau_mem"}, AXES) == swapped
    one = checked_view(view, {"y": None}, AXES)
    assert (one.x, one.y, set(one.fixed)) == ("tau_mem", None, {"v_th", "hidden"})
    back = checked_view(one, {"y": "tau_mem"}, AXES)
    assert back.y == "tau_mem" and back.x != "tau_mem"


@pytest.mark.parametrize(
    "changes",
    [
        {"x": "seed"},
        {"x": 3},
        {"x": ["tau_mem"]},
        {"x": "tau_mem", "y": "tau_mem"},
        {"fixed": {"hidden": 2}},
        {"fixed": {"hidden": -1}},
        {"fixed": {"hidden": 0.5}},
        {"fixed": {"nonsense": 0}},
        {"fixed": [0]},
        {"level": math.nan},
        {"level": "high"},
        {"contour": 1},
        {"nonsense": True},
    ],
)
def test_what_cannot_be_shown_is_refused(changes):
    with pytest.raises(ArgumentError):
        checked_view(first_view(AXES), changes, AXES)


def test_a_study_of_seeds_alone_has_a_map():
    axes = (SEEDS,)
    assert [axis.name for axis in questions(axes)] == ["seed"]
    drawn = shown(random_study(axes, missing=0.0), first_view(axes))
    assert drawn.shape == (1, 3) and np.isfinite(drawn.accuracy).all()
    assert about_map(random_study(axes))["seeds"] == []


def test_an_axis_with_one_value_is_not_shown_first():
    axes = (Axis("hidden", (50,)), TAU, THRESHOLD)
    assert (first_view(axes).x, first_view(axes).y) == ("tau_mem", "v_th")


# ---- lines ----


def crossings(values: np.ndarray, level: float) -> set[tuple[float, float]]:
    """Where a value between two neighbours is at the level, if both belong to a square without gaps: by brute force."""
    found = set()
    rows_, columns = values.shape
    for y in range(rows_ - 1):
        for x in range(columns - 1):
            if not np.isfinite(values[y : y + 2, x : x + 2]).all():
                continue
            for y0, x0, y1, x1 in (
                (y, x, y, x + 1),
                (y + 1, x, y + 1, x + 1),
                (y, x, y + 1, x),
                (y, x + 1, y + 1, x + 1),
            ):
                a, b = values[y0, x0], values[y1, x1]
                if (a >= level) != (b >= level):
                    share = (level - a) / (b - a)
                    found.add((round(x0 + share * (x1 - x0), 9), round(y0 + share * (y1 - y0), 9)))
    return found


@pytest.mark.parametrize("seed", range(8))
def test_a_contour_goes_through_every_crossing_once(seed):
    rng = np.random.default_rng(seed)
    values = rng.random((7, 11))
    values[rng.random(values.shape) < 0.08] = np.nan
    lines = contour(values, 0.5)
    points = [
        tuple(np.round(at, 9)) for line in lines for at in (line[:-1] if np.allclose(line[0], line[-1]) else line)
    ]
    assert set(points) == crossings(values, 0.5)
    assert len(points) == len(set(points))
    for line in lines:  # from one edge of a square to another one
        assert (np.abs(np.diff(line, axis=0)) <= 1.0 + 1e-9).all() and len(line) >= 2


def test_a_contour_of_a_plane_and_of_a_peak():
    y, x = np.mgrid[0:5, 0:7].astype(float)
    (line,) = contour(2 * x + y, 6.5)
    np.testing.assert_allclose(2 * line[:, 0] + line[:, 1], 6.5)
    (ring,) = contour(-((x - 3) ** 2) - (y - 2) ** 2, -2.0)
    np.testing.assert_allclose(ring[0], ring[-1])
    assert contour(x, 9.0) == [] and contour(np.full((3, 3), np.nan), 0.0) == []


def test_a_saddle_is_cut_as_its_middle_says():
    """Two high corners that face each other are joined if the mean of all four is high."""
    for low, joined in ((0.4, True), (0.0, False)):
        lines = contour(np.array([[1.0, low], [low, 1.0]]), 0.6)
        assert ((1.0 + low) / 2 >= 0.6) is joined and len(lines) == 2
        side = [((line[:, 0] - line[:, 1]) > 0).all() or ((line[:, 0] - line[:, 1]) < 0).all() for line in lines]
        assert all(side) is joined, "no line crosses the diagonal of the high corners if they are joined"


@pytest.mark.parametrize("seed", range(6))
def test_the_front_is_what_nothing_beats(seed):
    rng = np.random.default_rng(seed)
    score, spikes = np.round(rng.random(40), 1), np.round(rng.random(40), 1)
    score[rng.random(40) < 0.1] = np.nan
    spikes[rng.random(40) < 0.1] = np.inf
    known = [k for k in range(40) if np.isfinite(score[k]) and np.isfinite(spikes[k])]

    def beats(a, b):
        no_worse = score[a] >= score[b] and spikes[a] <= spikes[b]
        return no_worse and (score[a] > score[b] or spikes[a] < spikes[b] or a < b)

    wanted = {b for b in known if not any(beats(a, b) for a in known if a != b)}
    found = front(score, spikes)
    assert set(found.tolist()) == wanted
    assert (np.diff(spikes[found]) > 0).all() and (np.diff(score[found]) > 0).all()


# ---- scales and words ----


def test_the_scales_hold_all_that_is_known():
    standing = random_study(AXES, missing=0.5)
    drawn = shown(standing, first_view(AXES))
    low, high = score_scale(drawn)
    assert 0.0 <= low <= np.nanmin(drawn.accuracy) and np.nanmax(drawn.accuracy) <= high <= 1.0
    low, high = spike_scale(drawn)
    assert 0 < low < high and high >= np.nanmax(drawn.spikes) and low <= max(np.nanmin(drawn.spikes), 0.1)
    assert round(math.log10(high) % 1, 6) in [round(math.log10(k), 6) for k in (1, 2, 5)]
    nothing = shown(Standing(AXES, (), EPOCHS), first_view(AXES))
    assert score_scale(nothing) == (0.0, 1.0) and spike_scale(nothing) == (1.0, 100.0)


@pytest.mark.parametrize("ends", [HIGH_IS_BRIGHT, LOW_IS_BRIGHT])
def test_colours_are_in_order_without_colour_and_for_the_colour_blind(ends):
    """Lightness L* of the colour itself, and as seen without long or without middle wavelengths.

    Viénot, Brettel & Mollon (1999), DOI 10.1002/(SICI)1520-6378(199908)24:4<243::AID-COL5>3.0.CO;2-3.
    """
    to_cones = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    without_red = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    without_green = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    colours = [[int(shade[k : k + 2], 16) / 255 for k in (1, 3, 5)] for shade in shades(ends)]
    linear = np.array(
        [[c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour] for colour in colours]
    )
    for seen in (np.eye(3), without_red, without_green):
        rgb = linear @ (np.linalg.inv(to_cones) @ seen @ to_cones).T
        luminance = rgb @ [0.2126, 0.7152, 0.0722]
        steps = np.diff(116 * np.cbrt(np.maximum(luminance, 1e-4)) - 16)
        assert (steps > 0.5).all() or (steps < -0.5).all()


def test_the_head_counts_networks():
    axes = (TAU,)
    cells = (
        done(axes, (0,), 0.9, 9.0),
        done(axes, (1,), 0.1, 0.0, fate=Fate.STOPPED, why="silent"),
        done(axes, (2,), 0.1, 0.0, fate=Fate.FAILED, why="no memory"),
        Cell((3,), {}, Fate.RUNNING, rows(0.4, 3.0)[:2], computing=True),
        Cell((4,), {}),
    )
    standing = Standing(axes, cells, EPOCHS, "running", speed=0.125, left=3700)
    words = [said for _, said in facts(standing)]
    assert words == [
        "3 of 5 networks",
        "1 running",
        "1 stopped",
        "1 failed",
        "0.125 networks/s",
        "62 min left",
        "running",
    ]
    assert progress(standing) == pytest.approx((3 * 4 + 2) / 20)
    assert progress(Standing(axes, (), EPOCHS)) == 0.0
    ended = state_map(standing._replace(state="error", error="OSError: disk full"), Said("something"))
    assert ended["said"] == {"text": "ended by OSError: disk full", "warning": True}


def test_the_map_says_what_it_shows():
    standing = random_study(AXES, missing=0.0)._replace(score=Scored("val", "accuracy"))
    view = first_view(AXES)
    words = drawn_map(standing, view, shown(standing, view))["words"]
    for part in ("validation accuracy and spikes a sample over tau_mem [ms], log scale x v_th", "best of 2 hidden"):
        assert part in words
    assert "median of 3 seeds" in words and "Pareto front of" in words


def test_the_level_of_the_contour_is_one_that_is_reached():
    for seed in range(5):
        drawn = shown(random_study(AXES, seed), first_view(AXES))
        level = level_below(drawn, score_scale(drawn))
        scores = drawn.accuracy[..., 0]
        assert (scores[np.isfinite(scores)] >= level).sum() >= 2
        assert level > np.nanmax(scores) - 0.5


def test_the_table_has_every_network():
    axes = (TAU, SEEDS)
    standing = random_study(axes)
    lines = table(axes, standing.cells).splitlines()
    assert len(lines) == 1 + 15 and lines[0].startswith("tau_mem,seed,fate,epochs")
    first = done(axes, (0, 0), 0.5, 2.0, why='a "reason", with signs')
    assert table(axes, [first]).splitlines()[1].endswith('"a ""reason"", with signs"')


def test_pace_forgets_a_pause():
    pace = Pace(epochs=4)
    cells = list(random_study((TAU,), missing=0.0).cells)
    waiting = [Cell(cell.index, cell.point) for cell in cells]
    pace.note(0.0, waiting)
    assert pace.speed is None
    pace.note(2.0, [*cells[:2], *waiting[2:]])
    assert pace.speed == pytest.approx(1.0) and pace.left == pytest.approx(3.0)
    pace.forget()
    assert pace.speed is None and pace.left is None


# ---- what a page is sent ----


def test_news_make_of_the_old_map_the_new_one():
    """A page that takes the news knows what a page is sent that opens now; nothing else is sent."""
    axes, rng = AXES, np.random.default_rng(1)
    standing = Standing(axes, tuple(Cell(i, point(axes, i)) for i in np.ndindex(5, 3, 2, 3)), EPOCHS)
    view = first_view(axes)
    sent = Sent(standing, view)
    values = np.frombuffer(sent.places()["values"], np.float32).reshape(-1, 12).copy()
    known: dict[float, list] = {}
    cells = list(standing.cells)
    for _ in range(30):
        for k in rng.integers(len(cells), size=4):
            old = cells[k]
            after = (*old.rows, Row(len(old.rows) + 1, 9, 1.0, float(rng.random()), float(rng.random())))[:EPOCHS]
            fate = Fate.DONE if len(after) == EPOCHS else Fate.RUNNING
            cells[k] = Cell(old.index, old.point, fate, after, computing=bool(rng.random() < 0.3))
        before = values.copy()
        news = sent.take(standing._replace(cells=tuple(cells)), view)
        if news is None:
            continue
        assert not news.view and len(news.cells) <= 4 and len(news.rows) <= 4 and len(news.places) <= 4
        values[news.places[:, 0].astype(int)] = news.places[:, 1:]
        assert len(changed(before, values)) == len(news.places)
        for number, *row in news.rows.tolist():
            known.setdefault(number, []).append(row)
        message, parts = news.message()
        assert message["news"] == sent.version and sum(map(len, parts)) <= 4 * (4 * 13 + 4 * 4 + 4 * 5)
    whole = sent.places()
    np.testing.assert_array_equal(values, np.frombuffer(whole["values"], np.float32).reshape(-1, 12))
    rows_ = np.frombuffer(sent.cells()["rows"], np.float32).reshape(-1, 5)
    assert sorted(map(tuple, rows_.tolist())) == sorted(
        (number, *row) for number, all_ in known.items() for row in all_
    )


def test_a_cell_that_goes_back_is_sent_from_its_beginning():
    axes = (TAU,)
    standing = random_study(axes, missing=0.0)
    sent = Sent(standing, first_view(axes))
    again = Cell((0,), {}, Fate.RUNNING, standing.cells[0].rows[:2])
    news = sent.take(standing._replace(cells=(again, *standing.cells[1:])), first_view(axes))
    assert news is not None and news.rows[:, 1].tolist() == [1.0, 2.0]


def test_another_view_is_sent_anew_and_a_level_is_not():
    standing = random_study(AXES)
    sent = Sent(standing, first_view(AXES))
    level = checked_view(first_view(AXES), {"level": 0.5}, AXES)
    news = sent.take(standing, level)
    assert news is not None and not news.view and not len(news.places) and sent.drawn["view"]["level"] == 0.5
    turned = sent.take(standing, checked_view(level, {"x": "v_th"}, AXES))
    assert turned is not None and turned.view and sent.places()["shape"] == [5, 3]


# ---- the picture ----

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("axes", [AXES, (TAU, SEEDS), (TAU, THRESHOLD), (SEEDS,)])
def test_the_picture_says_every_place(axes):
    standing = random_study(axes)
    root = ElementTree.fromstring(study_picture(standing))
    titles = [title.text or "" for title in root.iter(f"{SVG}title")]
    assert "and spikes a sample" in titles[0] and (root.find(f"{SVG}desc").text or "").count(";") >= 2
    view = first_view(axes)
    drawn = shown(standing, view)
    if view.y is not None:
        assert sum(words.startswith("tau_mem ") for words in titles) == 2 * drawn.fate.size
    assert root.attrib["role"] == "img" and not list(root.iter(f"{SVG}script"))


def test_the_picture_shows_every_sign_and_its_key():
    axes = (TAU, THRESHOLD)
    cells = [
        done(axes, (0, 0), 0.1, 0.0, finding="silent", fate=Fate.STOPPED),
        done(axes, (1, 0), 0.3, 300.0, finding="saturated"),
        done(axes, (2, 0), math.nan, math.nan, finding="diverged", fate=Fate.STOPPED),
        done(axes, (3, 0), 0.8, 30.0, fate=Fate.FAILED),
        Cell((4, 0), {}, Fate.RUNNING, rows(0.5, 20.0)[:2], computing=True),
        *(done(axes, (k, 1), 0.6 + 0.1 * (k % 3), 20.0 + k) for k in range(4)),
        Cell((4, 1), {}),
    ]
    text = study_picture(Standing(axes, tuple(cells), EPOCHS))
    words = [element.text for element in ElementTree.fromstring(text).iter(f"{SVG}text")]
    for sign in ("silent", "saturated", "diverged", "waiting", "stopped", "failed", "Pareto front"):
        assert sign in words
    assert study_picture(Standing(axes, tuple(cells), EPOCHS)) == text
    assert "tau_mem 1 ms, v_th 0.5: 10.0%, 0 spikes a sample, stopped, silent" in text


def test_nothing_known_is_drawn_too():
    standing = Standing(AXES, tuple(Cell(i, point(AXES, i)) for i in np.ndindex(5, 3, 2, 3)), EPOCHS)
    ElementTree.fromstring(study_picture(standing))
    ElementTree.fromstring(study_picture(Standing(AXES, (), EPOCHS)))
