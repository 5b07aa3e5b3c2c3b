"""Targets: the rows of the guide's table and our own, each with where and how it is measured."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from harness.core.errors import UsageError

Metric = Literal[
    "latency", "rate", "users", "error_rate", "pool_utilization", "cache_hit_ratio", "compression_ratio", "recall"
]


class Target(Struct, frozen=True, forbid_unknown_fields=True):
    """One row.

    Attributes:
        id: its name in output and files.
        title: the guide's words, where the row is the guide's.
        metric: what is measured.
        better: whether lower or higher figures are better; a figure equal to a bound meets it.
        target: the bound of PASS.
        critical: the bound of WARN; beyond it is FAIL.
        unit: of both bounds and of the figure.
        method: how the figure comes about, in a sentence, for the reader of a report.
        scenario: where it is measured.
        operation: whose requests; None for all of the scenario.
        percentile: for latencies.
        clock: for latencies.
        floor: whether the server clock is judged where the floor hides the target.
    """

    id: str
    title: str
    metric: Metric
    better: Literal["lower", "higher"]
    target: float
    critical: float
    unit: Literal["ms", "s", "1/s", "users", "%", ":1"]
    method: str
    scenario: str
    operation: str | None = None
    percentile: Annotated[float, Meta(gt=0, lt=100)] = 99.0
    clock: Literal["response", "service", "server"] = "response"
    floor: bool = False

    def __post_init__(self) -> None:
        if not self.meets(self.target, self.critical):
            raise ValueError(f"{self.id}: the target must be stricter than the critical threshold")
        if self.metric in ("latency", "recall") and self.operation is None:
            raise ValueError(f"{self.id}: a {self.metric} is of one operation")

    def meets(self, value: float, bound: float) -> bool:
        """Whether a figure is as good as a bound, or better."""
        return value <= bound if self.better == "lower" else value >= bound

    @property
    def microseconds(self) -> float:
        """How many microseconds its unit has (latencies only)."""
        return {"ms": 1e3, "s": 1e6}[self.unit]


class _File(Struct, forbid_unknown_fields=True):
    target: list[Target]


def load_targets(path: Path) -> list[Target]:
    """Read a file of [[target]] tables.

    Raises:
        UsageError: it cannot be read, or a row is not a target; names the file and the field.
    """
    try:
        targets = msgspec.toml.decode(path.read_bytes(), type=_File).target
    except OSError as error:
        raise UsageError(f"cannot read the targets {path}: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    ids = [target.id for target in targets]
    if len(set(ids)) < len(ids):
        raise UsageError(f"{path}: two targets have the same id")
    return targets
