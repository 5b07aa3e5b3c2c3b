"""The history of gates against a reference: one line per gate, in a file that only grows."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from harness.core.errors import MembenchError, UsageError
from harness.core.fingerprint import MACHINE, of_gate
from harness.core.gate import GateRecord, GateVerdict

SUFFIX: Final = ".jsonl"


class Point(Struct):
    """One metric of one gate: the ratio by which head is *worse* than the reference, with its 95% interval.

    Attributes:
        high: None where the gate could bound it no further.
        pairs: behind it.
    """

    ratio: float
    low: float | None
    high: float | None
    pairs: int


class Entry(Struct):
    """One gate, as its history keeps it.

    Attributes:
        gate: its id; no two entries have the same.
        head: revision.
        base: revision of the reference.
        machine: in words.
        conditions: hash of machine, software, data and load: entries that differ in it are no series.
        metrics: by name, in the order of the gate's rules; those without a believable ratio are left out.
    """

    gate: str
    created_at: str
    head: str
    base: str
    machine: str
    conditions: str
    metrics: dict[str, Point]


class Change(Struct):
    """A place where a series changed.

    Attributes:
        index: of the first point after it.
        p: of its permutation test.
        before: geometric mean of the ratios from the change before to here.
        after: from here to the next.
    """

    index: int
    p: float
    before: float
    after: float


class Trend(Struct):
    """One metric over the gates of one course.

    Attributes:
        entries: of the points, those gates that have the metric.
        changes: ascending.
    """

    metric: str
    entries: list[Entry]
    points: list[Point]
    changes: list[Change] = []


class Course(Struct):
    """The gates against one reference under one set of conditions, by time."""

    base: str
    machine: str
    conditions: str
    entries: list[Entry]
    trends: list[Trend] = []


def entry_of(record: GateRecord) -> Entry:
    """What the history keeps of a gate.

    Raises:
        MembenchError: the gate is not whole, is INVALID, or has no fixed reference.
    """
    trouble = ""
    if record.status != "complete":
        trouble = "it was interrupted" if record.status == "interrupted" else "it failed"
    elif record.verdict is GateVerdict.INVALID:
        trouble = f"it is INVALID{f': {record.reasons[0]}' if record.reasons else ''}"
    base, head = (side.revision if (side := record.sides.get(name)) else "" for name in ("base", "head"))
    if not trouble and (not base or base.endswith("+")):
        trouble = "its base is no revision that stays" + (f" ({base})" if base else "")
    metrics = {
        result.metric.name: Point(result.ratio, result.low, result.high, result.pairs)
        for result in record.metrics
        if result.ratio is not None and result.verdict is not GateVerdict.INVALID
    }
    if not trouble and not metrics:
        trouble = "it has no ratio"
    if trouble:
        raise MembenchError(f"gate {record.id} is nothing for the history: {trouble}")
    prints = of_gate(record)
    machine = record.provenance.machine
    words = [f"{machine[name]}{_UNITS.get(name, '')}" for name in MACHINE if name in machine]
    return Entry(record.id, record.created_at, head, base, ", ".join(words), prints.hash(), metrics)


_UNITS: Final = {"cores": " cores", "memory_gib": " GiB"}


def load(path: Path) -> list[Entry]:
    """All entries of a history; none where there is no such file.

    Raises:
        UsageError: the file cannot be read, or a line of it is no entry.
    """
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    entries = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                entries.append(msgspec.json.decode(line, type=Entry))
            except (msgspec.DecodeError, msgspec.ValidationError) as error:
                raise UsageError(f"{path}:{number}: {error}") from error
    return entries


def append(path: Path, entry: Entry) -> bool:
    """Add an entry, unless its gate is there already.

    Returns:
        whether it was added.

    Raises:
        UsageError: the file cannot be read or written, or a line of it is no entry.
    """
    if any(known.gate == entry.gate for known in load(path)):
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(msgspec.json.encode(entry) + b"\n")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    return True
