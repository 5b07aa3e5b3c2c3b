"""Who waits for which lock, and who holds it."""

from dataclasses import dataclass, field
from typing import Any, Final

from harness.telemetry import sql
from harness.telemetry.notes import Notes

_STATEMENT: Final = 120
"""Characters of a statement that are shown."""


@dataclass
class _Wait:
    """What an event tells: the first that waited, for what, behind whom, and everybody who came to wait likewise."""

    first: str
    lock: str
    holders: str
    pids: set[int] = field(default_factory=set)

    def text(self, seconds: float) -> str:
        more = f" (and {len(self.pids) - 1} more with it)" if len(self.pids) > 1 else ""
        return f"{self.first} waited {seconds:.1f} s for {self.lock} held by {self.holders}{more}"


class LockWaits:
    """Turns looks at pg_locks into events. All that wait for the same lock behind the same holder are one event.

    Args:
        notes: where the events go.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._waits: dict[object, _Wait] = {}

    async def read(self, connection: Any, someone_waits: bool) -> None:
        """One look; without anybody waiting, all known waits are over."""
        rows = await connection.fetch(sql.WAITING) if someone_waits else []
        waiters = {row["pid"] for row in rows}
        blockers = {pid for row in rows for pid in row["blockers"]} - waiters
        known = {row["pid"]: row for row in await connection.fetch(sql.BLOCKERS, list(blockers))} if blockers else {}
        now, seen = self._notes.now(), set()
        for row in rows:
            # Those before it in the queue block it too, but they wait themselves: the holder is who does not.
            holders = sorted(set(row["blockers"]) - waiters)
            key = row["locktype"], row["relation"], tuple(holders)
            if key not in self._waits:
                lock = f"{row['mode']} on {row['relation'] or 'a ' + row['locktype']}"
                first = f"{_statement(row)} ({_name(row)})"
                self._waits[key] = _Wait(first, lock, _holders(holders, known))
            wait = self._waits[key]
            wait.pids.add(row["pid"])
            seen.add(key)
            self._notes.see(key, "lock", wait.text, began=now - (row["waited"] or 0.0))
        self._notes.keep(seen, "lock")
        self._waits = {key: wait for key, wait in self._waits.items() if key in seen}


def _holders(pids: list[int], known: dict[int, Any]) -> str:
    told = [
        f"{_name(known[pid])}: {_statement(known[pid])}" if pid in known else f"pid {pid}, already gone" for pid in pids
    ]
    return "; ".join(told) or "somebody who was already gone"


def _name(row: Any) -> str:
    idle = ", idle in its transaction" if (row["state"] or "").startswith("idle in transaction") else ""
    return f"{row['application_name'] or row['backend_type'] or 'a backend'}, pid {row['pid']}{idle}"


def _statement(row: Any) -> str:
    return shortened(row["query"] or "a statement not shown", _STATEMENT)


def shortened(text: str, length: int) -> str:
    """At most `length` characters of a statement, on one line."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."
