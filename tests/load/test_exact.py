"""Searches asked again: how a service says that it can, what is asked, and what becomes of answers that do not come."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from harness.core.recall import Hit
from harness.load.exact import ask_exactly, exact_way, hits, limit_of
from harness.load.sampling import Answered

PATH = "/api/v1/search"
IN_QUERY = {"parameters": [{"name": "exact", "in": "query"}]}
IN_BODY = {"requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Search"}}}}}
SCHEMAS = {"schemas": {"Search": {"properties": {"limit": {}, "exact": {}}}, "Other": {"properties": {"limit": {}}}}}


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, self.server.document)  # type: ignore[attr-defined]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))  # type: ignore[attr-defined]
        if body["query_text"] == "slow":
            time.sleep(1)
        memory = {"id": f"found-{body['query_text']}", "created_at": "1970-01-01T00:00:10Z", "content": "text"}
        answer = {"results": [{"memory": memory, "score": 0.5}]}
        status = 503 if body["query_text"] == "busy" else 200
        self.answer(status, {} if body["query_text"] == "odd" else answer)

    def answer(self, status: int, document: Any) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.document, server.asked = {}, []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url_of(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def sample(text: str, limit: int = 5, path: str = PATH) -> Answered:
    return Answered("search", path, json.dumps({"query_text": text, "limit": limit}).encode(), b"", 0.0)


@pytest.mark.parametrize(
    ("operation", "way"),
    [
        (IN_QUERY, "query"),
        (IN_BODY, "body"),
        (json.loads(json.dumps(IN_BODY).replace("Search", "Other")), None),
        (json.loads(json.dumps(IN_BODY).replace("Search", "Missing")), None),
        ({"parameters": []}, None),
        ({}, None),
        ([], None),
    ],
)
def test_the_description_tells_how(service: ThreadingHTTPServer, operation: Any, way: str | None) -> None:
    service.document = {"paths": {PATH: {"post": operation}}, "components": SCHEMAS}  # type: ignore[attr-defined]
    assert exact_way(url_of(service), PATH) == way


def test_a_service_without_a_description_has_no_exact_search(fake_service: Callable[..., str]) -> None:
    assert exact_way(fake_service(), PATH) is None
    assert exact_way("http://127.0.0.1:1", PATH) is None


def test_more_is_asked_for_than_before_and_exactly(service: ThreadingHTTPServer) -> None:
    (found,) = ask_exactly(url_of(service), [sample("a")], "query", on_answer=lambda done: None)
    assert found == [Hit("found-a", 0.5, 10.0)]
    ask_exactly(url_of(service), [sample("b", 800, f"{PATH}?x=1")], "query", on_answer=lambda done: None)
    ask_exactly(url_of(service), [sample("c")], "body", on_answer=lambda done: None)
    assert service.asked == [  # type: ignore[attr-defined]
        (f"{PATH}?exact=true", {"query_text": "a", "limit": 60}),
        (f"{PATH}?x=1&exact=true", {"query_text": "b", "limit": 1000}),
        (PATH, {"query_text": "c", "limit": 60, "exact": True}),
    ]


def test_what_has_no_good_answer_stays_unanswered(service: ThreadingHTTPServer) -> None:
    done: list[int] = []
    samples = [sample(text) for text in ("a", "busy", "odd", "b")]
    found = ask_exactly(url_of(service), samples, "query", on_answer=done.append)
    assert [one[0].id if one else None for one in found] == ["found-a", None, None, "found-b"]
    assert done == [1, 2, 3, 4]
    assert ask_exactly("http://127.0.0.1:1", samples, "query", on_answer=done.append) == [None] * 4


def test_patience_is_for_all_together(service: ThreadingHTTPServer) -> None:
    samples = [sample("slow") for _ in range(20)]
    found = ask_exactly(url_of(service), samples, "query", on_answer=lambda done: None, patience=0.2)
    assert found == [None] * 20
    assert len(service.asked) <= 3  # type: ignore[attr-defined]


def test_it_can_be_stopped(service: ThreadingHTTPServer) -> None:
    stop, samples = threading.Event(), [sample("a") for _ in range(40)]
    found = ask_exactly(url_of(service), samples, "query", on_answer=lambda done: stop.set(), stop=stop)
    assert 1 <= sum(one is not None for one in found) < 40
    assert len(service.asked) < 40  # type: ignore[attr-defined]


def test_answers_and_requests_are_read() -> None:
    body = (
        b'{"results":[{"memory":{"id":"m","created_at":"1970-01-01T00:00:01Z","updated_at":"1970-01-01T00:00:03Z",'
        b'"last_accessed_at":null},"score":0.25,"distance":null},{"memory":{"id":"n"}}]}'
    )
    assert hits(body) == [Hit("m", 0.25, 3.0), Hit("n")]
    assert (limit_of(b'{"limit":7}'), limit_of(b"{}")) == (7, 10)
