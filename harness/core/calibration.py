"""The record of a calibration: how often a gate errs on one machine, by gates drawn anew from real blocks."""

import os
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from harness.core.errors import UsageError
from harness.core.gate import Pair
from harness.core.record import Provenance
from harness.core.rules import Rules

FORMAT: Final = 1
FILE: Final = "calibration.json"
OPERATION: Final = "search"
"""What the arms slow down."""


class Frequency(Struct, frozen=True):
    """How often something came out, and the 95% interval (Clopper and Pearson) of its probability.

    The interval knows the chance of the draws alone: that the recorded pairs are a sample themselves, it does not.
    """

    count: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.count / self.of


class Calibration(Struct, frozen=True):
    """What became of gates drawn anew.

    Attributes:
        alike: whether base and head were the same, so that every regression is a false alarm.
        rounds: recorded, from which was drawn.
        pairs: in them.
        regression: gates with a regression of any gated metric.
        inconclusive: gates without one, of which some gated metric stayed inconclusive.
        early: gates that ended before their last look.
        metrics: per metric's name, gates in which it regressed.
    """

    alike: bool
    rounds: int
    pairs: int
    regression: Frequency
    inconclusive: Frequency
    early: Frequency
    metrics: dict[str, Frequency]


class Arm(Struct):
    """Head made slower by one known factor; pair by pair beside base and all other arms.

    Attributes:
        factor: by which searches took longer for their callers; 1 for not at all.
        pairs: recorded, without their blocks.
        result: of the gates drawn from them; None where there are too few.
    """

    factor: float
    pairs: list[Pair]
    result: Calibration | None = None


class CalibrationRecord(Struct):
    """One calibration.

    Attributes:
        id: also its folder's name.
        rules: by which the gates are decided.
        share: times what it took by the service's own clock a search took for its caller, medians.
        minutes: that measuring took, all arms together.
        gates: real gates of one revision against itself whose pairs were drawn from as well, by id.
        false_alarms: of those gates, how many said REGRESSION.
        arms: the one that is alike first.
    """

    id: str
    created_at: str
    provenance: Provenance
    seed: int
    rules: Rules
    memories: int
    arms: list[Arm] = []
    share: float = 1.0
    minutes: float = 0.0
    gates: list[str] = []
    false_alarms: int = 0
    format: int = FORMAT


def save(record: CalibrationRecord, folder: Path) -> None:
    """Write a record into its folder, whole or not at all.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    path = folder / FILE
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    os.replace(partial, path)


def load(folder: Path) -> CalibrationRecord:
    """Read the record of a calibration's folder.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = folder / FILE if folder.is_dir() else folder
    try:
        return msgspec.json.decode(path.read_bytes(), type=CalibrationRecord)
    except OSError as error:
        raise UsageError(f"no calibration at {path}: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path} is not a calibration: {error}") from error
