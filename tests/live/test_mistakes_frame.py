"""What is wrong in tasks without one label a sample, against a count by hand."""

import numpy as np
import pytest

from snnlab.errors import ArgumentError
from snnlab.live.frames import mistakes
from snnlab.live.frames.errors import Review, confusion_frame
from snnlab.live.frames.mistakes import NumbersReview, SeveralReview, TrainsReview

NAMES = ("none", "P", "T")
RNG = np.random.default_rng(0)


def no_picture(index: int) -> np.ndarray:
    return np.full(5, index)


def steps(samples: int = 6, each: int = 10) -> Review:
    labels, predictions = RNG.integers(3, size=(2, samples * each))
    index = np.repeat(np.arange(samples), each)
    kinds = {"confidence": np.ones(len(index)), "total": len(index), "noun": "test step"}
    return Review(step=1, index=index, labels=labels, predictions=predictions, **kinds)


def test_confusions_of_steps_count_steps():
    review = steps()
    frame = confusion_frame(review, NAMES)
    counts = np.frombuffer(frame["counts"], np.int32).reshape(3, 3)
    expected = [[((review.labels == a) & (review.predictions == b)).sum() for b in range(3)] for a in range(3)]
    assert counts.tolist() == expected and frame["noun"] == "step" and "of 60 test steps are right" in frame["words"]


def test_samples_with_most_steps_of_a_confusion_come_first():
    review = steps()
    frame = mistakes.step_cell_frame(review, NAMES, 1, 2, no_picture)
    here = (review.labels == 1) & (review.predictions == 2)
    counts = {k: int((here & (review.index == k)).sum()) for k in range(6)}
    listed = [(one["index"], int(one["note"])) for one in frame["samples"]]
    assert dict(listed) == {k: n for k, n in counts.items() if n}
    assert [n for _, n in listed] == sorted((n for _, n in listed), reverse=True)
    with pytest.raises(ArgumentError, match="truth"):
        mistakes.step_cell_frame(review, NAMES, 3, 0, no_picture)


def several() -> SeveralReview:
    true, said = RNG.random((2, 40, 3)) < 0.4
    return SeveralReview(step=1, index=np.arange(100, 140), true=true, said=said, total=80)


def test_found_missed_and_claimed_wrongly():
    review = several()
    frame = mistakes.several_frame(review, NAMES)
    for k, (found, missed, wrong) in enumerate(frame["counts"]):
        true, said = review.true[:, k], review.said[:, k]
        assert (found, missed, wrong) == ((true & said).sum(), (true & ~said).sum(), (~true & said).sum())
        assert found + missed == frame["there"][k]
    listed = mistakes.several_cell_frame(review, NAMES, 1, 2, no_picture)["samples"]
    wrong = review.index[~review.true[:, 1] & review.said[:, 1]]
    assert [one["index"] for one in listed] == wrong.tolist()
    with pytest.raises(ArgumentError, match="kind"):
        mistakes.several_cell_frame(review, NAMES, 1, 3, no_picture)


def numbers(entries: int = 200) -> NumbersReview:
    targets = RNG.normal(size=(entries, 2)) * [1.0, 50.0]
    said = targets + RNG.normal(size=targets.shape) * [0.5, 10.0]
    return NumbersReview(
        step=1, index=np.repeat(np.arange(entries // 10), 10), targets=targets, said=said, total=entries
    )


def test_r2_and_rmse_over_all_outputs():
    review = numbers()
    y, p = review.targets, review.said
    expected = np.mean([1 - ((p - y)[:, k] ** 2).sum() / ((y[:, k] - y[:, k].mean()) ** 2).sum() for k in (0, 1)])
    assert review.r2 == pytest.approx(expected) and review.rmse == pytest.approx(np.sqrt(((p - y) ** 2).mean()))


def test_a_target_that_never_varies_has_no_r2():
    review = NumbersReview(step=1, index=np.arange(4), targets=np.full((4, 1), 3.0), said=np.zeros((4, 1)), total=4)
    assert review.r2 is None and "no target varies" in mistakes.numbers_frame(review, ["output"], 0)["words"]


def test_points_are_targets_and_answers_of_one_output():
    review = numbers()
    frame = mistakes.numbers_frame(review, ["a", "b"], 1)
    x, y = (np.frombuffer(frame[name], np.float32) for name in "xy")
    np.testing.assert_allclose(x, review.targets[:, 1], rtol=1e-6)
    np.testing.assert_allclose(y, review.said[:, 1], rtol=1e-6)
    assert frame["range"] == pytest.approx([min(x.min(), y.min()), max(x.max(), y.max())], rel=1e-6)
    assert np.frombuffer(frame["samples"], np.int32).tolist() == review.index.tolist()


def test_of_many_points_some_are_drawn_and_what_is_not_finite_is_not():
    review = numbers(40_000)
    review.said[0, 0] = np.nan
    frame = mistakes.numbers_frame(review, ["a", "b"], 0)
    assert len(frame["x"]) == 4 * mistakes.MAX_POINTS and "points are drawn" in frame["words"]


def test_the_worst_samples_come_first():
    review = numbers()
    frame = mistakes.worst_frame(review, no_picture)
    rmse = [np.sqrt(((review.said - review.targets)[review.index == k] ** 2).mean()) for k in range(20)]
    assert [one["index"] for one in frame["samples"]] == np.argsort(rmse)[::-1].tolist()
    distances = {"distance": np.array([0.1, 3.0, 0.5]), "fired": np.ones(3, int), "wanted": np.ones(3, int)}
    trains = TrainsReview(step=1, index=np.array([4, 5, 6]), total=3, **distances)
    assert [one["index"] for one in mistakes.worst_frame(trains, no_picture)["samples"]] == [5, 6, 4]
    assert sum(mistakes.trains_frame(trains)["counts"]) == 3
