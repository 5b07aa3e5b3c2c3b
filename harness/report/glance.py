"""All targets at a glance, each figure relative to its bounds."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.core.record import RunRecord, TargetResult
from harness.core.verdict import Verdict
from harness.report import canvas
from harness.report.figures import TargetRow, target_rows

_REACH = 32.0
_TINTS = {"good": "#e3f2ec", "between": "#fbf0d9", "bad": "#fbe4da"}
_MARKS = {Verdict.PASS: "o", Verdict.WARN: "D", Verdict.FAIL: "s", Verdict.INVALID: "X"}


def targets_plot(record: RunRecord) -> str:
    """SVG of all targets: how many times better or worse than its target each figure is.

    The axis is a log ratio, 1 at the target and worse to the right whichever way the target points. Figures more than
    32 times off stand at the edge, as arrows.
    """
    rows = target_rows(record)
    if not rows:
        return canvas.blank("no targets")
    height = 1.15 + 0.36 * len(rows)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.225, 0.62 / height, 0.55, 1 - 1.12 / height))
        for y, (row, target) in enumerate(zip(rows, record.targets, strict=True)):
            _row(axes, -y, row, target)
        _axis(axes, len(rows))
        canvas.title(figure, "Targets at a glance")
        canvas.caption(figure, "Green: target met; amber: up to the critical threshold; red: beyond it.")

    return canvas.drawn(paint, 8.6, height)


def badness(target: TargetResult, value: float) -> float:
    """How many times worse than the target a value is: 1 at the target, below it better, at most infinite."""
    better, worse = (target.target, value) if target.better == "lower" else (value, target.target)
    if worse == 0:
        return 0.0
    return worse / better if better > 0 else float("inf")


def _row(axes: Axes, y: int, row: TargetRow, target: TargetResult) -> None:
    critical = min(badness(target, target.critical), _REACH)
    spans = ((1 / _REACH, 1.0, "good"), (1.0, critical, "between"), (critical, _REACH, "bad"))
    for left, right, tint in spans:
        axes.barh(y, right - left, left=left, height=0.66, color=_TINTS[tint], lw=0)
    colour = canvas.VERDICTS[row.verdict]
    left_label = axes.get_yaxis_transform()
    axes.text(-0.03, y, row.title, transform=left_label, ha="right", va="center", size=9)
    said = str(row.verdict) if target.value is None else f"{row.verdict} · {row.value}"
    axes.text(1.03, y, said, transform=left_label, va="center", size=9, color=colour, weight="bold")
    if target.value is None:
        return
    at = badness(target, target.value)
    shown = min(max(at, 1 / _REACH), _REACH)
    mark = _MARKS.get(row.verdict, "o") if shown == at else ("<" if at < 1 else ">")
    hollow = row.verdict is Verdict.INVALID
    face = "white" if hollow else colour
    axes.plot([shown], [y], mark, ms=8, mfc=face, mec=colour, mew=1.4, clip_on=False, zorder=3)


def _axis(axes: Axes, rows: int) -> None:
    axes.set_xscale("log")
    axes.set_xlim(1 / _REACH, _REACH)
    axes.set_ylim(-rows + 0.5, 0.5)
    axes.set_yticks([])
    axes.grid(False)
    axes.axvline(1, color=canvas.INK, lw=1)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.xaxis.set_major_locator(FixedLocator([1 / 10, 1 / 3, 1, 3, 10]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: _times(ratio)))
    axes.tick_params(length=0, labelsize=8.5)


def _times(ratio: float) -> str:
    if ratio == 1:
        return "target"
    return f"{ratio:g}× worse" if ratio > 1 else f"{1 / ratio:.0f}× better"
