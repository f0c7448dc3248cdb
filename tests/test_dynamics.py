"""The specification, and the kernels that compute it over sequences, against closed forms and finite differences."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from snnlab import dynamics, kernels
from snnlab.dynamics import LifParams
from snnlab.layers import IF, LifRef
from snnlab.surrogate import SURROGATES


@pytest.fixture(autouse=True, params=["reference", "numba"])
def every_backend(request, monkeypatch):
    monkeypatch.setenv("SNNLAB_KERNELS", request.param)
    assert kernels.backend() == request.param


def params(**changes) -> LifParams:
    values = {
        "tau_mem": 10.0,
        "v_th": 1.0,
        "v_rest": 0.0,
        "v_reset": 0.0,
        "r": 1.0,
        "tau_ref": 0.0,
        "slope": 10.0,
    }
    return LifParams(**{name: jnp.asarray(np.float32(value)) for name, value in (values | changes).items()})


@functools.partial(jax.jit, static_argnames=("dt", "reset", "backend"))
def compiled_lif(current, params, **options):
    out = kernels.lif(current, params, surrogate=SURROGATES["inv_square"], **options)
    return out.spikes, out.v


def run_lif(current, *, dt=1.0, reset="subtract", **changes):
    options = {"dt": dt, "reset": reset, "backend": kernels.backend()}
    return [np.asarray(part) for part in compiled_lif(np.float32(current), params(**changes), **options)]


def constant(value, num_steps):
    return np.full((num_steps, 1, 1), value)


@pytest.mark.parametrize("dt", [0.1, 1.0, 2.5])
def test_charging_curve_is_exact_for_any_dt(dt):
    """v(t) = v_rest + R I (1 - e^(-t/tau)) for a constant current below threshold."""
    _, v = run_lif(constant(0.4, 50), dt=dt, v_rest=-0.2, v_reset=-0.2, r=2.0, tau_mem=7.0)
    t = dt * np.arange(1, 51)
    np.testing.assert_allclose(v[:, 0, 0], -0.2 + 0.8 * (1 - np.exp(-t / 7.0)), atol=1e-6)


@pytest.mark.parametrize("tau", [1e4, 1e7, 1e12])
def test_a_slow_membrane_charges_as_much_as_it_should(tau):
    """After n steps of dt << tau, v = R I (1 - e^(-n dt/tau)), although e^(-dt/tau) is 1 in float32, or nearly so."""
    _, v = run_lif(constant(0.5, 20), tau_mem=tau)
    expected = -0.5 * np.expm1(-np.arange(1, 21) / tau)
    np.testing.assert_allclose(v[:, 0, 0], expected, rtol=2e-6)


def test_a_neuron_that_rests_above_its_threshold_fires_by_itself():
    """Without a current, its period is tau ln((v_rest - v_reset) / (v_rest - v_th)), rounded up to whole steps."""
    spikes, _ = run_lif(constant(0.0, 3000), dt=0.1, v_rest=-45.0, v_reset=-65.0, v_th=-50.0, reset="value")
    assert set(np.diff(np.flatnonzero(spikes[:, 0, 0]))) == {int(np.ceil(10.0 * np.log(20.0 / 5.0) / 0.1))}


def test_time_constants_from_zero_to_infinity():
    """With tau = 0 only this step counts, `v = R I`, and the gradient in tau is 0; with infinity nothing is forgotten,
    and a membrane never moves. In between, tau < dt is a time constant as any other."""
    current = np.random.default_rng(0).uniform(0.0, 2.0, (20, 1, 3)).astype(np.float32)
    spikes, v = run_lif(current, tau_mem=0.0, reset="value")
    np.testing.assert_array_equal(spikes, current >= 1.0)
    np.testing.assert_array_equal(v, np.where(current >= 1.0, 0.0, current))
    spikes, v = run_lif(current, tau_mem=np.inf, v_rest=-0.5)
    assert not spikes.any() and (v == -0.5).all()
    _, v = run_lif(current, tau_mem=0.3, v_th=9.0)
    a = np.exp(-1.0 / 0.3)
    expected = [(1.0 - a) * sum(a ** (t - k) * current[k] for k in range(t + 1)) for t in range(20)]
    np.testing.assert_allclose(v, expected, rtol=1e-5)

    for filtered in (
        lambda tau: kernels.expon(current, tau, dt=1.0),
        lambda tau: kernels.leaky(current, tau, dt=1.0)[0],
    ):
        run = jax.jit(lambda tau, f=filtered: (f(tau), jax.jacrev(lambda tau: (f(tau) ** 2).sum())(tau)))
        trace, gradient = run(np.float32(0.0))
        np.testing.assert_array_equal(trace, current)
        assert gradient == 0.0
        trace, gradient = run(np.float32(np.inf))
        np.testing.assert_allclose(trace, np.cumsum(current, 0), rtol=1e-6)
        assert gradient == 0.0


@pytest.mark.parametrize("current", [1.3, 2.0, 5.0])
def test_firing_period_is_tau_log(current):
    """Period tau ln(I / (I - v_th)), rounded up to whole steps, with a reset to v_reset = 0."""
    dt = 0.1
    spikes, _ = run_lif(constant(current, 3000), dt=dt, reset="value")
    times = np.flatnonzero(spikes[:, 0, 0])
    assert set(np.diff(times)) == {int(np.ceil(10.0 * np.log(current / (current - 1.0)) / dt))}


@pytest.mark.parametrize("tau_ref", [0.0, 1.0, 3.0, 4.5])
def test_refractory_time_lengthens_the_period(tau_ref):
    """For (t - t_last) <= tau_ref the voltage is held: floor(tau_ref / dt) steps more a period."""
    spikes, _ = run_lif(constant(2.0, 400), reset="value", tau_ref=tau_ref)
    free = int(np.ceil(10.0 * np.log(2.0)))
    assert set(np.diff(np.flatnonzero(spikes[:, 0, 0]))) == {free + int(np.floor(tau_ref))}


@pytest.mark.parametrize("dt", [0.1, 0.3, 0.7])
def test_refractory_time_of_whole_steps_includes_the_last(dt):
    """tau_ref = 3 dt holds three steps, although 3 * dt and tau_ref round differently in float32."""
    spikes, _ = run_lif(constant(100.0, 100), dt=dt, reset="value", tau_ref=3 * dt, tau_mem=10 * dt)
    assert set(np.diff(np.flatnonzero(spikes[:, 0, 0]))) == {4}


def test_the_two_resets():
    spikes, v = run_lif(constant(15.0, 1), v_reset=0.25)
    before = 15.0 * (1 - np.exp(-0.1))
    assert spikes.item() == 1.0
    np.testing.assert_allclose(v.item(), before - (1.0 - 0.25), rtol=1e-6)
    np.testing.assert_allclose(run_lif(constant(15.0, 1), v_reset=0.25, reset="value")[1].item(), 0.25, rtol=1e-6)


def run_if(current, **options):
    neurons = IF(1, r=0.5, dt=0.25, **options)
    trace = neurons(jnp.asarray(np.float32(current)))
    return np.asarray(trace.spikes)[:, 0, 0], np.asarray(trace.state)[:, 0, 0]


def test_without_a_leak_the_current_is_counted():
    """Subtracted, spikes are the whole part of `r I t / v_th`; set, every period is `v_th / (r I)`, rounded up."""
    spikes, v = run_if(constant(2.5, 200), v_th=1.0)
    charge = 0.5 * 2.5 * 0.25 * np.arange(1, 201)
    np.testing.assert_array_equal(np.cumsum(spikes), np.floor(charge))
    np.testing.assert_array_equal(v, charge - np.floor(charge))
    spikes, _ = run_if(constant(2.5, 200), v_th=1.0, reset="value")
    assert set(np.diff(np.flatnonzero(spikes))) == {int(np.ceil(1.0 / (0.5 * 2.5 * 0.25)))}


@pytest.mark.parametrize("detach_reset", [False, True])
@pytest.mark.parametrize("reset", ["subtract", "value"])
def test_gradient_through_a_spike_without_a_leak(reset, detach_reset):
    """One step to u = 1.5 > v_th = 1: dv/dI = r dt (1 - jump h'(u - v_th) - s), s only where the voltage is set."""
    options = {"v_th": 1.0, "v_reset": 0.25, "reset": reset, "detach_reset": detach_reset, "slope": 10.0}
    gradient = jax.grad(lambda x: IF(1, r=0.5, dt=0.25, **options)(jnp.full((1, 1, 1), x)).state.sum())(12.0)
    slope = 0.0 if detach_reset else 1.0 / (1.0 + 10.0 * 0.5) ** 2  # of the surrogate, at 0.5
    jump, kept = (0.75, 1.0) if reset == "subtract" else (1.5 - 0.25, 0.0)
    np.testing.assert_allclose(gradient, 0.5 * 0.25 * (kept - jump * slope), rtol=1e-6)


UNITS = [(16.0, -64.0), (15.0, -65.0), (0.015, -0.065), (1e3, 1e5)]
FEW = [(15.0, -65.0, "subtract")]
MORE = [case for case in ((*unit, reset) for unit in UNITS for reset in ("subtract", "value")) if case not in FEW]


@pytest.mark.parametrize(("c", "b", "reset"), FEW + [pytest.param(*case, marks=pytest.mark.shapes) for case in MORE])
def test_the_unit_of_the_voltage_does_not_matter(c, b, reset):
    """Under `v -> c v + b`, with currents that are multiplied by c: the same spikes, `c v + b` as voltages, and
    gradients that are divided by c. Shown for refractory neurons with constants of their own, and learned ones."""
    constants = {"v_th": np.array([1.0, 1.5]), "v_rest": np.array([0.0, 0.25]), "v_reset": np.array([-0.25, 0.5])}
    current = np.random.default_rng(0).normal(2.2, 1.0, (60, 3, 2)).astype(np.float32)
    weights = np.random.default_rng(1).normal(size=(2, *current.shape)).astype(np.float32)

    @jax.jit
    def run(constants, current, unit):
        def objective(constants, current):
            neuron = LifRef(2, **options)
            nnx.update(neuron, {name: nnx.Param(value) for name, value in constants.items()})
            trace = neuron(current)
            voltage = (trace.state - b * (unit != 1)) / unit
            return (weights[0] * trace.spikes).sum() + (weights[1] * voltage).sum(), (trace.spikes, voltage)

        return jax.grad(objective, (0, 1), has_aux=True)(constants, current)

    options = {"tau_ref": 1.0, "reset": reset} | {name: nnx.Param(value) for name, value in constants.items()}
    gradient, (spikes, v) = run({name: np.float32(x) for name, x in constants.items()}, current, 1)
    assert 20 < spikes.sum() < 300
    scaled = {name: np.float32(c * x + b) for name, x in constants.items()}
    their_gradient, (their_spikes, their_v) = run(scaled, np.float32(c) * current, np.float32(c))
    np.testing.assert_array_equal(spikes, their_spikes)
    resolved = 2e-7 * (1.0 + abs(b) / c)  # by float32
    np.testing.assert_allclose(their_v, v, atol=10.0 * resolved)
    for mine, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(their_gradient), strict=True):
        np.testing.assert_allclose(c * other, mine, atol=100.0 * resolved * np.abs(mine).max())


def test_a_spike_raises_the_threshold_which_then_decays():
    """Without a membrane, `n` steps after a spike a current fires from `v_th + beta rho^(n - 1)` on."""
    beta, tau, steps = 2.0, 30.0, 40
    needed = 1.0 + beta * np.exp(-np.arange(steps) / tau)
    for share, fires in ((1.0 + 1e-5, True), (1.0 - 1e-5, False)):
        for n in (1, 2, 17, 40):
            current = np.zeros((steps + 1, 1, 1))
            current[0], current[n] = 1.5, share * needed[n - 1]
            spikes, _ = run_lif(current, tau_mem=0.0, reset="value", beta=beta, tau_adapt=tau)
            assert spikes[:, 0, 0].nonzero()[0].tolist() == [0, n][: 1 + fires]


def test_an_adapting_neuron_settles_where_its_threshold_meets_the_current():
    """The threshold gains `beta` a spike and loses `1 - rho` a step, so `rate = (1 - rho) rise / beta` in the long run,
    with a rise between `rho (I - v_th)` and `I - v_th + beta`."""
    beta, tau, steps = 0.05, 200.0, 8000
    spikes, _ = run_lif(constant(2.0, steps), tau_mem=0.0, reset="value", beta=beta, tau_adapt=tau)
    rho = np.exp(-1.0 / tau)
    assert rho * (1 - rho) / beta <= spikes[2000:].mean() <= (1.0 + beta) * (1 - rho) / beta
    assert spikes[:20].all()


def test_a_rise_of_nothing_is_no_rise():
    current = np.random.default_rng(3).normal(1.0, 2.0, (60, 2, 3))
    for found, expected in zip(run_lif(current, beta=0.0, tau_adapt=50.0), run_lif(current), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_unit_of_the_voltage_does_not_matter_without_a_leak():
    current = jnp.asarray(np.random.default_rng(0).normal(0.2, 0.3, (40, 3, 2)), jnp.float32)
    mine = IF(2, v_th=1.0, v_reset=-0.25)(current)
    other = IF(2, v_th=-48.0, v_rest=-64.0, v_reset=-68.0)(16.0 * current)
    assert mine.spikes.sum() > 10
    np.testing.assert_array_equal(mine.spikes, other.spikes)
    np.testing.assert_array_equal(16.0 * mine.state - 64.0, other.state)


def test_synapse_decays_exactly():
    impulse = np.zeros((60, 1, 1), np.float32)
    impulse[3] = 2.0
    g = np.asarray(kernels.expon(jnp.asarray(impulse), jnp.float32(8.0), dt=0.5))[:, 0, 0]
    t = 0.5 * (np.arange(60) - 3)
    np.testing.assert_allclose(g, np.where(t < 0, 0.0, 2.0 * np.exp(-t / 8.0)), atol=1e-6)


def double_exponential(dt, horizon=30.0, tau_syn=4.0, tau_mem=10.0):
    """Voltage of a membrane behind a synapse after one unit spike at t = 0; coded and exact, at t = horizon."""
    impulse = np.zeros((round(horizon / dt), 1, 1), np.float32)
    impulse[0] = 1.0
    current = jax.jit(lambda tau: kernels.expon(impulse, tau, dt=dt))(np.float32(tau_syn))
    _, v = run_lif(current, dt=dt, tau_mem=tau_mem, v_th=1e9)
    exact = tau_syn / (tau_mem - tau_syn) * (np.exp(-horizon / tau_mem) - np.exp(-horizon / tau_syn))
    return float(v[-1, 0, 0]), exact


def test_double_exponential_response_converges_in_first_order():
    """The current is held constant within a step, so the error of the response halves with dt."""
    errors = [abs(np.subtract(*double_exponential(dt))) for dt in (1.0, 0.5, 0.25)]
    ratios = np.array(errors[:-1]) / errors[1:]
    np.testing.assert_allclose(ratios, 2.0, atol=0.15)
    assert errors[0] < 0.02


def test_leaky_is_a_geometric_sum():
    trace = np.asarray(kernels.leaky(jnp.ones((40, 1, 1)), jnp.float32(5.0), dt=1.0)[0])[:, 0, 0]
    a = np.exp(-0.2)
    np.testing.assert_allclose(trace, (1 - a ** np.arange(1, 41)) / (1 - a), rtol=1e-5)


def test_lstm_step_by_hand():
    """All gates at a known drive, one unit, against the formulas in double precision."""
    drive = np.array([0.3, -0.4, 0.7, 0.1])

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    c = sigmoid(-0.4) * 0.5 + sigmoid(0.3) * np.tanh(0.7)
    state, h = dynamics.lstm_step(
        dynamics.LstmState(jnp.array([0.2]), jnp.array([0.5])),
        jnp.asarray(drive - 0.2 * 0.1, jnp.float32),
        jnp.full((1, 4), 0.1),
    )
    np.testing.assert_allclose(state.c[0], c, rtol=1e-6)
    np.testing.assert_allclose(h[0], sigmoid(0.1) * np.tanh(c), rtol=1e-6)


BACKENDS, RESETS = ("reference", "numba"), ("subtract", "value")
USUAL = list(zip(itertools.cycle(BACKENDS), SURROGATES, np.repeat(RESETS, 2).tolist() * 2, strict=False))
OTHERS = [case for case in itertools.product(BACKENDS, SURROGATES, RESETS) if case not in USUAL]


@pytest.mark.parametrize(
    ("every_backend", "name", "reset"),
    [*USUAL, *(pytest.param(*case, marks=pytest.mark.shapes) for case in OTHERS)],
    indirect=["every_backend"],
)
def test_bptt_is_the_true_gradient_of_the_smooth_neuron(every_backend, name, reset):
    """With the antiderivative in place of the step the neuron is smooth, so that automatic differentiation
    must agree with central differences (float64): in the current and in every parameter."""
    num_steps, batch, n = 23, 3, 5
    rng = np.random.default_rng(3)
    with jax.enable_x64(True):
        values = {
            "tau_mem": 9.0,
            "v_th": np.linspace(0.8, 1.2, n),
            "v_rest": 0.05,
            "v_reset": 0.1,
            "r": 1.3,
            "slope": 4.0,
        }
        start = {name: np.asarray(value, np.float64) for name, value in values.items()}
        start["current"] = rng.normal(1.0, 0.7, (num_steps, batch, n))
        direction = jax.tree.map(lambda x: rng.normal(size=x.shape), start)

        def objective(x):
            p = LifParams(**{key: value for key, value in x.items() if key != "current"}, tau_ref=jnp.float64(0.0))
            smooth = SURROGATES[name]._replace(spike=SURROGATES[name].smooth)
            out = kernels.lif(x["current"], p, dt=1.0, surrogate=smooth, reset=reset)
            return (out.spikes**2).sum() + (out.v**2).sum()

        value_and_gradient = jax.jit(jax.value_and_grad(objective))

        def moved(eps):
            return float(value_and_gradient(jax.tree.map(lambda x, d: x + eps * d, start, direction))[0])

        numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6
        gradient = value_and_gradient(start)[1]
        slopes = jax.tree.map(lambda g, d: (np.asarray(g) * d).sum(), gradient, direction)
        np.testing.assert_allclose(sum(jax.tree.leaves(slopes)), numeric, rtol=2e-6)


def test_detached_reset_lets_no_gradient_through():
    """Two steps, one spike at the first: with a detached reset, dv2/dI1 is what it would be without a spike."""
    current = np.float32([11.0, 0.5]).reshape(2, 1, 1)

    def final_voltage(current, detach):
        options = {"dt": 1.0, "surrogate": SURROGATES["inv_square"], "detach_reset": detach}
        return kernels.lif(current, params(), **options).v[-1, 0, 0]

    a = np.exp(-0.1)
    gradient_of = jax.jit(jax.grad(final_voltage), static_argnums=1)
    gradient = np.asarray(gradient_of(current, True))[:, 0, 0]
    np.testing.assert_allclose(gradient[0], (1 - a) * a, rtol=1e-5)
    bump = 1 / (1 + 10 * (11 * (1 - a) - 1)) ** 2  # surrogate at the first step; the second adds nothing to dI1
    through = np.asarray(gradient_of(current, False))[:, 0, 0]
    second = 1 / (1 + 10 * abs((11 * (1 - a) - 1) * a + 0.5 * (1 - a) - 1)) ** 2
    np.testing.assert_allclose(through[0], (1 - a) * (1 - bump) * a * (1 - second), rtol=1e-4)
