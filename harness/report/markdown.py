"""A run record as Markdown for GitHub: a job summary or a comment."""

import re
from collections.abc import Iterable, Mapping

from harness.core.record import RunRecord, ScenarioResult
from harness.report import beside, pressure, words
from harness.report.figures import (
    PERCENT_LABELS,
    OperationRow,
    health_rows,
    notes,
    operation_rows,
    service_rows,
    target_rows,
)
from harness.report.provenance import facts, system_facts
from harness.report.units import NOTHING, clean, count, duration, number

# Not the full stop, the minus or the sign of numbers: GitHub reads them literally inside a table or a sentence.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~&@])")


def markdown(record: RunRecord, plots: Mapping[str, str]) -> str:
    """The report as GitHub-flavoured Markdown.

    Args:
        record: the run.
        plots: the path of each plot by its name (as `harness.report.plots.all_plots` names them), relative to where
            the text will be; none, to leave pictures out.

    Returns:
        the text, ending in a line break.
    """
    lines = [f"# {escape(words.headline(record))}", ""]
    lines += quoted(words.shortcomings(record))
    suite = f", suite {escape(record.suite)}" if record.suite else ""
    lines += [f"{words.tally(record)}. Run `{code(record.id)}`{suite}, {escape(record.created_at)}.", ""]
    lines += [f"- {escape(reason)}" for reason in words.run_reasons(record)]
    lines += ["", *_targets(record), *_picture(plots, "targets", "All targets at a glance")]
    for result in record.scenarios:
        lines += _scenario(record, result, plots)
    lines += [*_pressure(record), *_micro(record)]
    lines += [f"**Next:** {escape(words.next_step(record))}", "", *_details(record)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: no markup, no HTML, no mention, no end of a table cell."""
    return _SPECIAL.sub(r"\\\1", " ".join(clean(text).split()))


def code(text: str) -> str:
    """Text for between two backticks."""
    return " ".join(clean(text).split()).replace("`", "'").replace("|", "\\|")


def quoted(lines: Iterable[str]) -> list[str]:
    """A warning of one item per line, escaped here; nothing for no lines."""
    items = [f"> - {escape(line)}" for line in lines]
    return ["> [!WARNING]", *items, ""] if items else []


def table(heads: Iterable[str], rows: Iterable[Iterable[str]], left: int = 1) -> list[str]:
    """A table, its cells escaped here.

    Args:
        heads: as they are.
        rows: of as many cells.
        left: how many of the first columns are aligned to the left.
    """
    heads = list(heads)
    rule = [":--" if index < left else "--:" for index in range(len(heads))]
    lines = [heads, rule, *([escape(cell) for cell in row] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines] + [""]


def _targets(record: RunRecord) -> list[str]:
    rows = target_rows(record)
    if not rows:
        return []
    heads = ["Target", "Verdict", "Figure", "Target", "Critical", "Clock", "Floor"]
    cells = (
        (
            r.title,
            r.verdict,
            f"{r.value} ({r.interval})" if r.interval else r.value,
            r.target,
            r.critical,
            r.clock,
            r.floor,
        )
        for r in rows
    )
    lines = ["## Targets", "", *table(heads, cells, left=2)]
    for row in rows:
        said = [*row.reasons, *(f"Try: {hint}" for hint in row.hints)]
        if said:
            lines.append(f"- **{escape(row.title)}** ({row.verdict}): {escape('; '.join(said))}")
    return [*lines, ""]


def _scenario(record: RunRecord, result: ScenarioResult, plots: Mapping[str, str]) -> list[str]:
    rows = operation_rows(record, result)
    lines = [f"## {escape(result.scenario.title)}", "", escape(result.scenario.description), ""]
    lines += [f"{escape(words.load(result.scenario))}; {words.phases(result)}.", ""]
    lines += quoted([words.repetition(result)] if result.attempt > 1 else [])
    lines += [f"- {escape(line)}" for line in [*beside.said(result), " ".join(beside.worst(result))] if line]
    lines += [""]
    heads = ["Operation", "Clock", "Due/s", "Done/s", "Ok", "Failed", "Skipped", "Censored", *PERCENT_LABELS]
    cells = []
    for row in rows:
        for clock in row.clocks:
            if clock.clock == "response":
                counts = [count(n) for n in (row.ok, row.error, row.skipped, row.censored)]
                head = [row.label, clock.clock, row.offered, row.achieved, *counts]
            else:
                head = ["", clock.clock, *[""] * 6]
            cells.append([*head, *(cell.whole for cell in clock.cells)])
    lines += table(heads, cells, left=2)
    lines += [escape("; ".join([*_brackets(rows), *notes(rows)])), ""]
    lines += [f"- {escape(row.fate)}" for row in rows if not row.all_answered]
    for row in rows:
        reasons = [*row.reasons, *(f"Try: {hint}" for hint in dict.fromkeys(row.hints))]
        if reasons:
            lines.append(f"- **{escape(row.label)}** ({row.verdict}): {escape('; '.join(reasons))}")
    lines += [""]
    lines += _picture(plots, f"{result.name}-percentiles", f"{result.name}: latency by percentile")
    lines += _picture(plots, f"{result.name}-timeline", f"{result.name}: every second")
    lines += _picture(plots, f"{result.name}-telemetry", f"{result.name}: what happened beside it")
    for more in beside.tables(result):
        inside = [*table(more.heads, more.rows, left=more.left), *([escape(more.note), ""] if more.note else [])]
        lines += folded(more.title, inside)
    health = [(row.name, f"{row.value}{f': {row.trouble}' if row.trouble else ''}") for row in health_rows(result)]
    facts_of_service = service_rows(result)
    return [
        *lines,
        *folded("Generator and service", table(["Fact", "Figure"], [*health, *facts_of_service], left=2)),
    ]


def _pressure(record: RunRecord) -> list[str]:
    rows = pressure.cost_rows(record)
    if not rows:
        return []
    return [f"## {pressure.TITLE}", "", *table(pressure.HEADS, rows, left=2), pressure.NOTE, ""]


def _brackets(rows: Iterable[OperationRow]) -> list[str]:
    shown = any(row.has_intervals for row in rows)
    return ["in brackets: the 95% CI, in the figure's unit"] if shown else []


def _micro(record: RunRecord) -> list[str]:
    if not record.micro:
        return []
    rows = (
        [
            f"{m.group}: {m.name}",
            count(m.rounds),
            number(m.per_second),
            *(duration(t) for t in (m.p50, m.p95, m.p99, m.max)),
        ]
        for m in record.micro
    )
    heads = ["Benchmark", "Rounds", "Per second", "P50", "P95", "P99", "Max"]
    return ["## Micro-benchmarks", "", *table(heads, rows)]


def _details(record: RunRecord) -> list[str]:
    lines = folded("System under test and data", table(["Fact", "Value"], system_facts(record), left=2))
    settings = record.system.settings if record.system else []
    if settings:
        rows = ((s.name, s.value, s.guide or NOTHING, s.reason) for s in settings)
        inside = table(["Setting", "Value", "The guide's", "Reason"], rows, left=4)
        lines += folded(f"PostgreSQL settings ({len(settings)})", inside)
    return [*lines, *folded("Provenance", table(["Fact", "Value"], facts(record), left=2))]


def folded(title: str, inside: list[str]) -> list[str]:
    """Lines that a reader unfolds by a click on their title."""
    return ["<details>", f"<summary>{title}</summary>", "", *inside, "</details>", ""]


def _picture(plots: Mapping[str, str], name: str, title: str) -> list[str]:
    return [f"![{escape(title)}]({plots[name]})", ""] if name in plots else []
