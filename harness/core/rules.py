"""The rules of a gate: which figures are compared, when they are judged, and which regressions are accepted."""

import math
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from harness.core.errors import UsageError

Ratio = Annotated[float, Meta(gt=1)]


class Metric(Struct, frozen=True, forbid_unknown_fields=True):
    """One figure that is compared.

    Attributes:
        name: as it appears in output and in waivers: "search P99".
        block: the scenario whose blocks it is taken from.
        kind: a percentile of an operation's latency; the operation's achieved rate; the service's CPU time per
            answered request of the block, which only a service on this machine has; or a percentile of what a
            micro-benchmark's rounds took, which is not taken from blocks.
        operation: whose; empty for "cpu"; "group/name" of a micro-benchmark.
        percentile: of a latency or a micro-benchmark.
        clock: of a latency.
        gated: whether a regression of it fails; the others only advise.
        least: ratio of head to base (by which it is worse) below which a change does not matter.
        null: the ratio that the test has to reject, "worse by this or less"; `least` where it is not given. A lower
            one finds more, and leaves it to `least` whether what is surely there matters.
        bound: NO REGRESSION needs the upper bound of the ratio to lie below it; that of the rules where not given.
        floor_us: microseconds by which a latency must have grown to matter, whatever the ratio.
    """

    name: str
    block: str
    kind: Literal["latency", "rate", "cpu", "micro"]
    operation: str = ""
    percentile: Annotated[float, Meta(gt=0, lt=100)] = 50
    clock: Literal["response", "service", "server"] = "response"
    gated: bool = False
    least: Ratio = 1.05
    null: Annotated[float, Meta(ge=1)] | None = None
    bound: Ratio | None = None
    floor_us: Annotated[float, Meta(ge=0)] = 0.0

    def __post_init__(self) -> None:
        if self.null is not None and self.null > self.least:
            raise ValueError(f"{self.name}: null lies above least")

    @property
    def rejected(self) -> float:
        """The ratio that the test has to reject."""
        return self.least if self.null is None else self.null

    @property
    def higher_is_better(self) -> bool:
        """Whether growth is good."""
        return self.kind == "rate"

    def share(self, ratio: float) -> float:
        """By what share the figure itself is worse: 0.2 of a rate of which base has 1.25 times head's.

        Args:
            ratio: above 1 is worse.
        """
        if self.higher_is_better:
            return 1 - 1 / ratio if ratio else -math.inf
        return ratio - 1

    @property
    def unit(self) -> str:
        """Of its values: "us" or "1/s"."""
        return "1/s" if self.kind == "rate" else "us"


class Rules(Struct, frozen=True, forbid_unknown_fields=True):
    """How a gate decides; see scenarios/gate/gate.toml.

    Attributes:
        looks: numbers of pairs at which the gate may be decided, ascending. At the last every metric gets its verdict;
            the others can only let a gate pass, and so spend nothing of `alpha`.
        alpha: probability of accusing a metric that is worse by its null, over all gated metrics together.
        bound: NO REGRESSION needs the upper bound of the ratio to lie below it; a metric may have its own.
        turn: seconds of load after which the other side has its turn, within a pair of blocks.
        round_pairs: pairs after which both services are started anew on freshly cloned databases.
        spare: share of further pairs that may replace spoilt ones.
        metrics: in the order of output.
    """

    looks: Annotated[tuple[Annotated[int, Meta(ge=6)], ...], Meta(min_length=1)]
    metrics: Annotated[tuple[Metric, ...], Meta(min_length=1)]
    alpha: Annotated[float, Meta(gt=0, le=0.05)] = 0.05
    bound: Ratio = 1.15
    turn: Annotated[float, Meta(gt=0)] = 1.0
    round_pairs: Annotated[int, Meta(ge=1)] = 6
    spare: Annotated[float, Meta(ge=0, le=1)] = 0.25

    def __post_init__(self) -> None:
        if sorted(set(self.looks)) != list(self.looks):
            raise ValueError("looks must be ascending")
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError("two metrics have the same name")
        if not any(metric.gated for metric in self.metrics):
            raise ValueError("no metric is gated: such a gate could not fail")

    @property
    def most(self) -> int:
        """Pairs that a gate measures at the most, those that replace spoilt ones among them."""
        return round(self.looks[-1] * (1 + self.spare))

    @property
    def could_find(self) -> bool:
        """Whether the last look has pairs enough to accuse anything at all, however slow it has become.

        The smallest p of n signed ranks is 2^-n, and Holm's first step multiplies it by the number of gated metrics.
        """
        return sum(metric.gated for metric in self.metrics) * 0.5 ** self.looks[-1] < self.alpha

    def turns(self, seconds: float) -> int:
        """In how many a block of this length is measured: two, so that each side is first once, unless it is short."""
        return max(1 if seconds <= self.turn / 4 else 2, round(seconds / self.turn))

    def bound_of(self, metric: Metric) -> float:
        """The ratio below which a metric's upper bound has to lie."""
        return self.bound if metric.bound is None else metric.bound

    @property
    def block_names(self) -> list[str]:
        """The blocks that the metrics are taken from."""
        return list(dict.fromkeys(metric.block for metric in self.metrics))


class Waiver(Struct, frozen=True, forbid_unknown_fields=True):
    """A regression that is accepted for a while.

    Attributes:
        metric: its name.
        reason: why.
        until: the last day on which it holds.
        most: ratio by which head may be worse, as estimated, 1.3 for a latency that is 30% longer; any where not given.
    """

    metric: str
    reason: Annotated[str, Meta(min_length=1)]
    until: date
    most: Ratio | None = None


def load_rules(path: Path) -> Rules:
    """Read the rules of a gate.

    Raises:
        UsageError: the file cannot be read, or they are none.
    """
    rules: Rules = _toml(path, Rules)
    if not rules.could_find:
        raise UsageError(
            f"{path}: {rules.looks[-1]} pairs are too few for so many gated metrics: such a gate could not fail",
            hint="give its last look more pairs, or gate fewer metrics",
        )
    return rules


class _Waivers(Struct, forbid_unknown_fields=True):
    waiver: list[Waiver] = []


def load_waivers(path: Path) -> list[Waiver]:
    """Read the waivers.

    Raises:
        UsageError: the file cannot be read, or one is none.
    """
    found: list[Waiver] = _toml(path, _Waivers).waiver
    return found


def _toml(path: Path, kind: Any) -> Any:
    try:
        return msgspec.toml.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
