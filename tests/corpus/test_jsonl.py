from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from harness.corpus import CorpusError, JsonlCorpus

TURNS = [
    {
        "id": f"7/D{day}:1",
        "conversation": "7",
        "session": day,
        "said_at": f"2024-03-{day:02d}T08:00:00",
        "speaker": "Ana" if day % 2 else "Ben",
        "content": f"On day {day} I repaired the old boat at the lake.",
    }
    for day in range(1, 21)
]


def write(path: Path, *rows: object) -> Path:
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def read(corpus: JsonlCorpus) -> list:
    return [memory for batch in corpus.batches(6) for memory in batch]


def test_dialogue_turns(tmp_path: Path):
    corpus = JsonlCorpus(write(tmp_path / "turns.jsonl", *TURNS))
    first, *_, last = read(corpus)
    assert corpus.count == 20
    assert first.content == "Ana: On day 1 I repaired the old boat at the lake."
    assert first.created_at == "2024-03-01T08:00:00+00:00"
    assert first.metadata == {"conversation": "7", "session": 1, "speaker": "Ana", "source_id": "7/D1:1"}
    assert (first.tier, last.tier) == ("Cold", "Working")
    assert Counter(memory.tier for memory in read(corpus)) == {"Working": 12, "Warm": 5, "Cold": 3}


def test_generic_rows_and_blank_lines(tmp_path: Path):
    rows = [
        {"text": "one", "tier": "COLD", "importance": 1, "timestamp": "2024-01-01T00:00:00+02:00", "id": 5},
        b"  ",
        {"content": "two", "metadata": {"a": 1}, "b": 2, "importance_score": 0.25},
    ]
    corpus = JsonlCorpus(write(tmp_path / "rows.jsonl", *rows))
    one, two = read(corpus)
    assert (one.tier, one.importance_score, one.created_at) == ("Cold", 1.0, "2024-01-01T00:00:00+02:00")
    assert one.metadata == {"source_id": "5"}
    assert (two.tier, two.importance_score, two.created_at) == ("Working", 0.25, None)
    assert two.metadata == {"a": 1, "b": 2}


def test_without_dates_later_lines_are_newer(tmp_path: Path):
    corpus = JsonlCorpus(write(tmp_path / "rows.jsonl", *({"content": f"c{n}"} for n in range(3))))
    assert [memory.tier for memory in read(corpus)] == ["Cold", "Warm", "Working"]


def test_duplicates_within_a_tier_are_counted(tmp_path: Path):
    rows = [
        {"content": "same", "tier": "Warm"},
        {"content": "same", "tier": "warm"},
        {"content": "same", "tier": "Cold"},
    ]
    assert JsonlCorpus(write(tmp_path / "rows.jsonl", *rows)).duplicates == 1


def test_questions(tmp_path: Path):
    questions = write(
        tmp_path / "q.jsonl",
        {"question": "What was repaired?", "conversation": "7", "evidence": ["7/D1:1"], "category": 2},
        {"question": "Where?"},
    )
    first, second = JsonlCorpus(write(tmp_path / "t.jsonl", *TURNS), questions).query_texts
    assert (first.evidence, first.conversation, first.category) == (("7/D1:1",), "7", "2")
    assert (second.evidence, second.conversation) == ((), None)


def test_without_questions_excerpts_stand_in(tmp_path: Path):
    corpus = JsonlCorpus(write(tmp_path / "t.jsonl", *TURNS))
    assert list(corpus.questions) == []
    texts = {question.text: question for question in corpus.query_texts}
    assert len(texts) == 20
    assert texts["On day 3 I repaired the old boat at the lake."].evidence == ("7/D3:1",)
    assert len(JsonlCorpus(write(tmp_path / "u.jsonl", {"content": "Hi."})).query_texts) == 1


GOOD = {"content": "good", "id": "1"}


@pytest.mark.parametrize(
    ("row", "message", "hint"),
    [
        (b'{"content": ', "not JSON", "one whole JSON object"),
        (b'["x"]', "an array instead of an object", "content"),
        ({"id": "2"}, "content is missing", "at least one character"),
        ({"content": " "}, "content is empty", "at least one character"),
        ({"content": 5}, "content is a number", "a string"),
        ({"content": "x", "metadata": []}, "metadata is an array", "an object|a JSON object"),
        ({"content": "x", "importance": "high"}, "importance is a string", "0 to 1"),
        ({"content": "x", "importance_score": 1.5}, "importance_score is 1.5", "0 to 1"),
        ({"content": "x", "tier": "Hot"}, "tier is 'Hot'", "Working, Warm, Cold"),
        ({"content": "x", "said_at": "yesterday"}, "'yesterday' is not ISO 8601", "2026-03-01T09:30:00Z"),
        ({"content": "x", "id": 1.5}, "id is a number", "whole number"),
        ({"content": "x", "id": "1"}, "id '1' is also that of line 1", "its own id"),
        ({"content": "x" * 1_048_577}, "1,048,577 characters", "1,048,576"),
        (b'{"content": "caf\xe9"}', "byte 17 of the line is not UTF-8", "convert"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, row: object, message: str, hint: str):
    path = write(tmp_path / "rows.jsonl", GOOD, b"", row)
    with pytest.raises(CorpusError) as caught:
        JsonlCorpus(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:3: ")
    assert message in text
    assert text.endswith(" (good memories before it: 1)")
    assert any(part in caught.value.hint for part in hint.split("|"))
    assert (caught.value.path, caught.value.line) == (path, 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "?"}, "question is missing"),
        ({"question": ""}, "question is empty"),
        ({"question": "x", "evidence": "1"}, "evidence is not an array"),
        ({"question": "x", "evidence": ["9"]}, "evidence '9' is no id of the memories"),
    ],
)
def test_a_faulty_question_is_named(tmp_path: Path, row: object, message: str):
    questions = write(tmp_path / "q.jsonl", {"question": "y", "evidence": ["1"]}, row)
    with pytest.raises(CorpusError, match=message) as caught:
        JsonlCorpus(write(tmp_path / "rows.jsonl", GOOD), questions)
    assert (caught.value.path, caught.value.line) == (questions, 2)


def test_files_that_cannot_be_used(tmp_path: Path):
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"\n\n")
    for path, message in (
        (empty, "holds no memories"),
        (tmp_path / "none.jsonl", "No such file"),
        (tmp_path, "this is a directory"),
    ):
        with pytest.raises(CorpusError, match=message) as caught:
            JsonlCorpus(path)
        assert str(path) in str(caught.value)
        assert caught.value.hint
