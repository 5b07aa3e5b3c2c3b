"""Readings of a service, with and without the endpoints; provenance without secrets."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.telemetry.host import StealMeter
from harness.telemetry.provenance import provenance
from harness.telemetry.service import ServiceWatch


class Talkative(BaseHTTPRequestHandler):
    hits = 0

    def do_GET(self) -> None:
        type(self).hits += 100
        texts = {
            "/debug/pool-stats": '{"utilization": 0.25}',
            "/metrics": (
                "# TYPE memory_cache_hits_total counter\n"
                f'memory_cache_hits_total{{cache="search"}} {type(self).hits}\n'
                "# TYPE memory_cache_misses_total counter\n"
                'memory_cache_misses_total{cache="search"} 7\n'
                "# TYPE memory_compression_ratio gauge\n"
                'memory_compression_ratio{part="text"} 2.5\nmemory_compression_ratio{part="row"} 11.5\n'
            ),
        }
        body = texts[self.path].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def talkative() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Talkative)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_service_that_tells(talkative: str) -> None:
    watch = ServiceWatch(talkative)
    watch.start()
    time.sleep(1.3)
    readings = watch.stop()
    assert [sample.value for sample in readings.pool_utilization] == [0.25, 0.25]
    assert readings.pool_utilization[0].second == pytest.approx(0.5, abs=0.2)
    assert readings.cache_hits["search"] >= 100
    assert readings.cache_misses == {"search": 0}
    assert readings.compression_ratio == 11.5


def test_a_service_that_tells_nothing(fake_service: Callable[..., str]) -> None:
    for url in (fake_service(), fake_service("--status", 404)):
        watch = ServiceWatch(url)
        watch.start()
        time.sleep(0.7)
        readings = watch.stop()
        assert readings.pool_utilization == []
        assert readings.cache_hits == {}
        assert readings.compression_ratio is None


def test_a_watch_that_never_started_reads_nothing() -> None:
    assert ServiceWatch("http://127.0.0.1:1").stop().pool_utilization == []


def test_steal_is_a_share() -> None:
    meter = StealMeter()
    time.sleep(0.1)
    share = meter.share()
    assert share is None or 0 <= share <= 1


def test_provenance_says_what_figures_depend_on_and_no_password() -> None:
    found = provenance(["membench", "run", "--postgres", "postgresql://u:secret@h/db", "noop"])
    assert found.command[3] == "postgresql://u:***@h/db"
    assert found.machine["cores"]
    assert found.machine["kernel"]
    assert {"locust", "asyncpg", "hdrhistogram"} <= set(found.packages)
    assert found.python.startswith("CPython 3.")
