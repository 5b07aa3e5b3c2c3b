"""Writes the files of a report beside a run's record."""

import os
from collections.abc import Iterator
from pathlib import Path

from harness.core.record import RunRecord
from harness.report.html import html
from harness.report.junit import junit
from harness.report.markdown import markdown
from harness.report.plots import all_plots

PLOTS = "plots"


def write_reports(record: RunRecord, folder: Path) -> list[Path]:
    """Write report.html, report.md, junit.xml and plots/*.svg, each whole or not at all.

    Files that an earlier drawing left are replaced; the same record gives the same bytes.

    Args:
        record: the run.
        folder: the run's; it is made where it is missing.

    Returns:
        the files' paths, report.html first.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    return [replace(folder / name, content) for name, content in _contents(record)]


def _contents(record: RunRecord) -> Iterator[tuple[str, bytes]]:
    plots = all_plots(record)
    paths = {name: f"{PLOTS}/{name}.svg" for name in plots}
    yield "report.html", html(record, plots).encode()
    yield "report.md", markdown(record, paths).encode()
    yield "junit.xml", junit(record)
    for name, svg in plots.items():
        yield paths[name], svg.encode()


def replace(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all; its folder is made where it is missing.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.part")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return path
