"""The guide tells what other packages mean by their surrogates: each row of its table is computed, and compared."""

import math
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiers import needed

from snnlab.surrogate import SURROGATES

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "surrogates.md"
ROW = re.compile(r"^\| (\w+) \| `(.+?)` \| `(\w+)` \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)
ROWS = ROW.findall(PAGE.read_text())
TESTED = ("braintools", "snnTorch", "Norse")
X = np.linspace(-2.5, 2.5, 54, dtype=np.float32)  # symmetric, without 0 and the corners of the shapes
NUMBERS = {"pi": math.pi, "sqrt": math.sqrt}


def in_jax(module, function: str, alpha: float):
    spike = eval(function, vars(module) | {"alpha": alpha})  # of the page
    return jax.vmap(jax.grad(lambda x: spike(x).sum()))(jnp.asarray(X))


def in_torch(module, function: str, alpha: float):
    torch = needed("torch", "peers")
    x = torch.tensor(X, requires_grad=True)
    spike = eval(function, vars(module) | {"alpha": torch.as_tensor(alpha), "x": x})  # of the page
    (spike if torch.is_tensor(spike) else spike(x)).sum().backward()
    return x.grad.numpy()


def derivative(package: str, function: str, alpha: float):
    """The derivative of a spike in another package, by its own way of differentiating."""
    if package == "braintools":
        return in_jax(needed("braintools.surrogate", "peers"), function, alpha)
    module = {"snnTorch": "snntorch.surrogate", "Norse": "norse.torch.functional.threshold"}[package]
    return in_torch(needed(module, "peers"), function, alpha)


def test_the_page_has_all_packages_and_shapes():
    assert {package for package, *_ in ROWS} == {*TESTED, "SpikingJelly", "Spyx"}
    assert {ours for _, _, ours, *_ in ROWS} == set(SURROGATES)


@pytest.mark.parametrize("alpha", [0.7, 2.0])
@pytest.mark.parametrize("row", [row for row in ROWS if row[0] in TESTED], ids=lambda row: f"{row[0]}-{row[1]}")
def test_a_row_of_the_guide(row, alpha):
    package, function, ours, slope, factor = row
    slope, factor = (eval(formula, NUMBERS | {"alpha": alpha}) for formula in (slope, factor))  # of the page
    expected = np.asarray(derivative(package, function, alpha))
    highest = np.abs(expected).max()
    assert highest > 0.01
    found = factor * SURROGATES[ours].derivative(X, slope)
    np.testing.assert_allclose(found / highest, expected / highest, rtol=2e-5, atol=5e-6)
