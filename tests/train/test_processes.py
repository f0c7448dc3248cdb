"""Two processes train one network, to the bits of one, and process 0 steers. One that dies ends the run."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.sharding import AbstractMesh
from safetensors.numpy import load_file

from snnlab import data, models
from snnlab.checkpoint import Checkpoints
from snnlab.config import SnnConfig
from snnlab.errors import StateError
from snnlab.train import Trainer
from snnlab.train.devices import Devices
from snnlab.train.processes import leads

COMMAND = (sys.executable, "-m", "snnlab.cli", "train", "--hidden", "20", "--num-steps", "30", "--epochs", "90")


def start(*command: str, number: int, port: int, count: int = 2) -> subprocess.Popen:
    """Start one of some processes."""
    who = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": count, "JAX_PROCESS_ID": number}
    environment = os.environ | {name: str(value) for name, value in who.items()}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=environment, **pipes)


def both(*command: str) -> list[subprocess.Popen]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [start(*command, number=number, port=port) for number in range(2)]


def ended(process: subprocess.Popen) -> str:
    return process.communicate(timeout=240)[0]


def trainer_of(devices=None) -> Trainer:
    digits = data.load("digits").subset(train=256, test=80)
    net = models.build(SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
    return Trainer(net, digits, epochs=2, batch_size=32, devices=devices)


def steered(trainer: Trainer) -> dict:
    """A run that is steered in all ways, and what it leaves behind."""
    trainer.fit(until=3)
    trainer.set(v_th=0.8)
    time.sleep(1.0)  # a pause, in which the others wait
    trainer.fit(until=5)
    point = trainer.at
    trainer.fit(until=9)
    trainer.at = point
    trainer.plan([(7, "learning_rate", 0.003)])
    trainer.fit()
    rows = [{name: row[name] for name in row if "second" not in name} for row in trainer.history.epochs]
    columns = {name: column.tolist() for name, column in trainer.history.steps().items()}
    weights = [np.asarray(leaf).tobytes().hex() for leaf in jax.tree.leaves(trainer.state.params)]
    return {"rows": rows, "columns": columns, "weights": weights, "test": trainer.evaluate()}


def lead_or_follow() -> None:
    number, count = int(os.environ["JAX_PROCESS_ID"]), int(os.environ["JAX_NUM_PROCESSES"])
    jax.distributed.initialize(num_processes=count, process_id=number)
    trainer = trainer_of("all")
    if leads():
        print("result", json.dumps(steered(trainer)))
    else:
        with pytest.raises(StateError, match="follows process 0"):
            next(iter(trainer))
        trainer.follow()
        print("followed")


def killed_while_it_trains(folder: str) -> None:
    """Process 1 dies after the fourth step."""
    number, count = int(os.environ["JAX_PROCESS_ID"]), int(os.environ["JAX_NUM_PROCESSES"])
    jax.distributed.initialize(num_processes=count, process_id=number, shutdown_timeout_seconds=5)
    trainer = trainer_of("all")
    if not leads():
        Path(folder, "process").write_text(str(os.getpid()))
        trainer.follow()
        return
    saved = Checkpoints(trainer, folder + "/run", every=1e9)
    trainer.mailbox.stop_at = 4
    try:
        for report in saved:
            if report.step == 4:
                os.kill(int(Path(folder, "process").read_text()), signal.SIGKILL)
                time.sleep(0.5)
    except StateError as error:
        print("said:", error, flush=True)
    os._exit(0)  # JAX would wait for the dead


def test_two_processes_have_the_bits_of_one():
    first, second = both(sys.executable, __file__, "lead_or_follow")
    texts = ended(first), ended(second)
    assert "followed" in texts[1], texts
    found = json.loads(texts[0].partition("result ")[2].splitlines()[0])
    assert found == json.loads(json.dumps(alone())), "as without the others"


def alone() -> dict:
    """The same run in one process."""
    code = "import json, test_processes as t; print('result', json.dumps(t.steered(t.trainer_of())))"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.partition("result ")[2])


@pytest.mark.endure
def test_a_process_that_dies_ends_the_run_and_nothing_is_lost(tmp_path):
    first, second = both(sys.executable, __file__, "killed_while_it_trains", str(tmp_path))
    text = ended(first)
    ended(second)
    assert "said: the processes of this run have lost each other" in text, text
    saved = Checkpoints(trainer_of(), tmp_path / "run")
    assert saved.resumed and len(saved.trainer.history) == 4
    for _ in saved:
        pass
    saved.close()
    assert saved.trainer.done


@pytest.mark.endure
def test_the_command_is_resumed_in_another_number_of_processes(tmp_path):
    """Ctrl-C in process 0 ends both; one process finishes, and has the weights of a run that nobody interrupted."""
    saving = ("--save-every", "0.3", "--resume", str(tmp_path / "run"))
    first, second = both(*COMMAND, "--distributed", *saving)
    while not list((tmp_path / "run").glob("checkpoint-*.safetensors")):
        assert first.poll() is None, ended(first)
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    assert "and the same command continues it" in ended(first) and first.returncode == 130
    ended(second)
    assert second.returncode == 0
    for name, options in (("resumed", saving), ("whole", ())):
        subprocess.run([*COMMAND, *options, "--out", str(tmp_path / name)], check=True)
    resumed, whole = (load_file(tmp_path / name / "net.safetensors") for name in ("resumed", "whole"))
    assert resumed.keys() == whole.keys()
    for name in whole:
        np.testing.assert_array_equal(resumed[name], whole[name])


def test_following_needs_somebody_who_leads(small):
    net = models.build(SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
    with pytest.raises(StateError, match="follow: this is process 0"):
        Trainer(net, small).follow()
    assert not Devices().of_others and Devices(AbstractMesh((2,), ("batch",))).count == 2


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
