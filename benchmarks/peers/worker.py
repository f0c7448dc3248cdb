"""The process of one contender: JSON lines on stdin and stdout, `{"steps": n}` in, what it measured out."""

import json
import os
import sys
import time

from benchmarks.peers.tasks import TASKS


def main(task: str, name: str, folder: str) -> None:
    """Say `{"ready": ...}`, then take steps when asked; `{"error": ...}` says why that ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print must not come among the replies

    def reply(**message) -> None:
        print(json.dumps(message), file=replies, flush=True)

    try:
        run = TASKS[task].contenders[name].build(folder)
        reply(ready=True)
        for line in sys.stdin:
            before = time.process_time()  # of all threads
            measured = run(json.loads(line)["steps"])
            reply(**measured._asdict(), cpu_seconds=time.process_time() - before)
    except Exception as error:  # whatever the library raises becomes a line of the report
        reply(error=f"{type(error).__name__}: {error}")
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
