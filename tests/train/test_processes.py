"""Two processes train one network, to the bits of one, and process 0 steers. One that dies ends the run.

What schedulers set in their processes was seen in those of SLURM 22.05, Open MPI 4.1 and Open MPI 5.0.
"""

import contextlib
import json
import os
import random
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
from snnlab.cli.processes import join
from snnlab.config import SnnConfig
from snnlab.errors import StateError
from snnlab.train import Trainer
from snnlab.train.devices import Devices
from snnlab.train.processes import leads

COMMAND = (sys.executable, "-m", "snnlab.cli", "train", "--hidden", "20", "--num-steps", "30", "--epochs", "90")
JOB_PORTS = range(2**16 - 2**12, 2**16)
"""The ports that JAX chooses from by the number of a job, which is then the place in this list."""


def by_hand(number: int, port: int) -> dict[str, str]:
    return {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": str(number)}


def by_slurm(number: int, port: int) -> dict[str, str]:
    job = {"SLURM_JOB_ID": str(JOB_PORTS.index(port)), "SLURM_NTASKS": "2", "SLURM_STEP_NODELIST": "localhost"}
    return job | {"SLURM_PROCID": str(number), "SLURM_LOCALID": str(number)}


def by_open_mpi(number: int) -> dict[str, str]:
    place = {"SIZE": 2, "RANK": number, "LOCAL_RANK": number}
    return {f"OMPI_COMM_WORLD_{name}": str(value) for name, value in place.items()}


def by_open_mpi_4(number: int, port: int) -> dict[str, str]:
    job = 2**12 * JOB_PORTS.index(port)
    return by_open_mpi(number) | {"OMPI_MCA_orte_hnp_uri": f"{job}.0;tcp://127.0.0.1:53799;tcp6://[::1]:38983"}


def by_open_mpi_5(number: int, port: int) -> dict[str, str]:
    return by_open_mpi(number) | {"PMIX_NAMESPACE": f"prterun-localhost-{JOB_PORTS.index(port)}@1"}


def start(*command: str, **environment: str) -> subprocess.Popen:
    """Start a process that knows nothing of others but what it is told."""
    told = ("JAX_COORD", "JAX_NUM_PROC", "JAX_PROC", "SLURM_", "OMPI_", "PMIX_")
    alone = {name: value for name, value in os.environ.items() if not name.startswith(told)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, env=alone | environment, **pipes)


def free_port() -> int:
    for port in random.sample(JOB_PORTS, 100):
        with contextlib.suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


def both(*command: str, launcher=by_hand) -> list[subprocess.Popen]:
    """Start two processes that can find each other."""
    port = free_port()
    return [start(*command, **launcher(number, port)) for number in range(2)]


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
@pytest.mark.parametrize("by_a_scheduler", [False, True])
def test_the_command_is_resumed_in_another_number_of_processes(tmp_path, by_a_scheduler):
    """Ctrl-C in process 0 ends both, as SIGTERM in both does; one process finishes, to the weights of a whole run."""
    saving = ("--save-every", "0.3", "--resume", str(tmp_path / "run"))
    first, second = both(*COMMAND, "--distributed", *saving)
    while not list((tmp_path / "run").glob("checkpoint-*.safetensors")):
        assert first.poll() is None, ended(first)
        time.sleep(0.05)
    for process in (second, first) if by_a_scheduler else ():
        process.send_signal(signal.SIGTERM)
    if not by_a_scheduler:
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


def join_others() -> None:
    leads = join(60.0)
    print("first" if leads else "other", "of", jax.process_count())


SOME = [by_slurm, by_open_mpi_4, pytest.param(by_open_mpi_5, marks=pytest.mark.smoke)]


@pytest.mark.endure
@pytest.mark.parametrize("launcher", SOME)
def test_processes_find_each_other_by_what_a_scheduler_tells_them(launcher):
    first, second = both(sys.executable, __file__, "join_others", launcher=launcher)
    texts = ended(first), ended(second)
    assert "first of 2" in texts[0] and "other of 2" in texts[1], texts


@pytest.mark.endure
def test_a_process_that_knows_of_no_other_says_so():
    process = start(*COMMAND, "--distributed")
    text = ended(process)
    assert process.returncode == 2 and "set JAX_COORDINATOR_ADDRESS" in text, text


@pytest.mark.endure
@pytest.mark.smoke
@pytest.mark.parametrize("number", [0, 1])
def test_a_process_that_waits_in_vain_ends_with_a_sentence(number):
    port = free_port()
    process = start(*COMMAND, "--distributed", "--wait", "2", **by_hand(number, port))
    text = ended(process)
    told = f"waited 2 s in vain for all 2 processes to meet at 127.0.0.1:{port} (this is process {number})"
    assert process.returncode == 2 and told in text, text


@pytest.mark.endure
def test_the_first_says_why_another_cannot_take_part():
    port = free_port()
    processes = [
        start(*COMMAND, "--distributed", "--data", data, **by_hand(number, port))
        for number, data in enumerate(("digits", "no/such/folder"))
    ]
    texts = [ended(process) for process in processes]
    assert "process 1 cannot take part: no/such/folder: does not exist" in texts[0], texts
    assert [process.returncode for process in processes] == [2, 2] and "Check failure" not in "".join(texts), texts


@pytest.mark.endure
def test_the_first_ends_the_others_if_it_cannot_begin(tmp_path):
    (tmp_path / "net.safetensors").touch()
    first, second = both(*COMMAND, "--distributed", "--out", str(tmp_path))
    texts = ended(first), ended(second)
    assert first.returncode == 2 and "exists; choose another, or add --overwrite" in texts[0], texts
    assert second.returncode == 0, texts


def test_following_needs_somebody_who_leads(small):
    net = models.build(SnnConfig(hidden=20, num_steps=30), sample_shape=(8, 8), num_classes=10)
    with pytest.raises(StateError, match="follow: this is process 0"):
        Trainer(net, small).follow()
    assert not Devices().of_others and Devices(AbstractMesh((2,), ("batch",))).count == 2


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
