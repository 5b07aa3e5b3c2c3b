"""A gate's record as one self-contained page: no network, no script."""

from markupsafe import Markup

from harness import __version__
from harness.core.gate import GateRecord
from harness.report import words as run_words
from harness.report.gate import rows, words
from harness.report.gate.curves import curve_plot, pooled
from harness.report.gate.dots import pairs_plot
from harness.report.gate.forest import forest_plot
from harness.report.html import resource, template
from harness.report.provenance import packages


def html(record: GateRecord, forest: str | None = None) -> str:
    """The report as an HTML page.

    Args:
        record: the gate.
        forest: the SVG that `forest_plot` draws, for who has it already.
    """
    gated = [result for result in record.metrics if result.metric.gated]
    plots = {"forest": forest_plot(record) if forest is None else forest}
    plots |= {f"pairs-{number}": pairs_plot(record, result) for number, result in enumerate(gated)}
    curves = pooled(record) if record.counted else []
    plots |= {f"curve-{number}": curve_plot(record, what) for number, what in enumerate(curves)}
    metrics = record.rules.metrics
    return template("gate/page.html.j2").render(
        record=record,
        version=__version__,
        words=words,
        style=Markup(resource("report.css") + resource("gate/gate.css")),
        plots={name: Markup(svg) for name, svg in plots.items()},
        groups=[(name, found) for name, found in _groups(record) if found],
        gated=gated,
        curves=curves,
        sides=rows.side_rows(record),
        blocks=rows.blocks(record),
        tables=[
            (title, chosen, rows.pair_rows(record, chosen))
            for title, chosen in (
                ("gated", tuple(metric for metric in metrics if metric.gated)),
                ("advisory", tuple(metric for metric in metrics if not metric.gated)),
            )
            if chosen
        ],
        block_rows=rows.block_rows(record),
        loads=[(block.title or name, run_words.load(block)) for name, block in record.blocks.items()],
        rules=rows.rule_rows(record),
        facts=rows.facts(record),
        packages=packages(record),
    )


def _groups(record: GateRecord) -> list[tuple[str, list[rows.MetricRow]]]:
    return [("Gated", rows.metric_rows(record, gated=True)), ("Advisory", rows.metric_rows(record, gated=False))]
