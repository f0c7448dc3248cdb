"""The pump of a screen: a picture now and then, and only if the browser has drawn the last one."""

import threading
from collections.abc import Callable

from snnlab.live.frames.running import Said
from snnlab.live.widgets.paced import Paced
from snnlab.live.widgets.rhythm import Rhythm


class Pump:
    """Shows something on a board, from a thread of its own. What somebody waits for shows at once.

    A screen of this kind sends its pictures in `show`, and says in `_say` why one failed.

    Args:
        board: where it is shown.
        period: returns the time between two pictures [s].
        name: of the thread.

    Attributes:
        rhythm: says when the next picture is due; ask it to have one now.
        on_answer: called when a picture that somebody waited for is on the screen.
    """

    def __init__(self, board: Paced, period: Callable[[], float], name: str):
        self._paced = board
        self.rhythm = Rhythm(period)
        self._showing = threading.Lock()  # an older picture must not be shown after a newer one
        self._closed = False
        self._hellos = 0
        self._missed = False  # something is to be shown, and the last picture was not drawn yet
        self._urgent = False  # somebody waits for it
        self._awaited: int | None = None  # the picture that somebody waits for, once it was sent
        self.on_answer: Callable[[], object] = lambda: None
        board.on_drawn = self._catch_up
        self._thread = threading.Thread(target=self._pump, name=name, daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and wait for the picture that it is sending."""
        self._closed = True
        self.rhythm.ask()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def hurry(self) -> None:
        """Have a picture now, even if the last one is still on its way: somebody waits for it."""
        self._urgent = True
        self.rhythm.ask()

    def show(self) -> None:
        """Send one picture, if anything changed since the last one. Any thread may call it."""
        raise NotImplementedError

    def _say(self, said: Said) -> None:
        """Show a sentence in place of a picture that failed."""
        raise NotImplementedError

    def _pump(self) -> None:
        board = self._paced
        while not self._closed:
            self.rhythm.begin()
            self._missed = not (board.ready or (self._urgent and board.almost_ready))
            if not self._missed:
                urgent, self._urgent = self._urgent, False
                try:
                    self.show()
                    self._awaited = board.ping if urgent else self._awaited
                except Exception as error:  # a picture that fails must not end all pictures
                    self._say(Said(f"display error: {error!r}", True))
            self.rhythm.wait()

    def _catch_up(self) -> None:
        """Show what came while the last picture was on its way."""
        if self._awaited is not None and self._paced.pong >= self._awaited:
            self._awaited = None
            self.on_answer()
        if self._missed:
            self.rhythm.ask()

    def _greets(self) -> bool:
        """Return whether a page was opened since the last call."""
        before, self._hellos = self._hellos, self._paced.hellos
        return self._hellos != before
