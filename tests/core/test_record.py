"""The record and its logs on disk."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core import hlog, record
from harness.core.errors import UsageError
from harness.core.record import Provenance, RunRecord
from harness.core.recorder import CLOCKS, OperationLog


def empty() -> RunRecord:
    return RunRecord("id", "2026-01-01T00:00:00+00:00", Provenance("0", ["membench"], "", False, {}, "", {}), 1)


def test_a_record_survives_its_file_and_leaves_no_partial_one(tmp_path: Path) -> None:
    record.save(empty(), tmp_path)
    assert record.load(tmp_path) == empty()
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": 99}', "format 99"),
        ("{", "is not a run record"),
        ('{"format": 1}', "is not a run record"),
        ("[1, 2]", "is not a run record"),
    ],
)
def test_what_is_no_record_is_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        record.load(tmp_path)


def test_a_missing_record_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run record"):
        record.load(tmp_path)


def test_hlog_files_open_with_hdrhistograms_own_reader(tmp_path: Path, make_log: Callable[..., OperationLog]) -> None:
    log = make_log("get", service_ms=3.0, lag_ms=1.0)
    path = tmp_path / "x.hlog"
    hlog.write_hlog(path, log, "2026-01-01T00:00:00.000+00:00")
    lines = list(hlog.read_hlog(path))
    assert {tag for tag, _ in lines} == set(CLOCKS)
    response = [histogram for tag, histogram in lines if tag == "response"]
    assert len(response) == 10
    assert sum(histogram.count for histogram in response) == 2000
    assert max(histogram.max for histogram in response) == pytest.approx(4000, rel=0.001)
    assert "Tag=response,0.000,1.000,0.004" in path.read_text()
