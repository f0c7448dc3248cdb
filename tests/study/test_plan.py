"""What is refused before anything starts, and how a plan is kept."""

import dataclasses
import json

import pytest
from hills import plan_of

from snnlab.config import ConvConfig, LstmConfig, SnnConfig
from snnlab.errors import ArgumentError, FileFormatError
from snnlab.study.plan import Plan, check_parameters, function_of, reference_of


def own(tau: float, *, seed: int = 0):
    """A function that a worker can import."""


@pytest.mark.parametrize(
    ("over", "options", "words"),
    [
        ({"tau_men": [1.0]}, {}, "'tau_men' is no setting and no knob; did you mean 'tau_mem'"),
        ({"colour": [1.0]}, {}, "known are hidden, "),
        ({"tau_mem": [5.0, -1.0], "v_th": [1.0]}, {}, r"cell \(tau_mem=-1, v_th=1\) is refused: tau_mem: must be"),
        ({"hidden": [10, 0]}, {}, r"cell \(hidden=0\)"),
        ({"seed": [0, -1]}, {}, r"cell \(seed=-1\)"),
        ({"learning_rate": [0.0]}, {}, r"cell \(learning_rate=0\)"),
        ({"epochs": [1, 2]}, {}, "'epochs' is no setting"),
        ({"v_th": [1.0]}, {"epochs": 0}, "epochs"),
        ({"v_th": [1.0]}, {"stop": "never"}, "stop: must be one of"),
        ({"v_th": [1.0]}, {"stop": "halving", "epochs": 2}, "needs at least 3 epochs"),
        ({"v_th": [1.0]}, {"search": 0}, "search"),
        ({"v_th": [1.0]}, {"model": {"hidden": 3}}, "model: must be a config"),
    ],
)
def test_bad_plans_are_refused(over, options, words):
    with pytest.raises(ArgumentError, match=words):
        plan_of(over, **options)


def test_a_cell_of_combined_values_is_refused_though_each_is_fine():
    with pytest.raises(ArgumentError, match=r"cell \(v_th=0.5, v_reset=0.5\)"):
        plan_of({"v_th": [0.5, 1.0], "v_reset": [0.0, 0.5]})


def test_a_point_sets_config_seed_training_and_knobs():
    plan = plan_of(
        {"tau_mem": [5.0], "seed": [7], "learning_rate": [0.1], "readout.tau_mem": [3.0]},
        knobs=("readout.tau_mem",),
        batch_size=16,
    )
    wanted = plan.wanted((0, 0, 0, 0))
    assert wanted.config == dataclasses.replace(plan.model, tau_mem=5.0)
    assert (wanted.seed, wanted.training, wanted.knobs) == (
        7,
        {"batch_size": 16, "learning_rate": 0.1},
        {"readout.tau_mem": 3.0},
    )


@pytest.mark.parametrize("model", [SnnConfig(hidden=(9, 7)), ConvConfig(), LstmConfig(), "module:function"])
def test_a_plan_is_read_as_it_was_written(model):
    plan = plan_of({"hidden": [3, 4], "seed": [1]} if not isinstance(model, ConvConfig) else {"v_th": [1.0]}, model)
    assert Plan.read(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize("damage", [{}, {"space": []}, {"model": {"network": "Path"}}, {"epochs": -1}, {"data": 3}])
def test_a_damaged_plan_is_no_plan(damage):
    saved = plan_of({"v_th": [1.0]}).to_json() | damage if damage else {}
    with pytest.raises(FileFormatError, match="holds no study"):
        Plan.read(saved)


def test_identity_knows_the_model_but_not_what_is_varied():
    one = plan_of({"v_th": [1.0, 2.0]}, SnnConfig(v_th=1.0))
    assert one.identity == plan_of({"v_th": [3.0]}, SnnConfig(v_th=5.0), epochs=9, stop="halving").identity
    assert one.identity != plan_of({"v_th": [1.0]}, SnnConfig(tau_mem=9.0)).identity
    assert one.identity != plan_of({"tau_mem": [1.0]}, SnnConfig()).identity


def test_functions_are_found_by_their_names():
    assert function_of(reference_of(own)) is own
    for wrong in (lambda tau: None, SnnConfig().__init__):
        with pytest.raises(ArgumentError, match="cannot be imported"):
            reference_of(wrong)
    for wrong in ("nowhere:at_all", "json:nothing", "json"):
        with pytest.raises(ArgumentError, match="model: "):
            function_of(wrong)
    check_parameters(own, ["tau", "seed"])
    check_parameters(lambda **point: None, ["anything"])
    with pytest.raises(ArgumentError, match="'taus' is no setting and no knob; did you mean 'tau'"):
        check_parameters(own, ["taus"])
