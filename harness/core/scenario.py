"""Scenarios: one workload each, read from TOML."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from harness.core.errors import UsageError

FLOOR: Final = "noop"
"""The operation that does nothing: the same load on it is the floor under every latency."""

Positive = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]
Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$")]


class Stage(Struct, frozen=True, forbid_unknown_fields=True):
    """A stretch of an open load: steps, spikes and storms are lists of these.

    Attributes:
        share: of the scenario's rate, 0 to 1; at the stage's start, if it has a `to`.
        seconds: its length. All of a scenario's stages are stretched alike to fill the measure phase.
        to: share at its end, reached linearly; None for a stage of one rate.
    """

    share: Share
    seconds: Positive
    to: Share | None = None


class Piece(NamedTuple):
    """A stretch of a load as it is offered: `seconds` long, from `first` to `last` requests per second."""

    seconds: float
    first: float
    last: float

    @property
    def steady(self) -> bool:
        """Whether it has one rate."""
        return self.first == self.last


class OpenArrivals(Struct, frozen=True, forbid_unknown_fields=True, tag="open", tag_field="kind"):
    """Requests come at planned times, whether or not earlier ones have been answered.

    Attributes:
        rate: requests per second, of all operations together (the floor's come on top); with stages the highest.
        process: how they are spaced: as independent callers (poisson), evenly (uniform), or from `start_rate`
            to `rate` linearly (ramp).
        start_rate: requests per second at the start of a ramp.
        stages: how the rate changes; empty for one rate. The warm-up has the rate of the first one's start.
        connections: kept alive between requests, or a new one for each. Connecting then is within the response and
            service clocks, since who has to connect waits for that too.
        max_in_flight: above it a request is skipped and counted, and no figure of the run can pass.
    """

    rate: Positive
    process: Literal["poisson", "uniform", "ramp"] = "poisson"
    start_rate: NotNegative = 0.0
    stages: tuple[Stage, ...] = ()
    connections: Literal["kept", "new"] = "kept"
    max_in_flight: Annotated[int, Meta(ge=1, le=20_000)] = 1024

    def __post_init__(self) -> None:
        if self.stages and self.process == "ramp":
            raise ValueError("stages are spaced poisson or uniform: a ramp among them is a stage with a `to`")
        if self.stages and max(max(stage.share, stage.to or 0) for stage in self.stages) != 1:
            raise ValueError("the highest share of the stages must be 1, so that `rate` is the highest rate")

    def pieces(self, seconds: float) -> tuple[Piece, ...]:
        """The load over a measure phase of this length, stretch by stretch."""
        if self.process == "ramp":
            return (Piece(seconds, self.start_rate, self.rate),)
        if not self.stages:
            return (Piece(seconds, self.rate, self.rate),)
        stretch = seconds / sum(stage.seconds for stage in self.stages)
        return tuple(
            Piece(
                stage.seconds * stretch,
                self.rate * stage.share,
                self.rate * (stage.share if stage.to is None else stage.to),
            )
            for stage in self.stages
        )


class ClosedArrivals(Struct, frozen=True, forbid_unknown_fields=True, tag="closed", tag_field="kind"):
    """A fixed number of users who send, wait for the answer, think, and send again.

    Attributes:
        users: how many.
        think: least and most seconds of think time, drawn uniformly.
    """

    users: Annotated[int, Meta(ge=1, le=20_000)]
    think: tuple[NotNegative, NotNegative] = (0.1, 2.0)


class Operation(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of request in a scenario's mix.

    Attributes:
        name: as it appears in output.
        request: what is sent.
        weight: its share of the mix, relative to the others'.
        tier: the tier that it reads, writes or searches; None for all.
        zipf: skew of popularity among the memories read (0: all alike; 0.99: YCSB's default).
        limit: least and most results asked of a search.
        filters: whether a search carries metadata filters.
        distinct: how many different searches there are; None when no two are alike.
        similarity_threshold: least similarity of a search's results.
    """

    name: Name
    request: Literal["create", "get", "search", "noop"]
    weight: Positive = 1.0
    tier: Literal["Working", "Warm", "Cold"] | None = None
    zipf: NotNegative = 0.99
    limit: tuple[Annotated[int, Meta(ge=1)], Annotated[int, Meta(le=1000)]] = (5, 20)
    filters: bool = False
    distinct: Annotated[int, Meta(ge=1)] | None = None
    similarity_threshold: float | None = None


class Phases(Struct, frozen=True, forbid_unknown_fields=True):
    """Seconds of each phase.

    Attributes:
        warmup: the least; the measure phase begins once the figures are steady.
        warmup_most: the most; from then on it is measured, steady or not. Below `warmup` it counts as that.
        measure: of the measure phase.
        drain: the longest that requests in flight are waited for.
    """

    warmup: NotNegative = 2.0
    warmup_most: NotNegative = 10.0
    measure: Positive = 30.0
    drain: NotNegative = 10.0

    @property
    def longest_warmup(self) -> float:
        """Seconds that a warm-up may last."""
        return max(self.warmup, self.warmup_most)


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """One workload.

    Attributes:
        name: also the name of its file.
        title: for reports.
        description: what it stands for.
        arrivals: open or closed.
        operations: the mix.
        floor: whether no-op requests run interleaved at the same rate.
        phases: seconds of each phase by default.
        suites: per suite, the phases there.
    """

    name: Name
    title: str
    description: str
    arrivals: OpenArrivals | ClosedArrivals
    operations: Annotated[tuple[Operation, ...], Meta(min_length=1)]
    floor: bool = False
    phases: Phases = Phases()
    suites: dict[str, Phases] = {}

    def __post_init__(self) -> None:
        names = [operation.name for operation in self.operations] + [FLOOR] * self.floor
        if len(set(names)) < len(names):
            raise ValueError(f"two operations of {self.name} have the same name")
        if self.floor and isinstance(self.arrivals, ClosedArrivals):
            raise ValueError(f"{self.name} has closed arrivals: only open ones can have a floor")

    @property
    def needs_data(self) -> bool:
        """Whether it is about memories at all, and so wants some to be there."""
        return any(operation.request != "noop" for operation in self.operations)

    def in_suite(self, suite: str | None) -> "Scenario":
        """The scenario with a suite's phases."""
        return msgspec.structs.replace(self, phases=self.suites.get(suite or "", self.phases))

    def under(
        self,
        *,
        rate: float | None = None,
        users: int | None = None,
        think: float | None = None,
        duration: float | None = None,
    ) -> "Scenario":
        """The scenario with another load.

        Args:
            rate: requests per second; makes the arrivals open. Stages keep their shares of it.
            users: makes the arrivals closed, and so drops the floor.
            think: seconds that each of them thinks, instead of as long as the scenario says.
            duration: seconds of the measure phase; stages are stretched to it.
        """
        changed = self
        if rate is not None:
            arrivals = (
                msgspec.structs.replace(self.arrivals, rate=rate)
                if isinstance(self.arrivals, OpenArrivals)
                else OpenArrivals(rate=rate)
            )
            changed = msgspec.structs.replace(changed, arrivals=arrivals)
        if users is not None:
            usual = self.arrivals.think if isinstance(self.arrivals, ClosedArrivals) else (0.1, 2.0)
            closed = ClosedArrivals(users=users, think=usual if think is None else (think, think))
            changed = msgspec.structs.replace(changed, arrivals=closed, floor=False)
        if duration is not None:
            changed = msgspec.structs.replace(changed, phases=msgspec.structs.replace(changed.phases, measure=duration))
        return changed


def load_scenario(path: Path) -> Scenario:
    """Read one scenario.

    Raises:
        UsageError: the file cannot be read or is no scenario; names the file and the field.
    """
    try:
        scenario = msgspec.toml.decode(path.read_bytes(), type=Scenario)
    except OSError as error:
        raise UsageError(f"cannot read the scenario {path}: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
    if scenario.name != path.stem:
        raise UsageError(f"{path}: its name is '{scenario.name}', and must be that of its file: '{path.stem}'")
    return scenario


class Suite(Struct, frozen=True, forbid_unknown_fields=True):
    """A list of scenarios to run in order.

    Attributes:
        description: what it is for.
        memories: how many to load unless told otherwise.
        scenarios: names; "micro" stands for the micro-benchmarks.
    """

    description: str
    memories: Annotated[int, Meta(ge=0)]
    scenarios: list[str]


def load_suites(path: Path) -> dict[str, Suite]:
    """Read the suites, by name.

    Raises:
        UsageError: the file cannot be read, or one is not a suite.
    """
    try:
        return msgspec.toml.decode(path.read_bytes(), type=dict[str, Suite])
    except OSError as error:
        raise UsageError(f"cannot read the suites {path}: {error.strerror}") from error
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from error


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, None: 1.0}


def parse_duration(text: str) -> float:
    """Seconds from "300", "300s", "5m", "1.5h" or "250ms".

    Raises:
        UsageError: it is none of these, or not above 0.
    """
    match = _DURATION.fullmatch(text.strip())
    seconds = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if seconds <= 0:
        raise UsageError(f"'{text}' is no duration", hint="write 30s, 5m or 1.5h")
    return seconds
