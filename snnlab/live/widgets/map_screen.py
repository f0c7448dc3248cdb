"""A map on its board: a study as it is now."""

from collections.abc import Callable, Iterable

from snnlab.live.frames.map_words import Standing, state_map
from snnlab.live.frames.running import Said
from snnlab.live.widgets.pump import Pump
from snnlab.live.widgets.study_map import StudyMap


class MapScreen(Pump):
    """Shows a study.

    Args:
        board: where it is shown.
        standing: returns the study as it is now.
        around: returns the names of the runs that are open below, and what is being done.
        hz: pictures per second.
    """

    def __init__(
        self,
        board: StudyMap,
        standing: Callable[[], Standing],
        around: Callable[[], tuple[Iterable[str], str]],
        hz: float,
    ):
        # nothing takes its turn here, so it waits for two periods
        super().__init__(board, lambda: 0.5 / hz, "snnlab-map")
        self._board, self._standing, self._around = board, standing, around

    def show(self) -> None:
        """Send one picture, if anything changed since the last one. Any thread may call it."""
        board = self._board
        with self._showing:
            standing = self._standing()
            news = board.sent.take(standing, board.view)
            state = state_map(standing, board.message, *self._around())
            new = news is not None or state != board.state
            if news is not None:
                board.tell(news)
            greets = self._greets()
            with board.hold_sync():  # one message
                board.state = state
                if news is not None:
                    board.drawn = board.sent.drawn
                if new or greets:
                    board.beat()
            if greets:
                board.send_everything()

    def _say(self, said: Said) -> None:
        self._board.state = self._board.state | {"said": said._asdict()}
