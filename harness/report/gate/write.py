"""Writes the files of a gate's report beside its record."""

from collections.abc import Iterator
from pathlib import Path

from harness.core.gate import GateRecord
from harness.report.gate.comment import comment, summary
from harness.report.gate.forest import forest_plot
from harness.report.gate.html import html
from harness.report.gate.junit import junit
from harness.report.write import replace


def write_gate(record: GateRecord, folder: Path) -> list[Path]:
    """Write gate.html, gate.svg, comment.md, summary.md and junit.xml, each whole or not at all.

    Files that an earlier drawing left are replaced; the same record gives the same bytes.

    Args:
        record: the gate.
        folder: the gate's; it is made where it is missing.

    Returns:
        the files' paths, gate.html first.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    return [replace(folder / name, content) for name, content in _contents(record)]


def _contents(record: GateRecord) -> Iterator[tuple[str, bytes]]:
    forest = forest_plot(record)
    yield "gate.html", html(record, forest).encode()
    yield "gate.svg", forest.encode()
    yield "comment.md", comment(record).encode()
    yield "summary.md", summary(record).encode()
    yield "junit.xml", junit(record)
