"""What must be equal for the figures of two records to be comparable, in named parts, so that differences have names.

The service's own version and the revision are no parts of it: they are what a comparison is about. Nor does it tell
one machine from another of the same make. The seed is the run's: a phase that was repeated had one of its own.
"""

import hashlib
from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from harness.core.gate import GateRecord
from harness.core.record import DataSet, Provenance, RunRecord, ScenarioResult, Setting
from harness.core.scenario import Scenario

Group = Literal["machine", "software", "data", "load"]

MACHINE: Final = ("processor", "cores", "memory_gib", "kernel", "architecture")
INSTRUMENT: Final = ("locust", "gevent", "geventhttpclient", "hdrhistogram", "numpy")
"""The packages that take the times and draw the plans and the data."""
_DIGITS: Final = 12
_AGES: Final = ", ages counted from"
_NONE: Final = "none"


class Part(Struct, frozen=True):
    """One thing that must be equal.

    Attributes:
        name: as it is told: "processor", "working_access: arrivals".
        value: in words or as JSON; long ones as the hash of their content.
    """

    group: Group
    name: str
    value: str


class Difference(Struct, frozen=True):
    """One part that is not equal; a side that has no such part says "none"."""

    group: Group
    name: str
    a: str
    b: str


class Fingerprint(Struct, frozen=True):
    """All parts of one record."""

    parts: tuple[Part, ...]

    def hash(self, *groups: Group) -> str:
        """The first hex digits of the SHA-256 over the parts of some groups, or over all."""
        chosen = sorted(
            (part.group, part.name, part.value) for part in self.parts if not groups or part.group in groups
        )
        return digest(chosen)

    def value(self, name: str) -> str:
        """The value of one part; "none" where there is no such part."""
        return next((part.value for part in self.parts if part.name == name), _NONE)

    def differences(self, other: "Fingerprint") -> list[Difference]:
        """The parts that are not equal, in the order of this one's, then those that only the other has."""
        a, b = ({(part.group, part.name): part.value for part in one.parts} for one in (self, other))
        return [
            Difference(group, name, a.get((group, name), _NONE), b.get((group, name), _NONE))
            for group, name in dict.fromkeys([*a, *b])
            if a.get((group, name)) != b.get((group, name))
        ]


def digest(what: object) -> str:
    """The first hex digits of the SHA-256 of something that is JSON."""
    return hashlib.sha256(msgspec.json.encode(what, order="sorted")).hexdigest()[:_DIGITS]


def of_run(record: RunRecord) -> Fingerprint:
    """The fingerprint of a run: machine, software, data, and the load of every scenario in their order."""
    return Fingerprint(tuple(_of_run(record)))


def of_gate(record: GateRecord) -> Fingerprint:
    """The fingerprint of a gate: machine, software, data, and the load of its blocks.

    Without the seed: both sides of a pair have the same, whichever it is.
    """
    return Fingerprint(tuple(_of_gate(record)))


def _of_run(record: RunRecord) -> Iterator[Part]:
    yield from _machine(record.provenance)
    yield Part("load", "seed", str(record.seed))
    # What ran before leaves its traces in caches and tables.
    yield Part("load", "scenarios", ", ".join(result.name for result in record.scenarios) or _NONE)
    if record.calmed:
        yield Part("machine", "calmed", "; ".join(record.calmed))
    yield from _software(record.provenance)
    if system := record.system:
        yield Part("machine", "service on", _host(system.url))
        for name in ("postgres", "postgres_version", "pgvector_version"):
            yield Part("software", name.replace("_", " "), getattr(system, name) or "unknown")
        yield from _settings(system.settings)
    if data := record.dataset:
        held = ", ".join(f"{tier} {number}" for tier, number in sorted(data.memories.items()))
        yield Part("data", "data set", _data(data))
        yield Part("data", "memories", held)
    for result in record.scenarios:
        yield from _scenario(result)


def _of_gate(record: GateRecord) -> Iterator[Part]:
    yield from _machine(record.provenance)
    yield from _software(record.provenance)
    yield from _settings(record.settings)
    yield Part("data", "memories", str(record.memories))
    for name, scenario in record.blocks.items():
        yield from _load(name, scenario)


def _machine(provenance: Provenance) -> Iterator[Part]:
    for name in MACHINE:
        yield Part("machine", name.replace("_gib", ", GiB"), str(provenance.machine.get(name, "unknown")))


def _software(provenance: Provenance) -> Iterator[Part]:
    yield Part("software", "membench", provenance.membench)
    yield Part("software", "python", provenance.python)
    for name in INSTRUMENT:
        yield Part("software", name, provenance.packages.get(name, "unknown"))


def _settings(settings: list[Setting]) -> Iterator[Part]:
    for setting in settings:
        yield Part("software", f"setting {setting.name}", setting.value)


def _scenario(result: ScenarioResult) -> Iterator[Part]:
    yield from _load(result.name, result.scenario)
    yield Part("load", f"{result.name}: load processes", str(result.generator.workers))
    if result.pressure:
        yield Part("load", f"{result.name}: pressure", result.pressure)


def _data(data: DataSet) -> str:
    """What was generated, whatever the day that its ages are counted from, or the content of a file."""
    source, day, _ = data.source.partition(_AGES)
    return source if day else data.fingerprint[:_DIGITS]


def _load(name: str, scenario: Scenario) -> Iterator[Part]:
    kind = type(scenario.arrivals).__struct_config__.tag
    yield Part("load", f"{name}: arrivals", f"{kind} {_words(scenario.arrivals)}")
    yield Part("load", f"{name}: phases", _words(scenario.phases) or "the usual")
    yield Part("load", f"{name}: operations", "; ".join(_words(operation) for operation in scenario.operations))
    yield Part("load", f"{name}: floor", "yes" if scenario.floor else "no")


def _words(what: Struct) -> str:
    """The fields that are not as usual: one that a later version adds makes no difference until somebody uses it."""
    fields = ((field, getattr(what, field.name)) for field in msgspec.structs.fields(what))
    return ", ".join(
        f"{field.name} {_plain(value)}" for field, value in fields if field.required or value != field.default
    )


def _plain(value: object) -> str:
    if isinstance(value, str):
        return value
    # A whole number of seconds is an integer where it was typed and none where it was read.
    return f"{value:.10g}" if type(value) in (int, float) else msgspec.json.encode(value).decode()


def _host(url: str) -> str:
    """The host of a URL without its port, which is another at each run."""
    place = url.partition("://")[2].partition("/")[0].rpartition("@")[2]
    return place.partition("]")[0] + "]" if place.startswith("[") else place.partition(":")[0]
