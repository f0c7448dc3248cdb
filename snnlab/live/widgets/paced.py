"""A widget that is shown at the pace of the browser, and says what became of every wish of the user."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import anywidget
import traitlets

from snnlab.errors import SnnlabError
from snnlab.live.frames.running import Said


class Paced(anywidget.AnyWidget):
    """Keeps back-pressure: `beat` with every picture, `ready` again once a browser has drawn it.

    Without an answer (a hidden tab, a closed one, a busy Jupyter kernel) it is ready again after `timeout` [s].
    A widget of this kind says in `_hear_page` what it does with a message.

    Args:
        wake: called after everything that the user did, so that its effect shows at once.
        timeout: see above.
        **traits: first values of the traits.

    Attributes:
        message: what the last action has to say.
        pong: the last picture that was drawn.
        hellos: times that a page was opened or loaded again.
        lag: seconds from sending the last picture until it was drawn.
        on_drawn: called when it was.
    """

    ping = traitlets.Int(0).tag(sync=True)

    def __init__(self, wake: Callable[[], None], timeout: float = 3.0, **traits: Any):
        super().__init__(**traits)
        self.add_class("snnlab")
        self._wake, self._timeout = wake, timeout
        self.message = Said("")
        self.pong = self.hellos = 0
        self.lag = self._sent = 0.0
        self.on_drawn: Callable[[], object] = lambda: None
        self.on_msg(self._receive)
        answer_from_any_shell(self)

    @property
    def ready(self) -> bool:
        """The last picture was drawn, or took too long."""
        return self.pong >= self.ping or time.monotonic() - self._sent > self._timeout

    @property
    def almost_ready(self) -> bool:
        """At most one picture is on its way."""
        return self.pong >= self.ping - 1

    def beat(self) -> None:
        """Announce that a picture was sent."""
        self._sent = time.monotonic()
        self.ping += 1

    def send_everything(self) -> None:
        """Send all that is shown now.

        A page that is being opened asks for the widget and then makes it, which takes it seconds. It loses the changes
        that are sent meanwhile, and a value that does not change again would stay wrong there.
        """
        self.send_state([name for name in self.keys if not name.startswith("_")])

    def say(self, text: str, *, warning: bool = False) -> None:
        """Show a sentence until the next action."""
        self.message = Said(text, warning)

    def _receive(self, _widget, content: Any, buffers: Sequence[Any]) -> None:
        """Hear a page; it can send anything."""
        match content:
            case {"hello": _}:
                self.hellos += 1
                self._wake()
            case {"pong": int(pong)} if self.pong < pong <= self.ping:
                self.pong, self.lag = pong, time.monotonic() - self._sent
                self.on_drawn()
            case _:
                self._hear_page(content, buffers)

    def _hear_page(self, content: Any, buffers: Sequence[Any]) -> None:
        """Do what a page asks for."""

    def do(self, action: Callable[[], Any], wake: Callable[[], object] | None = None) -> bool:
        """Do what was asked for, or say why not; returns whether it was possible."""
        self.message = Said("")
        try:
            action()
            return True
        except (SnnlabError, OSError) as error:
            self.say(str(error), warning=True)
            self._wake()
            return False
        except Exception as error:
            self.say(f"{type(error).__name__}: {error}", warning=True)
            raise  # to the log, with its traceback
        finally:
            (wake or self._wake)()


def answer_from_any_shell(widget: anywidget.AnyWidget) -> None:
    """Let the screen work while another cell runs.

    ipykernel 7.4 sends a widget's event to the shell that last spoke on its channel. A widget that never spoke would
    wait for the main shell. Older versions of ipykernel do not have the attribute.
    """
    if hasattr(widget.comm, "_reply_subshell_for"):
        setattr(widget.comm, "_reply_subshell_for", lambda data, default: default)  # noqa: B010 (no public name)
