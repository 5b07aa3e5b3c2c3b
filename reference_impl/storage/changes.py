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
    """What one payload says: these memories were changed, or, where `ids` is None, new ones were created."""

    origin: str
    ids: tuple[UUID, ...] | None


def created_payload(origin: str) -> str:
    """Says that a process has stored new memories, however many.

    Args:
        origin: name of the process; ASCII, without spaces.
    """
    return f"{origin} {_CREATED}"


def payloads(origin: str, ids: Iterable[UUID]) -> list[str]:
    """Says which memories a process has changed, moved, merged or deleted.

    Args:
        origin: name of the process; ASCII, without spaces.
        ids: of the memories.

    Returns:
        As many payloads as it takes; none without ids.
    """
    digits = [memory_id.hex for memory_id in ids]
    size = (PAYLOAD_BYTES - len(origin)) // (_ID_BYTES + 1)
    return [f"{origin} {','.join(digits[start : start + size])}" for start in range(0, len(digits), size)]


def parse(payload: str) -> Change:
    """Reads a payload.

    Raises:
        ValueError: if it is not of the form that `payloads` and `created_payload` make.
    """
    origin, _, what = payload.partition(" ")
    return Change(origin, None if what == _CREATED else tuple(map(UUID, what.split(","))))
