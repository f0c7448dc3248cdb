"""Axes, keys and the order of work."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snnlab.errors import ArgumentError
from snnlab.study.space import Space, linear, log


@given(st.floats(1e-3, 1e3), st.floats(1.01, 1e4), st.integers(2, 40))
def test_logarithmic_values_have_equal_ratios(low, ratio, count):
    values = np.array(log(low, low * ratio, count))
    assert values[0] == low and values[-1] == low * ratio and len(values) == count
    exact = low * ratio ** (np.arange(count) / (count - 1))
    gap = np.diff(exact).min()
    assert np.abs(values - exact).max() <= 0.011 * gap and (np.diff(values) > 0).all()


def test_linear_values_of_integers_are_integers_where_they_can_be():
    assert linear(0, 10, 6) == (0, 2, 4, 6, 8, 10) and all(type(value) is int for value in linear(0, 10, 6))
    assert all(type(value) is float for value in linear(0, 1, 3))
    assert linear(3.0, -3.0, 3) == (3.0, 0.0, -3.0)
    assert Space.of({"a": log(1, 10, 3), "b": linear(1, 10, 4)}).axes[0].log
    assert not Space.of({"b": linear(1, 10, 4)}).axes[0].log


@pytest.mark.parametrize(
    ("over", "words"),
    [
        ({}, "over: must name"),
        ([1], "over: must name"),
        ({"a": []}, "'a' has no values"),
        ({"a": [1, 2, 1.0]}, "'a' has the value 1.0 twice"),
        ({"a": "abc"}, "must be a list"),
        ({"a": 3}, "must be a list"),
        ({"a": [object()]}, "must be a number"),
        ({"a": [float("nan")]}, "is NaN"),
        ({3: [1]}, "must be a name"),
        ({"a": range(2000), "b": range(2000)}, "4,000,000 cells"),
    ],
)
def test_bad_axes_are_refused(over, words):
    with pytest.raises(ArgumentError, match=words):
        Space.of(over)


@pytest.mark.parametrize("arguments", [(0, 1, 3), (1, 1, 3), (1, 2, 1), (1, float("inf"), 3), ("a", 2, 3)])
def test_bad_spacings_are_refused(arguments):
    with pytest.raises(ArgumentError):
        log(*arguments)


def test_values_are_plain_and_keys_do_not_depend_on_how_they_are_written():
    one = Space.of({"tau": np.array([1.0, 2.5]), "hidden": [[256, 128], 5], "neuron": ["lif", "alif"]})
    other = Space.of({"neuron": ("alif", "lif"), "hidden": [np.int64(5), (256, 128)], "tau": [2.5, 1]})
    assert one.axes[0].values == (1.0, 2.5) and type(one.axes[0].values[0]) is float
    assert {one.key(index) for index in one} == {other.key(index) for index in other}
    assert one.key((0, 0, 1)) == "hidden=256x128,neuron=alif,tau=1"


@given(st.lists(st.text(max_size=200), min_size=2, max_size=6, unique=True))
def test_keys_are_names_of_folders_and_tell_all_cells_apart(words):
    space = Space.of({"word": words})
    keys = [space.key(index) for index in space]
    assert len(set(keys)) == len(keys)
    assert all(key.isascii() and "/" not in key and 0 < len(key) <= 160 and key not in (".", "..") for key in keys)


@pytest.mark.parametrize("shape", [(16, 16), (8, 4), (5, 3, 2), (1,), (2,), (3, 1), (7, 9)])
def test_the_order_is_coarse_to_fine(shape):
    """Every prefix of the order at which a level ends is a regular grid, each twice as fine as the one before."""
    space = Space.of({f"a{k}": range(size) for k, size in enumerate(shape)})
    order = space.in_order()
    assert sorted(order) == sorted(space)
    found, seen = [], set()
    for index in order:
        seen.add(index)
        places = [sorted({one[k] for one in seen}) for k in range(len(shape))]
        regular = all(len(set(np.diff(place))) <= 1 for place in places)
        if len(seen) == np.prod([len(place) for place in places]) and regular:
            found.append([len(place) for place in places])
    assert found[-1] == list(shape)
    for k, size in enumerate(shape):
        gaps = [size / count[k] for count in found]
        assert any(1.0 <= gap <= 4.0 for gap in gaps)
        assert min(count[k] for count in found if max(count) >= 2 or max(shape) == 1) >= min(size, 1)


def test_a_map_of_16_by_16_begins_with_every_fourth_cell():
    order = Space.of({"a": range(16), "b": range(16)}).in_order()
    assert order[:16] == list(itertools.product([1, 5, 9, 13], repeat=2))
    assert set(order[:64]) == set(itertools.product(range(1, 16, 2), repeat=2))


def test_seeds_come_late():
    order = Space.of({"a": range(8), "seed": [4, 5]}).in_order()
    assert [seed for _, seed in order] == [0] * 8 + [1] * 8
    assert [a for a, _ in order[:8]] == [a for a, _ in order[8:]]


def test_an_index_is_checked():
    space = Space.of({"a": range(3), "b": range(2)})
    assert space.check([2, 1]) == (2, 1)
    for wrong in [(3, 0), (0,), 4, (0, -1), (True, 0)]:
        with pytest.raises(ArgumentError, match="cell"):
            space.check(wrong)
