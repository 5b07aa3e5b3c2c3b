"""Every plot of a record, by name."""

from matplotlib.figure import Figure

from harness.core.record import RunRecord, ScenarioResult
from harness.report import canvas
from harness.report.glance import targets_plot
from harness.report.percentiles import percentile_plot
from harness.report.timeline import timeline_plot

__all__ = ["all_plots", "percentile_plot", "pool_plot", "targets_plot", "timeline_plot"]


def all_plots(record: RunRecord) -> dict[str, str]:
    """The SVG of every plot that the record has figures for.

    Returns:
        by name, which is also the file's without ".svg": "targets", and per scenario "<scenario>-percentiles",
        "<scenario>-timeline" and, where the service told of its pool, "<scenario>-pool".
    """
    plots = {"targets": targets_plot(record)} if record.targets else {}
    for result in record.scenarios:
        plots[f"{result.name}-percentiles"] = percentile_plot(record, result)
        plots[f"{result.name}-timeline"] = timeline_plot(result)
        if result.service.pool_utilization:
            plots[f"{result.name}-pool"] = pool_plot(result)
    return plots


def pool_plot(result: ScenarioResult) -> str:
    """SVG of the busy share of the service's connection pool over the measure phase."""
    readings = result.service.pool_utilization
    if not readings:
        return canvas.blank(f"{result.name}: the service tells nothing of its pool")

    def paint(figure: Figure) -> None:
        axes = figure.add_axes((0.09, 0.24, 0.76, 0.56))
        seconds = [reading.second for reading in readings]
        busy = [reading.value * 100 for reading in readings]
        axes.plot(seconds, busy, color=canvas.SERIES[0], lw=1.6)
        axes.fill_between(seconds, busy, color=canvas.SERIES[0], alpha=0.12, lw=0)
        axes.set_ylim(0, max(100.0, *busy))
        axes.set_xlim(min(0.0, *seconds), max(result.seconds, *seconds))
        axes.set_yticks([0, 50, 100], ["0%", "50%", "100%"])
        axes.set_xlabel("seconds since the measure phase began", size=8.5, labelpad=2)
        canvas.label_ends(axes, [(busy[-1], "busy", canvas.SERIES[0])])
        canvas.title(figure, "Connection pool in use")

    return canvas.drawn(paint, 8.6, 2.3)
