"""Every plot of a record, by name."""

from harness.core.record import RunRecord
from harness.report.glance import targets_plot
from harness.report.panels import panels
from harness.report.percentiles import percentile_plot
from harness.report.telemetry import telemetry_plot
from harness.report.timeline import timeline_plot

__all__ = ["all_plots", "percentile_plot", "targets_plot", "telemetry_plot", "timeline_plot"]


def all_plots(record: RunRecord) -> dict[str, str]:
    """The SVG of every plot that the record has figures for.

    Returns:
        by name, which is also the file's without ".svg": "targets", and per scenario "<scenario>-percentiles",
        "<scenario>-timeline" and, where anything was read beside it, "<scenario>-telemetry".
    """
    plots = {"targets": targets_plot(record)} if record.targets else {}
    for result in record.scenarios:
        plots[f"{result.name}-percentiles"] = percentile_plot(record, result)
        plots[f"{result.name}-timeline"] = timeline_plot(result)
        if panels(result) or result.telemetry.events:
            plots[f"{result.name}-telemetry"] = telemetry_plot(result)
    return plots
