"""The process of one contender: JSON lines on stdin and stdout, `{"steps": n}` in, what it measured out."""

import json
import os
import platform
import sys
import time

from benchmarks.machine import version
from benchmarks.peers.tasks import TASKS


def main(task: str, name: str, folder: str) -> None:
    """Say which version of the package runs here, then take steps when asked; `{"error": ...}` says why that ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not come among the replies

    def reply(**message) -> None:
        print(json.dumps(message), file=replies, flush=True)

    try:
        contender = TASKS[task].contenders[name]
        run = contender.build(folder)
        reply(version=version(contender.package), python=platform.python_version())
        for line in sys.stdin:
            before = time.process_time()  # of all threads
            measured = run(json.loads(line)["steps"])
            reply(**measured._asdict(), cpu_seconds=time.process_time() - before)
    except Exception as error:  # whatever the library raises becomes a line of the report
        reply(error=f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
