"""Runs a notebook through a Jupyter server, as the browser of somebody who presses "Run All" would.

    python through_server.py ADDRESS TOKEN PATH

PATH is relative to the folder that the server serves. The kernel is asked for over REST; cells go out and messages
come back over the server's websocket (websocket-client comes with JupyterLab). As in a browser the dashboard is built
and the cell that trains returns at once; nobody draws the pictures, though. Prints one line of JSON: seconds from
asking for a kernel until the first optimizer step was seen (and how many of them the kernel computed) and until every
run had ended, the kernel's peak memory [MB], and the steps taken. `check.py` uses it.
"""

import json
import sys
import time
import urllib.request
import uuid

import websocket

TIMEOUT = 300  # seconds without any message

# Runs in the kernel before the notebook: looks fifty times a second whether a LiveTrainer has learned something.
WATCH = """
import os, threading, time
_first_update = []
def _labs():
    found = {id(value): value for value in list(globals().values()) if type(value).__name__ == "LiveTrainer"}
    return list(found.values())
def _watch():
    while not any(len(lab.history) for lab in _labs()):
        time.sleep(0.02)
    _first_update.extend([time.time(), sum(os.times()[:2])])
threading.Thread(target=_watch, daemon=True).start()
"""

# And after it.
RESULT = """
import json
from pathlib import Path
for _lab in _labs():
    while _lab.state in ("compiling", "training"):  # one that a notebook holds stays held
        time.sleep(0.1)
    assert _lab.error is None, _lab.error
_peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"first_update": _first_update[0], "first_update_cpu": _first_update[1], "done": time.time(),
                  "peak_mb": int(_peak.split()[1]) * 1024 / 1e6, "steps": [len(lab.history) for lab in _labs()]}))
"""


class Server:
    """A Jupyter server.

    Args:
        address: such as "http://127.0.0.1:8888".
        token: of the server.
    """

    def __init__(self, address: str, token: str):
        self.address, self.token = address, token

    def ask(self, path: str, method: str = "GET", body: dict | None = None) -> dict:
        """One request of its REST interface."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"token {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.address}/api/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or "{}")

    def connect(self, kernel: str) -> websocket.WebSocket:
        """The messages of a kernel."""
        url = f"{self.address.replace('http', 'ws', 1)}/api/kernels/{kernel}/channels"
        return websocket.create_connection(url, timeout=TIMEOUT, header=[f"Authorization: token {self.token}"])


def execute(channel: websocket.WebSocket, code: str) -> str:
    """Run a cell to its end; what it printed.

    Raises:
        RuntimeError: with the traceback if it failed, or if the kernel died.
    """
    number = uuid.uuid4().hex
    header = {"msg_id": number, "msg_type": "execute_request", "version": "5.3", "username": "", "session": ""}
    content = {"code": code, "silent": False, "store_history": True, "allow_stdin": True, "stop_on_error": True}
    message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    channel.send(json.dumps(message))
    printed = ""
    while True:
        received = channel.recv()
        if not isinstance(received, str):  # a message with buffers: those of the dashboard
            continue
        message = json.loads(received)
        kind, content = message["msg_type"], message["content"]
        if content.get("execution_state") in ("restarting", "autorestarting", "dead"):
            raise RuntimeError("the kernel died; most likely it needed more memory than there is")
        if message["parent_header"].get("msg_id") != number:
            continue
        if kind == "error":
            raise RuntimeError("\n".join(content["traceback"]))
        if kind == "stream":
            printed += content["text"]
        if kind == "status" and content["execution_state"] == "idle":
            return printed


def run(server: Server, path: str) -> dict:
    """Execute a notebook from top to bottom; what the last cell measured, in seconds from asking for the kernel."""
    cells = server.ask(f"contents/{path}")["content"]["cells"]
    sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    asked = time.time()
    session = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
    session = server.ask("sessions", "POST", session)
    channel = server.connect(session["kernel"]["id"])
    for source in [WATCH, *sources]:
        execute(channel, source)
    measured = json.loads(execute(channel, RESULT).splitlines()[-1])
    channel.close()
    server.ask(f"sessions/{session['id']}", "DELETE")
    return measured | {name: measured[name] - asked for name in ("first_update", "done")}


if __name__ == "__main__":
    print(json.dumps(run(Server(*sys.argv[1:3]), sys.argv[3])))
