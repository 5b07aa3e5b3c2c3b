"""A run record as one self-contained page: no network, no script."""

from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from harness import __version__
from harness.core.record import RunRecord
from harness.report import beside, pressure, provenance, words
from harness.report.figures import (
    PERCENT_LABELS,
    health_rows,
    notes,
    operation_rows,
    service_rows,
    target_rows,
)
from harness.report.plots import all_plots
from harness.report.units import NOTHING, clean, count, duration, number


def html(record: RunRecord, plots: dict[str, str] | None = None) -> str:
    """The report as an HTML page.

    Args:
        record: the run.
        plots: the SVGs as `harness.report.plots.all_plots` draws them, for who has them already.
    """
    drawn = all_plots(record) if plots is None else plots
    return template("template.html.j2").render(
        record=record,
        version=__version__,
        words=words,
        style=Markup(resource("report.css")),
        plots={name: Markup(svg) for name, svg in drawn.items()},
        targets=target_rows(record),
        pressure=pressure,
        costs=pressure.cost_rows(record),
        scenarios=[_scenario(record, result.name) for result in record.scenarios],
        system=provenance.system_facts(record),
        facts=provenance.facts(record),
        packages=provenance.packages(record),
        percent_labels=PERCENT_LABELS,
        nothing=NOTHING,
    )


def _scenario(record: RunRecord, name: str) -> dict[str, object]:
    result = record.scenario(name)
    assert result is not None
    rows = operation_rows(record, result)
    return {
        "result": result,
        "rows": rows,
        "notes": notes(rows),
        "health": health_rows(result),
        "service": service_rows(result),
        "said": beside.said(result),
        "worst": beside.worst(result),
        "tables": beside.tables(result),
    }


@cache
def template(name: str) -> jinja2.Template:
    """A template of a page, by its path in this package: it escapes, and leaves out control characters."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(resource),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clean": clean, "count": count, "duration": duration, "number": number}
    environment.finalize = lambda value: clean(value) if type(value) is str else value
    return environment.get_template(name)


def resource(name: str) -> str:
    """The text of a file of this package, by its path in it."""
    return files("harness.report").joinpath(name).read_text(encoding="utf-8")
