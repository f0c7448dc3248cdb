"""The synthetic ECG against the closed form of its model."""

import numpy as np
import pytest

from snnlab.data import load
from snnlab.data.ecg import CLASS_NAMES, NOISE, RATE, REACH, WANDER, WAVES, make_ecg
from snnlab.errors import ArgumentError


def test_the_same_seed_makes_the_same_recordings():
    one, other, third = (make_ecg(5, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(one.signal, third.signal)


def test_r_peaks_come_as_often_as_the_rate_says():
    """Over two minutes, the number of highest peaks is the rate, give or take the variability of the beats."""
    ecg = make_ecg(6, steps=15_000)
    for clean, rate in zip(ecg.clean, ecg.rate, strict=True):
        high = clean > 0.6 * clean.max()
        beats = (np.diff(high.astype(int)) == 1).sum()
        assert beats / 2.0 == pytest.approx(rate, rel=0.05) and RATE[0] <= rate <= RATE[1]


def test_waves_stand_in_their_order_and_every_step_has_a_class():
    ecg = make_ecg(20)
    assert set(np.unique(ecg.labels)) == {0, 1, 2, 3} and CLASS_NAMES[2] == "QRS"
    for labels in ecg.labels:
        changes = labels[np.flatnonzero(np.diff(labels)) + 1]
        waves = changes[changes > 0].tolist()
        assert waves == [1 + (waves[0] - 1 + k) % 3 for k in range(len(waves))]  # P, QRS, T, P, ...


def test_a_wave_has_the_shape_of_a_bump():
    """At the edge of a wave that stands alone, P or T, it is `e^(-REACH^2 / 2)` of its peak."""
    ecg = make_ecg(40, dt=1.0, steps=2400)
    for label, others in ((1, 0.02), (3, 0.05)):
        for clean, labels in zip(ecg.clean, ecg.labels, strict=True):
            edges = np.flatnonzero(np.diff((labels == label).astype(int)))
            if len(edges) < 2 or labels[edges[0]] == label:
                continue
            wave = clean[edges[0] + 1 : edges[1] + 1]
            if label == 3:
                assert wave[-1] / wave.max() == pytest.approx(np.exp(-(REACH**2) / 2), abs=others)
            else:
                assert wave[0] / wave.max() == pytest.approx(np.exp(-(REACH**2) / 2), abs=others)


def test_noise_and_wander_are_added():
    ecg = make_ecg(50)
    added = (ecg.signal - ecg.clean).astype(float)
    steps = np.diff(added, axis=1)
    assert steps.std() == pytest.approx(NOISE * np.sqrt(2), rel=0.03)  # the wander hardly moves in a step
    assert np.abs(added).max() < WANDER + 6 * NOISE


def test_it_is_loaded_by_its_name():
    data = load("ecg")
    assert (data.task, data.class_names, data.sample_shape) == ("step_labels", CLASS_NAMES, (300, 1))
    assert data.watched == "test" and data.hold_out(0.1).watched == "val"
    shares = np.bincount(data.y_test.ravel()) / data.y_test.size
    assert 0.4 < shares[0] < 0.7 and shares[1:].min() > 0.07
    assert len(WAVES) == 5


@pytest.mark.parametrize(("name", "value"), [("samples", 0), ("steps", 0), ("dt", 0.0), ("seed", -1)])
def test_bad_numbers_are_named(name, value):
    with pytest.raises(ArgumentError, match=name):
        make_ecg(**{"samples": 2, name: value})
