"""Whether connections are kept or new, as the service counts them."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.core.scenario import OpenArrivals
from harness.load.job import LoadReport
from tests.load.conftest import noop_scenario


class Handler(BaseHTTPRequestHandler):
    """Answers every GET, and keeps the connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests += 1  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words: object) -> None:
        """Say nothing."""


class Counting(ThreadingHTTPServer):
    """Counts connections and requests."""

    opened = requests = 0

    def get_request(self) -> tuple[object, object]:  # type: ignore[override]
        self.opened += 1
        return super().get_request()


@pytest.fixture
def counting() -> Iterator[Counting]:
    server = Counting(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("connections", ["kept", "new"])
def test_new_connections_are_one_for_each_request(
    counting: Counting, offer: Callable[..., LoadReport], connections: str
) -> None:
    arrivals = OpenArrivals(rate=60, process="uniform", connections=connections)  # type: ignore[arg-type]
    url = f"http://127.0.0.1:{counting.server_port}"
    (log,) = offer(url, noop_scenario(arrivals, 1, warmup=0.2)).operations
    assert log.tally.ok == log.tally.sent == 60
    assert counting.requests == 72
    assert (counting.opened == counting.requests) == (connections == "new")
