"""Fashion-MNIST through the real tensorflow-datasets, offline, and everything that can go wrong on the way."""

import functools
import http.server
import io
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from snnlab import data
from snnlab.data.published import FILES, SOURCES
from snnlab.errors import DataError, SnnlabError


@pytest.fixture(scope="module")
def source(shared):
    return shared / "data" / "fashion-mnist"


def load_script(cache, source) -> str:
    return f"""if True:
        import sys
        from snnlab import data
        data.load('fashion_mnist', cache_dir={str(cache)!r}, manual_dir={str(source)!r}, progress=False)
        assert 'tensorflow_datasets' in sys.modules and 'array_record' in sys.modules
        assert 'tensorflow' not in sys.modules
    """


@pytest.fixture
def server(tiny_kmnist, monkeypatch):
    """The tiny set's files on a web server of this machine, as the address of "kmnist"."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_args):
            pass

    handler = functools.partial(Quiet, directory=str(tiny_kmnist))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setitem(SOURCES, "kmnist", SOURCES["kmnist"]._replace(url=url))
        monkeypatch.setenv("NO_PROXY", "*")
        yield tiny_kmnist
        server.shutdown()


def assert_same(found: data.Dataset, arrays) -> None:
    for part in FILES:
        np.testing.assert_array_equal(getattr(found, part), arrays[part])


def left_in(cache) -> list[str]:
    return [path.name for path in cache.rglob("*")]


def test_it_gives_what_the_files_hold(source, tmp_path, monkeypatch):
    """Verified by tensorflow-datasets, written as ArrayRecord, read back: bit for bit the idx files, and no word."""
    script = load_script(tmp_path, source)
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == done.stderr == ""
    assert left_in(tmp_path) == ["fashion_mnist.npz"]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tensorflow_datasets", None)  # importing it raises: what comes is from the cache
        found = data.load("fashion_mnist", cache_dir=tmp_path)
    expected = data.load(source)
    assert_same(found, vars(expected))
    assert (found.name, found.class_names) == (expected.name, expected.class_names)


def test_an_interrupt_leaves_nothing_half_written(source, tmp_path):
    """Ctrl-C while tensorflow-datasets prepares."""
    command = [sys.executable, "-c", load_script(tmp_path, source)]
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # even if these tests run in the background
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed)
    while not list(tmp_path.rglob("*incomplete*/*array_record*")) and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, stderr = child.communicate()
    assert child.returncode != 0 and "KeyboardInterrupt" in stderr
    assert left_in(tmp_path) == []


def test_a_wrong_file_is_refused_and_nothing_is_left(source, tmp_path):
    manual, cache = tmp_path / "files", tmp_path / "cache"
    shutil.copytree(source, manual)
    labels = manual / "train-labels-idx1-ubyte.gz"
    labels.chmod(0o644)
    content = bytearray(labels.read_bytes())
    content[1000] ^= 1
    labels.write_bytes(content)
    with pytest.raises(DataError, match=r"fashion_mnist: a file from .*files is damaged .* \(NonMatchingChecksumError"):
        data.load("fashion_mnist", cache_dir=cache, manual_dir=manual, progress=False)
    assert left_in(cache) == []


def test_a_missing_file_is_named_at_once(tiny_kmnist, tmp_path):
    (tiny_kmnist / FILES["y_test"]).unlink()
    with pytest.raises(DataError, match=r"tiny: has no t10k-labels-idx1-ubyte.gz; manual_dir must hold the four files"):
        data.load("kmnist", cache_dir=tmp_path / "cache", manual_dir=tiny_kmnist)
    assert not (tmp_path / "cache").exists()


def test_download(server, tmp_path, tiny_arrays, monkeypatch, capfd):
    """From a web server, into the folder that the environment names; `progress=False` is silent."""
    monkeypatch.setenv("SNNLAB_CACHE", str(tmp_path / "cache"))
    found = data.load("kmnist", progress=False)
    assert_same(found, tiny_arrays)
    assert found.class_names[1] == "ki" and left_in(tmp_path / "cache") == ["kmnist.npz"]
    assert capfd.readouterr() == ("", "")


def test_progress_is_shown(tiny_kmnist, tmp_path, capfd):
    data.load("kmnist", cache_dir=tmp_path / "cache", manual_dir=tiny_kmnist)
    assert "Generating splits" in capfd.readouterr().err


def test_a_wrong_download_is_refused_and_nothing_is_left(server, tmp_path):
    (server / FILES["x_test"]).write_bytes(b"something else")
    with pytest.raises(
        DataError, match=r"a file from http://127.* is damaged or not the published one; download it again"
    ):
        data.load("kmnist", cache_dir=tmp_path / "cache", progress=False)
    assert left_in(tmp_path / "cache") == []


def test_a_server_without_the_files(server, tmp_path):
    (server / FILES["y_test"]).unlink()
    with pytest.raises(DataError, match=r"kmnist: could not be loaded from http://127.* \(HTTPError: 404"):
        data.load("kmnist", cache_dir=tmp_path / "cache", progress=False)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", SOURCES)
def test_without_network_it_says_what_to_do(name, tmp_path, monkeypatch):
    def no_network(*_args, **_kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", no_network)
    with pytest.raises(
        DataError,
        match=rf"{name}: could not be loaded from http\S+ \(ConnectionError.* Without a network, put train-images.* "
        r"into a folder and call load\(FOLDER\) or pass manual_dir=FOLDER",
    ):
        data.load(name, cache_dir=tmp_path / "cache", progress=False)
    assert not (tmp_path / "cache").exists()


def test_a_damaged_cache_is_made_again(tiny_kmnist, tmp_path, tiny_arrays):
    options = {"cache_dir": tmp_path, "manual_dir": tiny_kmnist, "progress": False}
    data.load("kmnist", **options)
    file = tmp_path / "kmnist.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:5000])
    with pytest.warns(UserWarning, match=r"kmnist.npz: the cache is damaged .* made again"):
        assert_same(data.load("kmnist", **options), tiny_arrays)
    assert file.stat().st_size == len(whole)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(draw=st.data())
def test_no_damage_of_the_cache_gets_through(tmp_path, tiny_arrays, monkeypatch, draw):
    """Cut anywhere, or flip any bit: the arrays are right, at worst after a warning and a new start."""
    monkeypatch.setattr("snnlab.data.tfds_images._through_tfds", lambda *_args: tiny_arrays)
    stream = io.BytesIO()
    np.savez(stream, **tiny_arrays)
    content = bytearray(stream.getvalue())
    if draw.draw(st.booleans()):
        content = content[: draw.draw(st.integers(0, len(content) - 1))]
    else:  # half of the flips in the table of contents at the end
        first = draw.draw(st.sampled_from([0, len(content) - 300]))
        content[draw.draw(st.integers(first, len(content) - 1))] ^= 1 << draw.draw(st.integers(0, 7))
    (tmp_path / "kmnist.npz").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(data.load("kmnist", cache_dir=tmp_path), tiny_arrays)


def test_a_cache_with_pickles_is_not_opened(tmp_path, tiny_arrays, monkeypatch):
    """A cache file may come from anywhere; nothing in it is run."""
    monkeypatch.setattr("snnlab.data.tfds_images._through_tfds", lambda *_args: tiny_arrays)
    np.savez(tmp_path / "kmnist.npz", **tiny_arrays | {"y_test": np.array([print], object)})
    with pytest.warns(
        UserWarning, match="damaged .*y_test .*must be plain numbers or strings, but its header says object"
    ):
        assert_same(data.load("kmnist", cache_dir=tmp_path), tiny_arrays)


def test_a_full_disk_costs_only_the_cache(tmp_path, tiny_arrays, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("snnlab.data.tfds_images._through_tfds", lambda *_args: tiny_arrays)
    monkeypatch.setattr("numpy.savez", full)
    with pytest.warns(UserWarning, match=r"kmnist.npz: cannot be written \(No space left on device\)"):
        found = data.load("kmnist", cache_dir=tmp_path)
    assert_same(found, tiny_arrays)
    assert left_in(tmp_path) == []


def test_a_cache_that_cannot_be_written_is_said(tiny_kmnist, tmp_path):
    (tmp_path / "cache").touch()
    with pytest.raises(DataError, match=r"cache: cannot be written \(.*\); choose another cache_dir, or set SNNLAB_C"):
        data.load("kmnist", cache_dir=tmp_path / "cache", manual_dir=tiny_kmnist)


def test_without_the_extra_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    monkeypatch.delitem(sys.modules, "snnlab.data.tfds_builder", raising=False)
    with pytest.raises(SnnlabError, match=r'pip install "snnlab-live\[data\]"'):
        data.load("mnist", cache_dir=tmp_path)


def test_half_of_the_extra_is_not_enough(source, tmp_path):
    """tensorflow-datasets imports array_record late; that it is missing is still said as such."""
    script = f"import sys; sys.modules['array_record.python'] = None\n{load_script(tmp_path, source)}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert 'pip install "snnlab-live[data]"' in done.stderr.splitlines()[-1]
    assert left_in(tmp_path) == []
