"""The pump of a map: at most `hz` times a second, and only if the last picture was drawn, it shows a study."""

import threading
from collections.abc import Callable, Iterable

from snnlab.live.frames.map_words import Standing, state_map
from snnlab.live.frames.running import Said
from snnlab.live.widgets.rhythm import Rhythm
from snnlab.live.widgets.study_map import StudyMap


class MapScreen:
    """Shows a study, from a thread of its own.

    Args:
        board: where it is shown.
        standing: returns the study as it is now.
        around: returns the names of the runs that are open below, and what is being done.
        hz: pictures per second.

    Attributes:
        rhythm: says when the next picture is due; ask it to have one now.
        on_answer: called when a picture that somebody waited for is on the screen.
    """

    def __init__(
        self,
        board: StudyMap,
        standing: Callable[[], Standing],
        around: Callable[[], tuple[Iterable[str], str]],
        hz: float,
    ):
        self._board, self._standing, self._around = board, standing, around
        self.rhythm = Rhythm(lambda: 0.5 / hz)  # nothing takes its turn here, so it waits for two periods
        self._showing = threading.Lock()
        self._closed = self._missed = self._urgent = False
        self._awaited: int | None = None  # the picture that somebody waits for, once it was sent
        self.on_answer: Callable[[], object] = lambda: None
        self._hellos = 0
        board.on_drawn = self._catch_up
        self._thread = threading.Thread(target=self._pump, name="snnlab-map", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, and wait for the picture that it is sending."""
        self._closed = True
        self.rhythm.ask()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _pump(self) -> None:
        while not self._closed:
            self.rhythm.begin()
            self._missed = not (self._board.ready or (self._urgent and self._board.almost_ready))
            if not self._missed:
                urgent, self._urgent = self._urgent, False
                try:
                    self.show()
                    self._awaited = self._board.ping if urgent else self._awaited
                except Exception as error:  # a picture that fails must not end all pictures
                    said = Said(f"display error: {error!r}", True)._asdict()
                    self._board.state = self._board.state | {"said": said}
            self.rhythm.wait()

    def hurry(self) -> None:
        """Have a picture now, even if the last one is still on its way: somebody waits for it."""
        self._urgent = True
        self.rhythm.ask()

    def _catch_up(self) -> None:
        """Show what came while the last picture was on its way."""
        if self._awaited is not None and self._board.pong >= self._awaited:
            self._awaited = None
            self.on_answer()
        if self._missed:
            self.rhythm.ask()

    def show(self) -> None:
        """Send one picture, if anything changed since the last one. Any thread may call it."""
        board = self._board
        with self._showing:  # an older picture must not be shown after a newer one
            standing = self._standing()
            news = board.sent.take(standing, board.view)
            state = state_map(standing, board.message, *self._around())
            new = news is not None or state != board.state
            if news is not None:
                board.tell(news)
            with board.hold_sync():  # one message
                board.state = state
                if news is not None:
                    board.drawn = board.sent.drawn
                if new or board.hellos != self._hellos:
                    board.beat()
            if board.hellos != self._hellos:
                self._hellos = board.hellos
                board.send_everything()
