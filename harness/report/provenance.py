"""What a record says about where its figures come from, as pairs of name and value."""

from harness.core.gate import GateRecord
from harness.core.record import Provenance, RunRecord
from harness.report import words
from harness.report.units import clean, count, seconds

Fact = tuple[str, str]


def facts(record: RunRecord) -> list[Fact]:
    """The run and the machine; packages are apart."""
    rows = [
        ("Run", record.id),
        ("Created", record.created_at),
        ("Command", words.command(record)),
        ("Seed", str(record.seed)),
        *origin_facts(record.provenance),
        *(("Calmed for the run", step) for step in record.calmed),
    ]
    return [(clean(name), clean(value)) for name, value in rows]


def origin_facts(origin: Provenance) -> list[Fact]:
    """The program and the machine."""
    dirty = " with uncommitted changes" if origin.git_dirty else ""
    rows = [
        ("membench", origin.membench),
        ("Git revision", f"{origin.git_revision}{dirty}" if origin.git_revision else "none"),
        ("Python", origin.python),
        *((_title(name), _machine(value)) for name, value in origin.machine.items()),
    ]
    return [(clean(name), clean(value)) for name, value in rows]


def packages(record: RunRecord | GateRecord) -> list[Fact]:
    """The installed packages and their versions, by name."""
    return [(clean(n), clean(v)) for n, v in sorted(record.provenance.packages.items())]


def system_facts(record: RunRecord) -> list[Fact]:
    """The system under test and the data in it."""
    rows: list[Fact] = []
    if record.system:
        system = record.system
        rows += [
            ("Service", system.service or "unknown"),
            ("URL", system.url),
            ("PostgreSQL", f"{system.postgres_version or 'version unknown'} ({system.postgres})"),
            ("pgvector", system.pgvector_version or "unknown"),
        ]
    else:
        rows.append(("System under test", "none was reached"))
    rows += data_facts(record)
    return [(clean(name), clean(value)) for name, value in rows]


def data_facts(record: RunRecord) -> list[Fact]:
    """The memories that were loaded."""
    data = record.dataset
    if not data:
        return [("Data", "none was loaded")]
    tiers = ", ".join(f"{count(n)} {tier}" for tier, n in data.memories.items())
    rows = [
        ("Data", data.source),
        ("Memories", f"{count(sum(data.memories.values()))}{f' ({tiers})' if tiers else ''}"),
        ("Loading took", seconds(data.load_seconds)),
        ("Fingerprint", data.fingerprint),
    ]
    if data.deduplicated:
        rows.insert(2, ("Already there", count(data.deduplicated)))
    return [(clean(name), clean(value)) for name, value in rows]


def _title(name: str) -> str:
    words_of = name.replace("_", " ")
    return words_of[:1].upper() + words_of[1:]


def _machine(value: str | int | float) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
