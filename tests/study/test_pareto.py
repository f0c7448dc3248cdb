"""The front by its definition, cell by cell."""

from hills import row
from hypothesis import given
from hypothesis import strategies as st

from snnlab.study.cells import Axis, Cell, Fate
from snnlab.study.pareto import Choice, choices, front

LEVELS = st.sampled_from([0.1, 0.2, 0.5, 0.9])


@given(st.lists(st.tuples(LEVELS, st.sampled_from([0.0, 5.0, 10.0, 20.0])), max_size=12))
def test_the_front_is_what_nothing_beats(values):
    found = [Choice({"k": k}, accuracy, spikes, ()) for k, (accuracy, spikes) in enumerate(values)]

    def beats(one: Choice, other: Choice) -> bool:
        least = one.accuracy >= other.accuracy and one.spikes <= other.spikes
        return least and (one.accuracy > other.accuracy or one.spikes < other.spikes)

    expected = {one.point["k"] for one in found if not any(beats(other, one) for other in found)}
    best = front(found)
    assert {one.point["k"] for one in best} == expected
    assert [one.accuracy for one in best] == sorted((one.accuracy for one in best), reverse=True)


def test_seeds_are_one_choice_and_what_went_wrong_is_none():
    axes = (Axis("v_th", (1.0, 2.0, 3.0)), Axis("seed", (0, 1, 2), seeds=True))

    def cell(k, seed, accuracy, **more):
        return Cell((k, seed), {"v_th": axes[0].values[k], "seed": seed}, rows=(row(1, accuracy=accuracy),), **more)

    cells = [cell(0, seed, accuracy) for seed, accuracy in enumerate([0.2, 0.9, 0.4])]
    cells += [cell(1, 0, 0.8, finding="diverged"), cell(1, 1, 0.3), cell(2, 0, 0.9, fate=Fate.FAILED)]
    found = {one.point["v_th"]: one for one in choices(axes, cells)}
    assert set(found) == {1.0, 2.0} and found[1.0].accuracy == 0.4 and found[2.0].accuracy == 0.3
    assert [one.index for one in found[1.0].cells] == [(0, 0), (0, 1), (0, 2)]
