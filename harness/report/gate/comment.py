"""A gate's record as Markdown for GitHub: the comment that a pull request gets, and the job's summary."""

import re
from collections.abc import Sequence
from typing import Final

from harness.core.gate import GateRecord, GateVerdict
from harness.report.gate import words
from harness.report.gate.bars import interval_bars
from harness.report.gate.rows import MetricRow, metric_rows
from harness.report.markdown import code, escape, folded, quoted, table

MARKER: Final = "<!-- membench gate -->"
"""First line of a comment: by it the one comment is found that a later gate replaces."""

LIMIT: Final = 65_000
"""Characters; GitHub takes 65,536."""

_LINE: Final = 600
"""Characters of a reason or a note; a service can answer with anything."""
_MOST: Final = 12
"""Reasons for the verdict of the whole, so that the verdict itself always fits."""
_HEADS: Final = ("Metric", "Verdict", "Base", "Head", "Worse by", "95% CI", "p adjusted")
_CUT: Final = ["This is cut: the whole is in `gate.html`.", ""]


def comment(record: GateRecord) -> str:
    """What a pull request sees, as GitHub-flavoured Markdown: MARKER first, and LIMIT characters at most.

    GitHub shows no picture that is not on a server: the intervals are drawn in text.
    """
    return f"{MARKER}\n{summary(record)}"


def summary(record: GateRecord) -> str:
    """The same without the marker, for a job's summary."""
    sections = [
        _verdict(record),
        _table(metric_rows(record, gated=True)),
        _said(metric_rows(record, gated=True)),
        _bars(record),
        _pictures(record),
        [f"**Next:** {_short(step)}" for step in words.next_steps(record)] + [""],
        _reproduce(record),
        _advisory(record),
        _compared(record),
    ]
    return _fitted(sections, LIMIT - len(MARKER) - 1)


def _fitted(sections: Sequence[list[str]], limit: int) -> str:
    """The sections as far as they fit, none of them torn."""
    lines: list[str] = []
    left = limit - len("\n".join(_CUT))
    for section in sections:
        left -= sum(len(line) + 1 for line in section)
        if left < 0:
            lines += _CUT
            break
        lines += section
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _short(text: str) -> str:
    return escape(text if len(text) <= _LINE else f"{text[: _LINE - 1]}…")


def _verdict(record: GateRecord) -> list[str]:
    lines = [f"**{_short(words.headline(record))}**", "", *quoted(words.shortcomings(record))]
    lines += [f"{escape(words.tally(record))}. Gate `{code(record.id)}`.", ""]
    lines += [f"- {_short(reason)}" for reason in record.reasons[:_MOST]]
    more = len(record.reasons) - _MOST
    return [*lines, *([f"- and {more} more reasons, in `gate.html`"] if more > 0 else []), ""]


def _table(rows: list[MetricRow]) -> list[str]:
    if not rows:
        return []
    cells = ((r.name, r.verdict, r.base, r.head, r.worse, r.interval, r.p) for r in rows)
    return table(_HEADS, cells, left=2)


def _said(rows: list[MetricRow]) -> list[str]:
    lines = [f"- {row.verdict}: {_short(row.footnote)}" for row in rows if row.fresh]
    return [*lines, ""] if lines else []


def _bars(record: GateRecord) -> list[str]:
    gated = [result for result in record.metrics if result.metric.gated]
    if not any(result.ratio is not None for result in gated):
        return []
    bars = [line.replace("```", "'''") for line in interval_bars(gated, record.rules.bound)]
    return ["```text", *bars, "```", ""]


def _pictures(record: GateRecord) -> list[str]:
    if not record.metrics:
        return []
    return ["Every pair is drawn in `gate.html`, and all metrics in `gate.svg`, in this job's artifact.", ""]


def _reproduce(record: GateRecord) -> list[str]:
    fenced = words.reproduce(record).replace("```", "'''")
    return folded("How to reproduce it", ["On head's revision:", "", "```sh", fenced, "```", ""])


def _advisory(record: GateRecord) -> list[str]:
    rows = metric_rows(record, gated=False)
    if not rows:
        return []
    worse = sum(row.verdict is GateVerdict.REGRESSION for row in rows)
    title = f"{len(rows)} metrics that only advise{f', {worse} of them worse' if worse else ''}"
    return folded(title, [*_table(rows), *_said(rows)])


def _compared(record: GateRecord) -> list[str]:
    lines = [f"- {name}: {_short(line)}" for name, line in words.sides(record)]
    lines += [f"- {_short(note)}" for note in record.notes]
    return folded("What was compared", [*lines, ""])
