"""Several runs beside one another as HTML: their curves as SVG, and tables. No script, nothing fetched."""

from collections.abc import Sequence

from snnlab.live.frames import side_by_side as frame
from snnlab.live.frames.side_by_side import Row, Settings, Side
from snnlab.live.still import plots, svg
from snnlab.live.still.plots import Flag, Line
from snnlab.support.markup import plain

ROWS, CUT = 6, 40  # lines of labels for moves, and characters of a label
TIP = ' x="epochs" puts the same passes through the data side by side.'
LABELS = 6  # moves of each run that have a flag: the newest ones
BOX = "max-width: 960px; overflow-x: auto"
CELL = "text-align: left; vertical-align: top; padding: 2px 14px 2px 0; white-space: nowrap"
HEAD = "text-align: left; padding: 12px 14px 2px 0; font-weight: 600"
NOTE = "margin: 6px 0"


def drawn(sides: Sequence[Side], x: str) -> str:
    """Draw the curves of all runs, and flags where knobs were moved, as SVG.

    Args:
        sides: the runs, with their letters.
        x: of the curves, one of `frame.AXES`.
    """
    found = frame.plots(sides, x)
    lines = {title: _lines(sides, title, curves) for title, curves in found.items()}
    logs = [title for title, curves in found.items() if frame.is_logarithmic(title, curves)]
    body, bottom = plots.draw_plots(lines, _flags(sides, x), 10, unit=x.removesuffix("s"), logs=logs, rows=ROWS)
    said = [f"{title}: {', '.join(line.label for line in of_plot)}" for title, of_plot in lines.items()]
    words = "; ".join([*said, *frame.told_moves(sides)])
    return svg.inline(body, plots.WIDTH, bottom, title=frame.title(sides), words=words)


def _lines(sides: Sequence[Side], title: str, curves: Sequence[frame.Curve | None]) -> list[Line]:
    found = []
    for k, (side, curve) in enumerate(zip(sides, curves, strict=True)):
        if curve is not None:
            end = f"{curve[1][-1]:.1%}" if title.endswith(" accuracy") else svg.number(curve[1][-1])
            found.append(Line(side.label(), f"{side.letter} {end}", *curve, frame.look(k)))
    return found


def _flags(sides: Sequence[Side], x: str) -> list[Flag]:
    """The newest moves; those that branches share stand there once, for the first of them."""
    found: dict[tuple[float, str], Flag] = {}
    for k, (side, marks) in enumerate(zip(sides, frame.marks(sides), strict=True)):
        unit = side.steps_per_epoch if x == "epochs" else 1
        for mark in marks[-LABELS:]:
            at = mark.step / unit
            found.setdefault((at, mark.label), Flag(at, f"{side.letter}: {svg.cut(mark.label, CUT)}", frame.look(k)))
    return sorted(found.values(), key=lambda flag: flag.at)


def page(sides: Sequence[Side], x: str) -> str:
    """Return curves, results, settings that differ and moves as HTML, on the paper and in the ink of the page."""
    settings = frame.settings(sides)
    rows = "".join(_row(row) for row in frame.results(sides))
    differ = _heading("settings and knobs that differ", len(sides)) + "".join(_row(row) for row in settings.rows)
    table = (
        f'<table style="border-collapse: collapse"><thead>{_heads(sides)}</thead><tbody>{rows}{differ}</tbody></table>'
    )
    notes = _notes(sides, settings, x)
    curves = drawn(sides, x) if any(len(side.history) for side in sides) else ""
    return f'<div class="snnlab-compare" style="{BOX}">{curves}{table}{notes}</div>'


def _heads(sides: Sequence[Side]) -> str:
    cells = "".join(f'<th scope="col" style="{CELL}">{_sample(k)} {plain(s.label())}</th>' for k, s in enumerate(sides))
    return f'<tr><td style="{CELL}"></td>{cells}</tr>'


def _sample(number: int) -> str:
    """A piece of the line of a run."""
    line = svg.path(f"M0 4h{2 * plots.SHORT}", **plots.stroke(frame.look(number), 2))
    return f'<svg width="{2 * plots.SHORT}" height="8" aria-hidden="true">{line}</svg>'


def _heading(words: str, count: int) -> str:
    return f'<tr><th colspan="{count + 1}" style="{HEAD}">{plain(words)}</th></tr>'


def _row(row: Row) -> str:
    cells = [f"<b>{plain(cell)}</b>" if k == row.best else plain(cell) for k, cell in enumerate(row.cells)]
    written = "".join(f'<td style="{CELL}">{cell}</td>' for cell in cells)
    return f'<tr><th scope="row" style="{CELL}; font-weight: 400">{plain(row.name)}</th>{written}</tr>'


def _notes(sides: Sequence[Side], settings: Settings, x: str) -> str:
    moved = [f"moves of {told}" for told in frame.told_moves(sides)]
    lengths = frame.lengths(sides)
    said = [settings.rest, *moved, lengths + TIP if lengths and x == "steps" else lengths]
    return "".join(f'<p style="{NOTE}">{plain(words)}</p>' for words in said if words)
