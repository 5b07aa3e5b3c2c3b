"""What processes tell each other of changes to memories, over PostgreSQL's LISTEN and NOTIFY."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from uuid import UUID

CHANNEL: Final = "memory_changes"

# Within the transaction that makes the change: PostgreSQL delivers with its commit, or not at all.
NOTIFY: Final = f"SELECT pg_notify('{CHANNEL}', payload) FROM unnest($1::text[]) AS payload"

# PostgreSQL refuses longer ones.
PAYLOAD_BYTES: Final = 7_999
_ID_BYTES: Final = 32
_CREATED: Final = "+"


class Change(NamedTuple):
    """What one payload says: these memories were changed, or may have been created."""

    origin: str
    ids: tuple[UUID, ...]
    created: bool


def payloads(origin: str, ids: Iterable[UUID], *, created: bool = False) -> list[str]:
    """Says which memories a process has changed, moved, merged or deleted.

    Args:
        origin: name of the process; ASCII, without spaces.
        ids: of the memories.
        created: says instead that they are new, as far as they are there at all.

    Returns:
        As many payloads as it takes; none without ids.
    """
    prefix = f"{origin} {_CREATED}" if created else f"{origin} "
    digits = [memory_id.hex for memory_id in ids]
    size = (PAYLOAD_BYTES - len(prefix)) // (_ID_BYTES + 1)
    return [f"{prefix}{','.join(digits[start : start + size])}" for start in range(0, len(digits), size)]


def parse(payload: str) -> Change:
    """Reads a payload.

    Raises:
        ValueError: if it is not of the form that `payloads` makes.
    """
    origin, _, what = payload.partition(" ")
    ids = what.removeprefix(_CREATED)
    return Change(origin, tuple(map(UUID, ids.split(","))), what != ids)
