"""What one line of a JSON-lines corpus says: a memory or a question, or what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from harness.corpus.memory import NewMemory, Question
from harness.corpus.tiers import TIERS

DEFAULT_IMPORTANCE: Final = 0.5
"""Importance of a memory that states none: the service's own default."""

LONGEST_CONTENT: Final = 1_048_576
"""Characters the service accepts."""

_CONTENT: Final = ("content", "text")
_IMPORTANCE: Final = ("importance_score", "importance")
_CREATED: Final = ("created_at", "said_at", "timestamp")
_KNOWN: Final = frozenset((*_CONTENT, *_IMPORTANCE, *_CREATED, "id", "tier", "metadata", "speaker"))
_TIER_BY_NAME: Final = {tier.lower(): tier for tier in TIERS}


class Fault(Exception):
    """What is wrong with one line; ``hint`` says what to do about it."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.hint = hint


def parse_object(line: bytes) -> dict[str, Any]:
    """The JSON object on a line; raises ``Fault``."""
    try:
        row = msgspec.json.decode(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise Fault(f"byte {error.start + 1} of the line is not UTF-8", "convert the file to UTF-8") from None
    except msgspec.DecodeError as error:
        raise Fault(f"not JSON: {error}", "put one whole JSON object on the line") from None
    if not isinstance(row, dict):
        raise Fault(f"{_kind(row)} instead of an object", 'write {"content": "..."} or {"question": "..."}')
    return row


def _kind(value: object) -> str:
    names = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")


class Row(msgspec.Struct):
    """A memory whose tier may not be known yet; ``moment`` is its date in seconds since 1970."""

    content: str
    importance: float
    metadata: dict[str, Any]
    tier: str | None
    created_at: str | None
    moment: float | None

    def memory(self) -> NewMemory:
        """The memory, once its tier is set."""
        assert self.tier is not None
        return NewMemory(
            content=self.content,
            tier=self.tier,
            importance_score=self.importance,
            metadata=self.metadata,
            created_at=self.created_at,
        )


class MemoryReader:
    """Reads lines of memories and remembers their ids."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {}

    def read(self, row: dict[str, Any], line: int) -> Row:
        """The memory that the object of one line describes; raises ``Fault``."""
        content = _string(row, _CONTENT)
        if content is None or not content.strip():
            problem = "content is missing" if content is None else "content is empty"
            raise Fault(problem, 'give "content" (or "text") at least one character, or remove the line')
        speaker = _string(row, ("speaker",))
        metadata = {key: value for key, value in row.items() if key not in _KNOWN}
        stated = row.get("metadata")
        if stated is not None and not isinstance(stated, dict):
            raise Fault(f"metadata is {_kind(stated)}", "make it a JSON object")
        metadata |= stated or {}
        if speaker:
            metadata["speaker"] = speaker
            content = f"{speaker}: {content}"
        if len(content) > LONGEST_CONTENT:
            hint = f"split it: the service takes {LONGEST_CONTENT:,}"
            raise Fault(f"content has {len(content):,} characters", hint)
        if (source := self._id(row, line)) is not None:
            metadata["source_id"] = source
        created_at, moment = _created(row)
        return Row(content, _importance(row), metadata, _tier(row), created_at, moment)

    def _id(self, row: dict[str, Any], line: int) -> str | None:
        value = row.get("id")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise Fault(f"id is {_kind(value)}", "make it a string or a whole number")
        source = str(value)
        if (earlier := self._lines.setdefault(source, line)) != line:
            raise Fault(f"id {source!r} is also that of line {earlier}", "give every memory its own id")
        return source


def _string(row: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = row.get(key)
        if value is not None:
            if not isinstance(value, str):
                raise Fault(f"{key} is {_kind(value)}", "make it a string")
            return value
    return None


def _importance(row: dict[str, Any]) -> float:
    for key in _IMPORTANCE:
        value = row.get(key)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise Fault(f"{key} is {_kind(value)}", "make it a number from 0 to 1")
            if not 0 <= value <= 1:
                raise Fault(f"{key} is {value}", "make it a number from 0 to 1")
            return float(value)
    return DEFAULT_IMPORTANCE


def _tier(row: dict[str, Any]) -> str | None:
    name = _string(row, ("tier",))
    if name is None:
        return None
    if name.lower() not in _TIER_BY_NAME:
        raise Fault(f"tier is {name!r}", f"use one of {', '.join(TIERS)}, or leave it out")
    return _TIER_BY_NAME[name.lower()]


def _created(row: dict[str, Any]) -> tuple[str | None, float | None]:
    text = _string(row, _CREATED)
    if text is None:
        return None, None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Fault(f"the date {text!r} is not ISO 8601", "write it like 2026-03-01T09:30:00Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.isoformat(), moment.timestamp()


def parse_question(row: dict[str, Any], known: set[str]) -> Question:
    """The question an object describes; ``known`` holds the ids evidence may name. Raises ``Fault``."""
    text = _string(row, ("question",))
    if text is None or not text.strip():
        raise Fault(f"question is {'missing' if text is None else 'empty'}", 'give "question" a text')
    evidence = row.get("evidence") or []
    if not isinstance(evidence, list) or not all(isinstance(source, str | int) for source in evidence):
        raise Fault("evidence is not an array of ids", 'write it like ["26/D1:3"], or leave it out')
    sources = tuple(str(source) for source in evidence)
    for source in sources:
        if source not in known:
            raise Fault(f"evidence {source!r} is no id of the memories", "correct it, or give the matching file")
    conversation, category = row.get("conversation"), row.get("category")
    return Question(
        text=text,
        evidence=sources,
        conversation=None if conversation is None else str(conversation),
        category=None if category is None else str(category),
    )
