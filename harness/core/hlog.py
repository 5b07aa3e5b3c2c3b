"""HdrHistogram interval logs (.hlog), which every HdrHistogram tool reads."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from hdrh.log import HistogramLogReader

from harness.core.histogram import Histogram, new_hdr
from harness.core.recorder import CLOCKS, OperationLog

UNIT_RATIO = 1_000_000.0
"""Recorded values are microseconds; the log's Interval_Max column is in seconds."""


def write_hlog(path: Path, log: OperationLog, started_at: str) -> None:
    """Write one operation's measure phase, a line per second and clock, the clock as the line's tag.

    hdrhistogram's own writer cannot tag lines and truncates the maximum to whole seconds, so the lines are
    formatted here, in log format 1.3; its reader takes them.

    Args:
        path: of the file.
        log: the operation's.
        started_at: RFC 3339 time of the measure phase's start.
    """
    start = datetime.fromisoformat(started_at).timestamp()
    with path.open("w", encoding="ascii") as file:
        file.write("#[Histogram log format version 1.3]\n")
        file.write(f"#[StartTime: {start:.3f} (seconds since epoch), {started_at}]\n")
        file.write(f"#[BaseTime: {start:.3f} (seconds since epoch)]\n")
        file.write('"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n')
        for interval in log.intervals:
            for clock in CLOCKS:
                blob = interval.histograms.get(clock)
                if blob is not None and interval.second >= 0:
                    largest = Histogram.decode(blob).max / UNIT_RATIO
                    file.write(f"Tag={clock},{interval.second:.3f},1.000,{largest:.6f},{blob}\n")


def read_hlog(path: Path) -> Iterator[tuple[str, Histogram]]:
    """The tag and histogram of each line, through HdrHistogram's own log reader."""
    reader = HistogramLogReader(str(path), new_hdr())
    try:
        while (hdr := reader.get_next_interval_histogram()) is not None:
            yield hdr.get_tag() or "", Histogram.from_hdr(hdr)
    finally:
        reader.close()
