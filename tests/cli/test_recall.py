"""From a sample of searches to what a record says of recall."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import scenarios
from harness.cli.recall import measure_recall
from harness.core.record import ScenarioResult
from harness.core.scenario import load_scenario
from harness.load.sampling import Answered


def answer(*names: str) -> bytes:
    return json.dumps(
        {"results": [{"memory": {"id": name}, "score": 0.5 - n} for n, name in enumerate(names)]}
    ).encode()


class Exact(BaseHTTPRequestHandler):
    """Knows exact searches, and always finds the same."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        way = {"post": {"parameters": [{"name": "exact", "in": "query"}]}}
        self.say(json.dumps({"paths": {"/api/v1/search": way}}).encode())

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.say(answer("a", "b", "c", "d"))

    def say(self, data: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def exact() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Exact)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def result() -> ScenarioResult:
    scenario = load_scenario(scenarios.paths()["search_complex"])
    return ScenarioResult(scenario, "2026-01-01T00:00:00+00:00", 10.0, "complete", 1, {}, [])


def samples(count: int, *found: str, operation: str = "search") -> list[Answered]:
    body = b'{"query_text":"q","limit":2}'
    return [Answered(operation, "/api/v1/search", body, answer(*found), 1e9) for _ in range(count)]


def test_each_operation_that_searches_has_its_recall(exact: str) -> None:
    measured, steps = result(), []
    asked = samples(25, "a", "b") + samples(25, "b", "x", operation="other")
    measure_recall(exact, measured, asked, steps.append, lambda text: None)
    assert {name: (one.mean, one.queries, one.k) for name, one in measured.recall.items()} == {
        "search": (1.0, 25, 2.0),
        "other": (0.5, 25, 2.0),
    }
    assert measured.recall_missing == {}
    assert "recall of search 100.0% (" in steps[0]


def test_why_there_is_none(exact: str, fake_service: Callable[..., str]) -> None:
    stopped = threading.Event()
    stopped.set()
    odd = [Answered("search", "/api/v1/search", b"{}", b"<html>", 1e9)]
    for url, asked, stop, reason in (
        (exact, samples(3, "a"), None, "3 searches could be compared; recall needs 20"),
        (exact, samples(30, "a"), stopped, "0 searches could be compared, 30 more had no exact answer"),
        (exact, odd, None, "answers to searches are not understood"),
        (fake_service(), samples(30, "a"), None, "describes no exact search"),
    ):
        measured, steps = result(), []
        measure_recall(url, measured, asked, steps.append, lambda text: None, stop)
        assert measured.recall == {}
        assert reason in measured.recall_missing["search"]
        assert reason in steps[0]


def test_nothing_sampled_nothing_said() -> None:
    measured = result()
    measure_recall("http://127.0.0.1:1", measured, [], pytest.fail, pytest.fail)
    assert measured.recall == measured.recall_missing == {}
