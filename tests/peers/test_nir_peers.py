"""A trained network goes through a NIR file to snnTorch and Norse as they are, and answers there what it answers here.

Both read by Euler's method and reset to a value. snnTorch has a step of 0.1 ms, knows no gain and no integrator; the
file is written for that, and Norse reads the same file.
"""

import copy
import warnings

import jax.numpy as jnp
import nir
import numpy as np
import pytest
from flax import nnx
from tiers import needed

import snnlab
from snnlab.layers import Expon, Graph, Leaky, LifRef, Projection, Recurrent, Stack

torch, norse, norse_reset, snntorch = (
    needed(name, "peers") for name in ("torch", "norse.torch", "norse.torch.functional.reset", "snntorch.import_nir")
)
snn, export_nir, nirtorch = (needed(name, "peers") for name in ("snntorch", "snntorch.export_nir", "nirtorch"))

FOR_PEERS = {"unit_gain": True, "reader_dt": 0.1, "readout": "lif"}
SAMPLES = 1000


@pytest.fixture(scope="module")
def fashion(shared):
    """Fashion-MNIST with fewer test images."""
    return snnlab.load_data(shared / "data" / "fashion-mnist").subset(test=SAMPLES)


@pytest.fixture(scope="module")
def trained(fashion):
    """One epoch; resets to a value, as NIR says."""
    net = snnlab.build(snnlab.SnnConfig(reset="value"), sample_shape=fashion.sample_shape, num_classes=10)
    history = snnlab.Trainer(net, fashion, epochs=1).fit()
    assert history.epochs[0]["test_acc"] > 0.65
    return net


def run_snntorch(path, spikes):
    """Voltages of the readout and spikes of the hidden layer."""
    net, state, hidden, volts = snntorch.import_from_nir(nir.read(path)), None, [], []
    net.hidden.register_forward_hook(lambda module, given, out: hidden.append(out.numpy()))
    with torch.no_grad():
        for x in torch.from_numpy(spikes):
            _, state = net(x, state)
            volts.append(net.readout.mem.numpy().copy())
    return np.stack(volts), np.stack(hidden)


def run_norse(path, spikes, **options):
    """Voltages of the readout and spikes of the hidden layer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        net = norse.from_nir(nir.read(path), **options)
    state, hidden, volts = None, [], []
    with torch.no_grad():
        for x in torch.from_numpy(spikes):
            _, state = net(x, state)
            volts.append(state.state["readout"][0][1].v.numpy())
            hidden.append(state.cache["hidden"].numpy())
    return np.stack(volts), np.stack(hidden)


def agree(record, volts, hidden, *, classes=0.99):
    """The same class on 99 % of the samples, and the same spikes but for one in a thousand."""
    own = np.asarray(record.spikes["hidden"])
    assert own.sum() > 5 * own.shape[1]
    assert (own != hidden).sum() <= 1e-3 * own.sum()
    same = np.asarray(record.peak).argmax(-1) == volts.max(0).argmax(-1)
    assert same.mean() >= classes


def test_snntorch_and_norse_read_a_trained_network(trained, fashion, tmp_path):
    images = fashion.x_test
    certificate = snnlab.save_nir(trained, tmp_path / "net.nir", samples=images, **FOR_PEERS)
    assert certificate.measured["as assumed"].classes == (SAMPLES, SAMPLES)
    record = trained(jnp.asarray(images))
    spikes = np.array(trained.encoder(jnp.asarray(images)).dense())
    agree(record, *run_snntorch(certificate.path, spikes))
    agree(record, *run_norse(certificate.path, spikes, dt=1e-4))


def test_norse_can_be_told_to_subtract(fashion, tmp_path):
    """What NIR cannot say, and the certificate does, is an argument there. Without it the spikes are others."""
    net = snnlab.build(snnlab.SnnConfig(v_th=0.3), sample_shape=fashion.sample_shape, num_classes=10)
    images = fashion.x_test[:100]
    path = snnlab.save_nir(net, tmp_path / "net.nir", samples=images, readout="lif").path
    spikes, record = np.array(net.encoder(jnp.asarray(images)).dense()), net(jnp.asarray(images))
    agree(record, *run_norse(path, spikes, dt=1e-3, reset_method=norse_reset.reset_subtract))
    hidden = run_norse(path, spikes, dt=1e-3)[1]
    assert (hidden != np.asarray(record.spikes["hidden"])).sum() > 0.1 * hidden.sum()


def test_norse_reads_a_recurrent_network(tmp_path):
    """Its own neurons decide when it fires: without the recurrent weights the spikes are others."""
    n, rngs = 13, nnx.Rngs(3)
    stack = Stack(
        hidden=Recurrent(20, LifRef(n, tau_mem=8.0, v_th=0.5, reset="value"), synapse=Expon(n, tau_syn=5.0), rngs=rngs),
        readout=Projection(n, Leaky(4, tau_mem=6.0), synapse=Expon(4), rngs=rngs),
    )
    x = (np.random.default_rng(0).random((100, 7, 20)) < 0.15).astype(np.float32)
    record = stack(jnp.asarray(x))
    path = snnlab.save_nir(stack, tmp_path / "net.nir", samples=x, **FOR_PEERS).path
    agree(record, *run_norse(path, x, dt=1e-4), classes=1.0)
    stack.layers["hidden"].recurrent_kernel[...] *= 0.0
    own = np.asarray(record.spikes["hidden"])
    assert (np.asarray(stack(jnp.asarray(x)).spikes["hidden"]) != own).sum() > 0.1 * own.sum()


# ---- what they write is read ----


def over_time(net, x, *, state=False):
    """Outputs of a network of theirs, which begins at rest."""
    net, carried, out = copy.deepcopy(net), None, []
    with torch.no_grad():
        for x_t in torch.from_numpy(x):
            y, carried = net(x_t, carried) if state else (net(x_t), None)
            out.append(y.numpy().copy())
    return np.stack(out)


def some_input(n=11):
    return (np.random.default_rng(0).random((80, 4, n)) < 0.3).astype(np.float32)


class Residual(torch.nn.Module):
    """The second layer reads the first one through weights, and as it is."""

    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(11, 6), torch.nn.Linear(6, 6)
        self.a, self.b = leaky(0.9), leaky(0.8)

    def forward(self, x):
        hidden = self.a(self.first(x))
        return self.b(self.second(hidden) + hidden)


def leaky(beta, n=6):
    options = {"reset_mechanism": "zero", "reset_delay": False, "init_hidden": True}
    return snn.Leaky(beta=beta * torch.ones(n), threshold=0.4 * torch.ones(n), **options)


@pytest.mark.parametrize("residual", [False, True])
def test_a_network_of_snntorch_is_read(residual):
    torch.manual_seed(1)
    row = torch.nn.Sequential(torch.nn.Linear(11, 6), leaky(0.9), torch.nn.Linear(6, 6), leaky(0.8))
    net, x = Residual() if residual else row, some_input()
    extract = export_nir._extract_snntorch_module
    graph = nirtorch.torch_to_nir(net, {snn.Leaky: extract, torch.nn.Linear: extract}, type_check=False)
    read = snnlab.from_nir(graph, dt=0.1)
    assert isinstance(read, Graph) == residual
    spikes = over_time(net, x)
    assert spikes.sum() > 200
    np.testing.assert_array_equal(read(jnp.asarray(x)).readout, spikes)


def test_a_network_of_norse_is_read():
    """Its parameters are scalars, the shape of its input has a batch; its IF steps in units of its own."""
    torch.manual_seed(1)
    x, sample = some_input(), torch.zeros(1, 11)
    neurons = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=torch.tensor(100.0), v_th=torch.tensor(0.05)))
    readout = norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=torch.tensor(50.0)))
    net = norse.SequentialState(torch.nn.Linear(11, 6), neurons, torch.nn.Linear(6, 5), readout)
    record = snnlab.from_nir(norse.to_nir(net, sample, dt=1.0), dt=1.0)(jnp.asarray(x))
    assert record.spikes["1"].sum() > 50
    np.testing.assert_allclose(record.readout, over_time(net, x, state=True), rtol=1e-4, atol=1e-6)
    net = norse.SequentialState(torch.nn.Linear(11, 6), norse.IAFCell(), torch.nn.Linear(6, 5), norse.IAFCell())
    graph, expected = norse.to_nir(net, sample), over_time(net, x, state=True)
    with pytest.warns(UserWarning, match="with dt=1000"):
        assert not snnlab.from_nir(graph, dt=1.0)(jnp.asarray(x)).readout.any()
    assert expected.sum() > 50
    np.testing.assert_array_equal(snnlab.from_nir(graph, dt=1000.0)(jnp.asarray(x)).readout, expected)
