"""The rate of a neuron over a constant current against the simulation of its equations; intervals by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from snnlab import dynamics
from snnlab.dynamics import LifParams
from snnlab.live.frames.firing import Cell, current_frame, firing_rate, ideal_rate, intervals_frame
from snnlab.surrogate import arctan

STEPS = 6000
LIF = {"leaky": True, "v_th": 1.0, "v_rest": 0.0, "v_reset": 0.0, "r": 1.0, "dt": 1.0, "tau_mem": 10.0}
CELLS = {
    "plain": {},
    "refractory": {"tau_ref": 3.0},
    "half a step": {"tau_ref": 2.5},
    "fine": {"dt": 0.1, "tau_ref": 0.3},
    "millivolts": {"v_th": -50.0, "v_rest": -65.0, "v_reset": -70.0, "r": 2.0, "tau_mem": 20.0, "tau_ref": 2.0},
    "rests above": {"v_rest": 1.5, "v_reset": 0.2},
    "forgets": {"tau_mem": 0.0},
    "inhibited by what excites others": {"r": -1.0},
    "no leak": {"leaky": False, "v_reset": -0.3, "v_rest": 0.4, "r": 0.05},
}


def simulated(cell: Cell, currents: np.ndarray) -> np.ndarray:
    """Spikes between the first one after a third of the time and the last one, over the time between them."""
    p = LifParams(
        *(jnp.float32(v) for v in (cell.tau_mem, cell.v_th, cell.v_rest, cell.v_reset, cell.r, cell.tau_ref, 1))
    )
    current, n = jnp.asarray(currents, jnp.float32), len(currents)

    def step(state, _):
        if cell.leaky:
            return dynamics.lif_step(state, current, p, dt=cell.dt, spike=arctan.spike, reset=cell.reset)
        return dynamics.if_step(
            state, current, p.v_th, p.v_reset, p.r, 1.0, dt=cell.dt, spike=arctan.spike, reset=cell.reset
        )

    start = dynamics.lif_init((n,), p) if cell.leaky else jnp.full(n, p.v_rest)
    spikes = np.asarray(jax.jit(lambda s: jax.lax.scan(step, s, length=STEPS)[1])(start))[STEPS // 3 :] > 0
    rates = np.zeros(n)
    for k in range(n):
        times = np.flatnonzero(spikes[:, k])
        if len(times) > 1:
            rates[k] = 1000.0 * (len(times) - 1) / (cell.dt * (times[-1] - times[0]))
    return rates


@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("name", CELLS)
def test_rate_is_that_of_the_simulation(name, reset):
    """With a reset to a value the interval is a whole number of steps, so it is the same; otherwise the mean is."""
    cell = Cell(**LIF | CELLS[name], reset=reset)
    unit = (cell.v_th - cell.v_reset) / cell.r
    far = 4.0 * unit if cell.leaky else 0.5 * unit / cell.dt
    currents = cell.rheobase + far * np.array([-0.3, -0.01, 0.013, 0.06, 0.1, 0.23, 0.57, 0.91, 1.0, 2.3])
    found, wanted = firing_rate(cell, currents), simulated(cell, currents)
    if reset == "value":  # but where rounding makes it one step longer or shorter
        near = [firing_rate(cell, currents + far * shift) for shift in (-1e-5, 1e-5)]
        assert ((found == near[0]) & (found == near[1])).sum() >= 8
        same = (np.abs(wanted - found) < 1e-3) | (np.abs(wanted - near[0]) < 1e-3) | (np.abs(wanted - near[1]) < 1e-3)
        assert same.all(), (found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, rtol=0.01)
    assert (found[:2] == 0).all() and (found[2:] > 0).all()


@pytest.mark.parametrize("name", ["plain", "refractory", "millivolts", "rests above", "no leak"])
def test_fine_steps_come_near_the_formula(name):
    """`tau_ref + tau ln(...)` for the LIF neuron, `(v_th - v_reset) / (r I)` without a leak."""
    cell = Cell(**LIF | CELLS[name] | {"dt": 1e-3, "reset": "value"})
    unit = (cell.v_th - cell.v_reset) / cell.r
    currents = cell.rheobase + unit * np.array([-0.1, 0.1, 1.0, 3.0])
    np.testing.assert_allclose(firing_rate(cell, currents), ideal_rate(cell, currents), rtol=2e-3)


def test_frame_of_the_curve():
    cell = Cell(**LIF, reset="value", tau_ref=3.0)
    frame = current_frame(cell, received=np.linspace(-10.0, 10.0, 201))
    currents, rates = (np.frombuffer(frame[name], np.float32) for name in ("currents", "rates"))
    assert currents[0] == -9.0 and currents[-1] == 9.0 and frame["received"] == pytest.approx([-9.0, 9.0])
    assert frame["fastest"] == 250.0 and rates.max() <= 250.0 and frame["rheobase"] == 1.0
    assert frame["words"].startswith("fires above a constant current of 1, at most at 250 Hz")
    assert "90% from \u22129 to 9" in frame["words"]
    assert current_frame(None)["reason"]
    for stuck in ({"tau_mem": np.inf}, {"r": 0.0}):
        assert (
            current_frame(Cell(**LIF | stuck, reset="value"))["reason"] == "no current moves the voltage of this neuron"
        )
    assert np.isfinite(
        np.frombuffer(current_frame(Cell(**LIF | {"tau_mem": 0.0}, reset="value"))["ideal"], np.float32)
    ).all()


def test_intervals():
    """Within a sample only; against a loop."""
    rng = np.random.default_rng(0)
    spikes = rng.random((300, 40)) < 0.05
    frame = intervals_frame(spikes, dt=2.0)
    wanted = [int(gap) for k in range(40) for gap in np.diff(np.flatnonzero(spikes[:, k]))]
    assert sum(frame["counts"]) == len(wanted) and len(frame["counts"]) <= 60
    for place, count in enumerate(frame["counts"]):
        low = frame["first"] + place * frame["width"]
        assert count == sum(low <= gap < low + frame["width"] for gap in wanted)
    assert frame["mean"] == pytest.approx(2.0 * np.mean(wanted)) and frame["cv"] == pytest.approx(
        np.std(wanted) / np.mean(wanted)
    )
    assert intervals_frame(np.eye(5, dtype=bool), 1.0)["reason"].startswith(
        "fires less than twice in each of 5 samples"
    )
    assert intervals_frame(np.zeros((5, 1), bool), 1.0)["reason"]
    assert "steps on average" in intervals_frame(np.ones((3, 1), bool), None)["words"]
