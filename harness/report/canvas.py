"""What all plots share: palette, type, axes of durations, and SVG that is the same bytes every time."""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from harness.core.verdict import Verdict

INK: Final = "#20262e"
MUTED: Final = "#667080"
FAINT: Final = "#d9dee5"
FLOOR: Final = "#8a929e"

SERIES: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#a67c00")
"""Okabe and Ito's palette, which colour-blind readers tell apart; its yellow darkened for a white ground."""

VERDICTS: Final = {
    Verdict.PASS: "#00795a",
    Verdict.WARN: "#9a6700",
    Verdict.FAIL: "#c23b00",
    Verdict.INVALID: "#9d4b86",
    Verdict.NOT_MEASURED: MUTED,
}
"""The colour of each verdict, dark enough for text on white."""

_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "svg.hashsalt": "membench",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "path.simplify": True,
}
_FAMILY: Final = re.compile(r"'DejaVu Sans'(?:, [^;\"]+)?")
_NAMED: Final = re.compile(r'<g id="[a-zA-Z0-9.]+_\d+">')


def drawn(paint: Callable[[Figure], None], width: float, height: float) -> str:
    """A figure as SVG.

    Args:
        paint: fills the figure.
        width: inches.
        height: inches.

    Returns:
        one `<svg>` element on a white ground, without XML head, date or reference to anything outside. Texts stay
        text. Its ids follow from its content, so that several may stand in one page.
    """
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height))
        paint(figure)
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing)
    return _tidy(out.getvalue())


def _tidy(svg: str) -> str:
    body = svg[svg.index("<svg") :]
    body = re.sub(r"\s*<metadata>.*?</metadata>", "", body, flags=re.S)
    # matplotlib numbers its groups, which would repeat in a page that holds several plots.
    body = _NAMED.sub("<g>", body)
    body = _FAMILY.sub("system-ui, 'DejaVu Sans', sans-serif", body)
    return "\n".join(line.rstrip() for line in body.splitlines()) + "\n"


def duration_axis(axes: Axes, low: float, high: float) -> None:
    """A log y axis of durations from `low` to `high`, microseconds, with ticks at 1, 2 and 5 where few decades show."""
    axes.set_yscale("log")
    axes.set_ylim(low, high)
    few = high / low < 200
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 5.0) if few else (1.0,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def short(microseconds: float) -> str:
    """A round duration for a tick, without decimals that say nothing: "500 µs", "2 ms"."""
    factor, unit = next(s for s in ((1e6, "s"), (1e3, "ms"), (1.0, "µs")) if microseconds >= s[0] or s[0] == 1)
    return f"{microseconds / factor:g} {unit}"


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """The positions moved apart to at least `gap`, in their order and as little as a pass up and down allows."""
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    placed = [positions[index] for index in order]
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] + gap)
    for _ in range(50):
        for i in range(1, len(placed)):
            if placed[i] - placed[i - 1] < gap:
                middle = (placed[i] + placed[i - 1]) / 2
                placed[i - 1], placed[i] = middle - gap / 2, middle + gap / 2
    mean_shift = sum(placed[i] - positions[order[i]] for i in range(len(placed))) / max(len(placed), 1)
    result = [0.0] * len(positions)
    for rank, index in enumerate(order):
        result[index] = placed[rank] - mean_shift
    return result


def label_ends(axes: Axes, ends: Iterable[tuple[float, str, str]], size: float = 9.0) -> None:
    """Write each line's name in its colour beside the right end of the axes, none over another.

    Args:
        axes: with its limits set.
        ends: per line, the y value of its end, the name and the colour.
        size: of the type, points.
    """
    found = list(ends)
    to_axes = (axes.transData + axes.transAxes.inverted()).transform
    box = axes.get_window_extent()
    gap = size * 1.25 * axes.figure.get_dpi() / 72 / box.height
    ys = spread([float(to_axes((axes.get_xlim()[0], end[0]))[1]) for end in found], gap)
    for y, (_, name, colour) in zip(ys, found, strict=True):
        axes.text(1.012, y, name, transform=axes.transAxes, color=colour, va="center", size=size)


def caption(figure: Figure, text: str, inches: float = 4.3) -> None:
    """A line below the plot, which is so many inches high, that says how to read it."""
    figure.text(0.012, 0.0774 / inches, text, color=MUTED, size=8, va="bottom")


def title(figure: Figure, text: str) -> None:
    """The plot's title, at its upper left."""
    figure.text(
        0.012, 1 - min(0.1075 / figure.get_figheight(), 0.025), text, color=INK, size=11, weight="bold", va="top"
    )


def blank(text: str) -> str:
    """A picture that only says why there is nothing to draw."""

    def paint(figure: Figure) -> None:
        figure.text(0.012, 0.5, text, va="center", color=MUTED)

    return drawn(paint, 8.6, 1.2)
