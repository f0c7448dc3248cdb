"""Settings: every field is checked, by the same bounds as the layer, code or network that it is for."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from snnlab import accepted, models
from snnlab.config import TUTORIAL_SNN, ConvConfig, LstmConfig, SnnConfig, TrainConfig
from snnlab.encode import Latency
from snnlab.errors import ArgumentError
from snnlab.layers import Leaky, LifRef
from snnlab.surrogate import SURROGATES

NAN, INF = float("nan"), float("inf")
NOT_NUMBERS = (NAN, INF, -INF, "1", None, True, [1.0, 1.0])
NOT_COUNTS = (0, -1, 1.5, "1", None, True, NAN)
NOT_TIMES = tuple(value for value in NOT_NUMBERS if value != INF)
NOT_FLAGS = (0, 1, "yes", None)

OF_NEURONS = {
    "tau_mem": (-1.0, *NOT_TIMES),
    "tau_syn": (-1.0, *NOT_TIMES),
    "tau_out": (-1.0, *NOT_TIMES),
    "tau_ref": (-0.1, *NOT_NUMBERS),
    "v_th": (-1.0, 0.0, *NOT_NUMBERS),
    "v_rest": NOT_NUMBERS,
    "v_reset": NOT_NUMBERS,
    "slope": (-1.0, *NOT_NUMBERS),
    "surrogate": ("nonsense", None, 1),
    "reset": ("hard", None, 1),
    "detach_reset": NOT_FLAGS,
}
WRONG = {
    SnnConfig: {
        "hidden": ((), *NOT_COUNTS),
        "recurrent": NOT_FLAGS,
        "neuron": ("adex", None, 1),
        "code": ("rate", 1),
        "num_steps": NOT_COUNTS,
        "dt": (0.0, -1.0, *NOT_NUMBERS),
        "tau_latency": (0.0, -1.0, *NOT_NUMBERS),
        "threshold_latency": (-0.1, 1.1, *NOT_NUMBERS),
        "input_dropout": (-0.1, 1.1, NAN, INF, "1", True),
        **OF_NEURONS,
        "beta": NOT_NUMBERS,
        "tau_adapt": (-1.0, *NOT_TIMES),
        "synapse": ("alpha", None, 1),
        "tau_rise": (-1.0, *NOT_TIMES),
        "delay": (-1, 1.5, "1", None, True),
        "most_delay": (0, -1, 1.5, "1", True, NAN),
        "centralize": NOT_FLAGS,
        "bias": NOT_FLAGS,
        "gains": ((), (1.0, 2.0, 3.0), 1.0, "1", True),
    },
    ConvConfig: {
        "channels": ((), 0, -1, 16, None, True, NAN),
        "window": ((), (3, 3, 3), *NOT_COUNTS),
        "stride": ((), (2, 2, 2), *NOT_COUNTS),
        "pool": ((2, 2, 2), *NOT_COUNTS),
        "dense": (0, -1, 16, None, True, NAN),
        "norm": NOT_FLAGS,
        "code": ("rows", None, 1),
        "flip": NOT_FLAGS,
        "shift": (-1, 1.5, "1", None, True),
        "num_steps": NOT_COUNTS,
        "dt": (0.0, -1.0, *NOT_NUMBERS),
        "tau_latency": (0.0, -1.0, *NOT_NUMBERS),
        "threshold_latency": (-0.1, 1.1, *NOT_NUMBERS),
        "input_dropout": (-0.1, 1.1, *NOT_NUMBERS),
        **OF_NEURONS,
        "slope": tuple(value for value in OF_NEURONS["slope"] if value is not None),
        "gains": ((), (1.0, 2.0), 1.0, "1", True),
    },
    LstmConfig: {"hidden": NOT_COUNTS},
    TrainConfig: {
        "epochs": NOT_COUNTS,
        "batch_size": NOT_COUNTS,
        "learning_rate": (0.0, -1.0, *(value for value in NOT_NUMBERS if value is not None)),
        "schedule": ("step", 1),
        "seed": (-1, 2**32, 1.5, "1", None, True),
    },
}
CASES = [
    (config, name, value) for config, fields in WRONG.items() for name, values in fields.items() for value in values
]


def test_every_field_is_tried():
    for config, wrong in WRONG.items():
        assert list(wrong) == [field.name for field in dataclasses.fields(config)]


@pytest.mark.parametrize(("config", "name", "value"), CASES)
def test_a_value_out_of_range_is_refused_with_name_and_value(config, name, value):
    with pytest.raises(ArgumentError) as error:
        config(**{name: value})
    said, shape = str(error.value), f"shape {np.shape(value)}"
    assert said.startswith(f"{name}: must be ") and (str(value) in said or shape in said)


def test_each_hidden_layer_has_a_factor_of_its_weights():
    for make in (
        lambda gains: SnnConfig(hidden=(4, 8), gains=gains),
        lambda gains: ConvConfig(dense=(), norm=False, gains=gains),
    ):
        for wrong in (0.0, -1.0, *NOT_NUMBERS):
            with pytest.raises(ArgumentError, match=r"gains\[1\]: must be"):
                make((1.0, wrong))
        assert make([1.0, 2.0]) == make((1.0, 2.0))  # as a file gives them back


def test_each_hidden_layer_has_its_neurons():
    for wrong in NOT_COUNTS:
        with pytest.raises(ArgumentError, match=r"hidden\[1\]: must be an integer >= 1"):
            SnnConfig(hidden=(4, wrong))
    assert SnnConfig(hidden=[4, 8]) == SnnConfig(hidden=(4, 8))  # as a file gives them back
    assert SnnConfig(hidden=7).widths == (7,)


@pytest.mark.parametrize("given", [{"beta": 0.3}, {"tau_adapt": 50.0}])
def test_what_adapts_needs_neurons_that_do(given):
    with pytest.raises(ArgumentError, match=f"{next(iter(given))}: does nothing with neuron='lif'"):
        SnnConfig(**given)
    assert SnnConfig(neuron="alif", **given).neuron == "alif"


def test_delays_are_learned_or_all_the_same():
    assert SnnConfig(most_delay=20).delay == 0
    with pytest.raises(ArgumentError, match="delay: does nothing with most_delay"):
        SnnConfig(delay=1, most_delay=20)


def test_each_convolution_has_its_channels():
    for wrong in NOT_COUNTS:
        with pytest.raises(ArgumentError, match=r"channels\[1\]: must be an integer >= 1"):
            ConvConfig(channels=(4, wrong))
        with pytest.raises(ArgumentError, match=r"dense\[0\]: must be an integer >= 1"):
            ConvConfig(dense=(wrong,))
    assert ConvConfig(channels=[4, 8], dense=[5]) == ConvConfig(channels=(4, 8), dense=(5,))  # as a file has them


def test_each_convolution_has_its_window_stride_and_pool():
    """One number is that of all, and the last of several that of all further ones; a file has a list."""
    config = ConvConfig(channels=(4, 5, 6), window=[5, 3, 1], stride=(2, 1), pool=2)
    assert config.geometry == ((5, 2, 2), (3, 1, 2), (1, 1, 2)) and config.window == (5, 3, 1)
    assert len(ConvConfig(channels=(4,)).geometry) == 1  # the defaults fit any number of convolutions
    for name in ("window", "stride", "pool"):
        with pytest.raises(ArgumentError, match=rf"{name}\[1\]: must be an integer >= 1"):
            ConvConfig(**{name: (1, 0)})


def test_the_surrogate_of_deep_convolutions_is_wider():
    """Unless it is chosen: then it is what was chosen, in a network of any depth."""
    plain = [ConvConfig(channels=(4,) * n, norm=False).steepness for n in (1, 2, 3, 6)]
    assert plain == [10.0, 10.0, 3.0, 3.0] and ConvConfig().steepness == 3.0
    assert [ConvConfig(channels=(4,) * n, slope=7.0).steepness for n in (1, 3)] == [7.0, 7.0]
    config = ConvConfig(channels=(4, 5, 6), pool=1, dense=(), norm=False)
    net = models.build(config, sample_shape=(4, 4), num_classes=2)
    slopes = [float(layer.neuron.slope[...]) for layer in list(net.stack.layers.values())[:-1]]
    assert slopes == [3.0, 3.0, 3.0]


def test_bounds_that_hang_on_another_field():
    """A threshold lies above the reset, in any unit; a neuron that rests above it fires by itself."""
    with pytest.raises(ArgumentError, match=r"v_th: .*v_reset = 2\.0.*got 2\.0"):
        SnnConfig(v_reset=2.0, v_th=2.0)
    with pytest.raises(ArgumentError, match=r"v_th: .*v_reset = 0\.0.*got -50\.0"):
        SnnConfig(v_rest=-65.0, v_th=-50.0)
    assert SnnConfig(v_rest=-65.0, v_reset=-65.0, v_th=-50.0).v_th == -50.0
    assert SnnConfig(v_rest=1.5).v_rest == 1.5


@pytest.mark.parametrize("name", ["tau_latency", "threshold_latency"])
def test_a_setting_of_another_code_is_refused(name):
    assert getattr(SnnConfig(**{name: 0.5}), name) == 0.5
    for code in ("events", "rows", "delta"):
        with pytest.raises(ArgumentError, match=f"{name}: does nothing with code='{code}'"):
            SnnConfig(code=code, **{name: 0.5})


def test_bounds_belong_to_the_range():
    least = {"tau_mem": 0.0, "tau_syn": 0.0, "tau_out": 0.0, "tau_ref": 0.0, "v_th": 0.005, "slope": 0.0, "delay": 0}
    assert SnnConfig(tau_mem=INF, tau_syn=INF, tau_out=INF).tau_out == INF
    assert SnnConfig(dt=2.0, **least, threshold_latency=1.0, input_dropout=1.0)
    assert TrainConfig(seed=2**32 - 1).seed == 2**32 - 1
    assert TUTORIAL_SNN.dt == 0.1


def _refuses(make, **options) -> bool:
    try:
        make(**options)
    except ArgumentError:
        return True
    return False


TRIED = {
    "tau_mem": (-0.5, 0.0, 0.5, 10.0, INF),
    "v_th": (0.0, 0.005, 1.0),
    "v_rest": (-1.0, 0.99, 1.0),
    "v_reset": (-1.0, 0.99, 1.0),
    "tau_ref": (-0.1, 0.0, 3.0),
    "slope": (-0.1, 0.0, 1000.0),
    "surrogate": ("nonsense", *SURROGATES),
    "reset": ("hard", "subtract", "value"),
    "detach_reset": (False, True),
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in TRIED.items() for value in values])
def test_settings_and_neurons_accept_the_same(name, value):
    assert _refuses(SnnConfig, **{name: value}) == _refuses(lambda **given: LifRef(3, **given), **{name: value})


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0, -0.1, 1.1, 5.0])
def test_settings_accept_what_code_and_readout_accept(value):
    assert _refuses(SnnConfig, tau_latency=value) == _refuses(Latency, tau=value)
    assert _refuses(SnnConfig, threshold_latency=value) == _refuses(Latency, threshold=value)
    assert _refuses(SnnConfig, tau_out=value) == _refuses(lambda tau: Leaky(3, tau_mem=tau), tau=value)


def test_surrogates_are_known_by_name_without_jax():
    """The one list of names: settings check against it, the surrogates themselves have exactly these."""
    assert tuple(SURROGATES) == accepted.SURROGATES
    check = "import sys, snnlab.config; print('jax' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", check], text=True).strip() == "False"


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5])
def test_seed_of_the_weights_is_checked(seed):
    with pytest.raises(ArgumentError, match=rf"seed: .*{seed}"):
        models.build(LstmConfig(hidden=3), sample_shape=(4, 4), num_classes=2, seed=seed)
