"""How often a gate errs on a machine: a table and a plot, from a calibration's record alone."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from harness.core.calibration import OPERATION, Arm, CalibrationRecord, Frequency
from harness.core.paired import estimate
from harness.report.canvas import INK, MUTED, SERIES, caption, drawn, label_ends, title


def table(record: CalibrationRecord) -> str:
    """Markdown: what was found under each factor, and what was accused that was as fast as before."""
    slowed = _slowed(record)
    heads = ["search slower by", "as measured", *(f"{name} found" for name in slowed)]
    heads += ["other gated metrics accused", "inconclusive", "over after the first look"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for arm in record.arms:
        if arm.result is None:
            continue
        what = "nothing (A/A)" if arm.result.alike else f"{arm.factor - 1:.0%}"
        found = [_share(arm.result.metrics[name]) for name in slowed]
        rest = [_others(record, arm), _share(arm.result.inconclusive), _share(arm.result.early)]
        lines.append("| " + " | ".join([what, _measured(record, arm), *found, *rest]) + " |")
    return "\n".join(lines) + "\n"


def text(record: CalibrationRecord) -> str:
    """Markdown: the table, with what it stands on."""
    looks = " and ".join(str(look) for look in record.rules.looks)
    alike = next((arm for arm in record.arms if arm.result and arm.result.alike), None)
    alarms = f"{_share(alike.result.regression)} of gates" if alike and alike.result else "not known: too few rounds"
    measured = ", ".join(f"{len(arm.pairs)} with {arm.factor:g} times" for arm in record.arms)
    own = "; those with 1 times are of the real gates" if record.gates else ""
    real = f"Of {len(record.gates)} real gates, {record.false_alarms} said REGRESSION. " if record.gates else ""
    machine = record.provenance.machine
    return (
        f"# What a gate finds on this machine\n\n"
        f"False alarms over all gated metrics: {alarms}, base against itself. {real}Looks at {looks} pairs.\n\n"
        f"{table(record)}\n"
        f"{alike.result.regression.of if alike and alike.result else 0:,} gates each, drawn anew by whole rounds from "
        f"real pairs of blocks ({measured} the time of a search, {record.minutes:.0f} minutes{own}) and decided as "
        f"real ones are. A search is slower by so much for who asks: in the service it sleeps for "
        f"{record.share:.2f} times that share of its own time. As measured: the P50 of the recorded pairs.\n\n"
        f"{machine.get('processor', '')}, {machine.get('cores', '?')} cores, {record.provenance.python}, membench "
        f"{record.provenance.membench}, {record.memories:,} memories.\n"
    )


def plot(record: CalibrationRecord) -> str:
    """SVG: the share of gates that find a slowdown, by its size, one line per metric of the operation."""
    arms = [arm for arm in record.arms if arm.result is not None]
    names = _slowed(record)

    def paint(figure: Figure) -> None:
        axes = figure.subplots()
        figure.subplots_adjust(left=0.09, right=0.8, top=0.88, bottom=0.2)
        ends = []
        for name, colour in zip(names, SERIES, strict=False):
            shares = [arm.result.metrics[name] for arm in arms if arm.result]
            at = [(arm.factor - 1) * 100 for arm in arms]
            axes.fill_between(at, [s.low for s in shares], [s.high for s in shares], color=colour, alpha=0.15, lw=0)
            axes.plot(at, [s.share for s in shares], color=colour, marker="o", ms=4, lw=1.6)
            ends.append((shares[-1].share, name, colour))
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlim(-1, max((arm.factor - 1) * 100 for arm in arms) + 1)
        axes.set_xlabel("search really slower by, %", color=MUTED)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.tick_params(colors=INK)
        label_ends(axes, ends)
        title(figure, "Share of gates that find it")
        caption(figure, "At 0 each find is a false alarm. Bands: 95% of the draws.", 3.6)

    return drawn(paint, 8.6, 3.6)


def _slowed(record: CalibrationRecord) -> Sequence[str]:
    """The gated metrics of what was slowed down."""
    return [metric.name for metric in record.rules.metrics if metric.gated and metric.operation == OPERATION]


def _measured(record: CalibrationRecord, arm: Arm) -> str:
    """By how much the operation's median really was slower, over the arm's own pairs."""
    metric = next((one for one in record.rules.metrics if one.gated and one.operation == OPERATION), None)
    logs = [pair.worse(metric) for pair in arm.pairs if not pair.doubts] if metric else []
    found = estimate([log for log in logs if log is not None])
    return "–" if found is None else f"{found.ratio - 1:+.1%}"


def _others(record: CalibrationRecord, arm: Arm) -> str:
    """The most often accused of the gated metrics that nothing was done to."""
    assert arm.result is not None  # asked for only where there is one
    names = [one.name for one in record.rules.metrics if one.gated and one.operation != OPERATION]
    worst = max(names, key=lambda name: arm.result.metrics[name].share if arm.result else 0.0)
    most = arm.result.metrics[worst]
    return "none" if not most.count else f"{_share(most)} ({worst})"


def _share(frequency: Frequency) -> str:
    digits = 1 if frequency.share < 0.1 or frequency.share > 0.9 else 0
    return f"{frequency.share:.{digits}%}"
