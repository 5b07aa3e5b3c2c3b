from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.tape import Request, TapeError, read_tape, write_tape

REQUESTS = [
    Request("GET", "/api/v1/noop"),
    Request("POST", "/api/v1/search", msgspec.Raw(b'{"query_text":"caf\xc3\xa9","limit":5}')),
    Request("DELETE", "/api/v1/memories/7", msgspec.Raw(b"")),
]


def test_requests_come_back_as_written(tmp_path: Path):
    path = tmp_path / "a.tape"
    info = write_tape(path, iter(REQUESTS))
    back = list(read_tape(path))
    assert [(r.method, r.path, bytes(r.body)) for r in back] == [(r.method, r.path, bytes(r.body)) for r in REQUESTS]
    assert (info.count, info.bytes) == (3, path.stat().st_size)
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.read_bytes().splitlines()[0] == b'{"method":"GET","path":"/api/v1/noop"}'


@given(st.dictionaries(st.text(), st.text() | st.integers(-(2**53), 2**53)))
def test_any_body_survives(tmp_path_factory: pytest.TempPathFactory, body: dict):
    path = tmp_path_factory.mktemp("tape") / "a.tape"
    encoded = msgspec.json.encode(body)
    write_tape(path, [Request("PUT", "/x", msgspec.Raw(encoded))])
    assert [bytes(request.body) for request in read_tape(path)] == [encoded]


def test_an_empty_tape(tmp_path: Path):
    assert write_tape(tmp_path / "a.tape", []).count == 0
    assert list(read_tape(tmp_path / "a.tape")) == []


def test_a_failed_writing_leaves_no_tape(tmp_path: Path):
    with pytest.raises(TapeError, match=r"request 1 \(PUT /x\) has a body of several lines"):
        write_tape(tmp_path / "a.tape", [Request("PUT", "/x", msgspec.Raw(b'{\n"a":1}'))])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"[]",
        b'{"method":"GET"}',
        b'{"method":"get","path":"/"}',
        b'{"method":"GET","path":"x"}',
        b"\xff",
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, line: bytes):
    path = tmp_path / "a.tape"
    path.write_bytes(b'{"method":"GET","path":"/"}\n' + line + b"\n")
    tape = read_tape(path)
    assert next(tape).path == "/"
    with pytest.raises(TapeError, match=r"a\.tape:2: not a request") as caught:
        next(tape)
    assert caught.value.hint


def test_a_missing_tape(tmp_path: Path):
    with pytest.raises(TapeError, match="cannot be opened: No such file"):
        next(read_tape(tmp_path / "none.tape"))


def test_chosen_requests_are_read_and_no_others(tmp_path: Path):
    path = tmp_path / "a.tape"
    write_tape(path, (Request("GET", f"/{number}") for number in range(10)))
    assert [request.path for request in read_tape(path, [0, 3, 4, 9])] == ["/0", "/3", "/4", "/9"]
    assert [request.path for request in read_tape(path, [8, 12])] == ["/8"]
    assert list(read_tape(path, [])) == []
