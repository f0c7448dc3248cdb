"""A trained network goes through a NIR file to snnTorch and Norse as they are, and answers there what it answers here.

Both read by Euler's method and reset to a value. snnTorch has a step of 0.1 ms, knows no gain and no integrator; the
file is written for that, and Norse reads the same file.
"""

import warnings

import jax.numpy as jnp
import nir
import numpy as np
import pytest
from flax import nnx
from tiers import needed

import snnlab
from snnlab.layers import Expon, Leaky, LifRef, Projection, Recurrent, Stack

torch, norse, norse_reset, snntorch = (
    needed(name, "peers") for name in ("torch", "norse.torch", "norse.torch.functional.reset", "snntorch.import_nir")
)

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
