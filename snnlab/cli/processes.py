"""How the processes of `snnlab train --distributed` find each other."""

import math
import os
import re
import sys
import threading
from typing import Any, NoReturn

from snnlab.cli.options import INTERRUPTED
from snnlab.cli.terminal import say
from snnlab.errors import ArgumentError
from snnlab.support.interrupt import wait_for

SILENT = 10.0  # seconds until a process says that it waits for the others
FIRST_PORT = 2**16 - 2**12  # of those that JAX chooses from by the number of a job


def join(wait: float) -> bool:
    """Find the other processes of the run; return whether this is the first one.

    Args:
        wait: for how long [s]. Then this process ends with a sentence.

    Raises:
        ArgumentError: if nothing says where they are.
    """
    import jax

    # Its service would catch SIGTERM, for programs that ask it later whether one came.
    jax.config.update("jax_enable_preemption_service", False)
    failed: list[Exception] = []
    met = threading.Event()
    seconds = math.ceil(wait)

    def connect() -> None:
        try:
            jax.distributed.initialize(
                initialization_timeout=seconds + 60, shutdown_timeout_seconds=seconds, **_place()
            )
        except Exception as error:
            failed.append(error)
        met.set()

    threading.Thread(target=connect, daemon=True).start()  # in this thread, Ctrl-C would not be heard
    try:
        _wait(met, wait)
    except KeyboardInterrupt:
        say("interrupted")
        leave(INTERRUPTED)
    if failed:
        reason = str(failed[0]).partition("\n")[0][:200]
        raise ArgumentError(
            f"--distributed: the processes do not find each other ({reason}); start them with srun or with mpirun of "
            "Open MPI, or set JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID in each"
        ) from failed[0]
    return jax.process_index() == 0


def leave(code: int) -> NoReturn:
    """End this process at once. JAX would first wait for processes that do not come any more, and then abort."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _place() -> dict[str, Any]:
    """Return what JAX does not find by itself: numbers in variables, and where processes of Open MPI 5 meet.

    They meet at the host of mpirun, which has process 0, as JAX lets those of Open MPI 4 do. The name of the job says
    which host that is.
    """
    variables = {
        "num_processes": ("JAX_NUM_PROCESSES", "OMPI_COMM_WORLD_SIZE"),
        "process_id": ("JAX_PROCESS_ID", "OMPI_COMM_WORLD_RANK"),
    }
    given = {name: [os.environ[each] for each in both if each in os.environ] for name, both in variables.items()}
    found: dict[str, Any] = {name: int(texts[0]) for name, texts in given.items() if texts}
    job = re.match(r"prterun-(.+)-(\d+)@", os.environ.get("PMIX_NAMESPACE", ""))
    if job is not None and "OMPI_COMM_WORLD_LOCAL_RANK" in os.environ:
        port = os.environ.get("JAX_COORDINATOR_PORT") or FIRST_PORT + int(job[2]) % (2**16 - FIRST_PORT)
        found["coordinator_address"] = os.environ.get("JAX_COORDINATOR_ADDRESS") or f"{job[1]}:{port}"
        if "JAX_LOCAL_DEVICE_IDS" not in os.environ:
            found["local_device_ids"] = [int(os.environ["OMPI_COMM_WORLD_LOCAL_RANK"])]
    return found


def _wait(met: threading.Event, wait: float) -> None:
    """Wait until the processes have met, and say so if it is long; end this process if they do not."""
    soon = min(wait, SILENT)
    if wait_for(met, soon):
        return
    say(f"waiting up to {wait:g} s for {_meeting()}")
    if wait_for(met, wait - soon):
        return
    say(
        f"snnlab: --distributed: waited {wait:g} s in vain for {_meeting()}; start the same command in each, where it "
        "reaches this address, or wait longer with --wait"
    )
    leave(2)


def _meeting() -> str:
    """Say which processes should meet, and where; JAX has no public names for it, these are read from JAX 0.10."""
    from jax._src.distributed import global_state

    where, count = global_state.coordinator_address, global_state.num_processes
    return f"all {count} processes to meet at {where} (this is process {global_state.process_id})"
