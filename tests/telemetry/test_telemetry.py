"""Readings of a service, with and without the endpoints; provenance without secrets."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from harness.telemetry.host import HostSource, StealMeter
from harness.telemetry.notes import Notes
from harness.telemetry.provenance import provenance
from harness.telemetry.service import scan
from harness.telemetry.watch import PATIENCE, Watch


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
    watch = Watch(talkative)
    watch.start()
    time.sleep(0.3)
    watch.begin_measure()
    time.sleep(1.3)
    telemetry, readings = watch.stop(), watch.service
    assert 2 <= len(readings.pool_utilization) <= 3
    assert {sample.value for sample in readings.pool_utilization} == {0.25}
    assert all(sample.second >= 0 for sample in readings.pool_utilization)
    assert readings.cache_hits["search"] >= 100
    assert readings.cache_misses == {"search": 0}
    assert readings.compression_ratio == 11.5
    assert telemetry.find("service", "search cache hits")
    assert telemetry.find("host", "core 0")
    assert telemetry.missing[-1] == "PostgreSQL: its URL is not known, only that of the service"
    assert telemetry.seconds_spent > 0


def test_a_service_that_tells_nothing(fake_service: Callable[..., str]) -> None:
    for url in (fake_service(), fake_service("--status", 404)):
        watch = Watch(url)
        watch.start()
        watch.begin_measure()
        time.sleep(0.7)
        watch.stop()
        readings = watch.service
        assert readings.pool_utilization == []
        assert readings.pool_missed >= 1
        assert readings.cache_hits == {}
        assert readings.compression_ratio is None


def test_a_watch_that_never_started_reads_nothing() -> None:
    watch = Watch("http://127.0.0.1:1")
    assert not watch.stop().series
    assert watch.service.pool_utilization == []


@pytest.mark.slow
def test_a_service_that_hangs_delays_neither_the_host_nor_the_end(fake_service: Callable[..., str]) -> None:
    watch = Watch(fake_service("--freeze", 20))
    watch.start()
    watch.begin_measure()
    time.sleep(2.5)
    began = time.monotonic()
    telemetry = watch.stop()
    assert time.monotonic() - began < PATIENCE + 1
    memory = telemetry.find("host", "memory used")
    assert memory is not None
    assert len(memory.values) >= 2
    assert any("/metrics" in sentence for sentence in telemetry.missing)


def test_a_kernel_without_pressure_information_says_so(tmp_path: Path) -> None:
    source = HostSource(tmp_path)
    source.open()
    source.read()
    assert any("pressure" in sentence for sentence in source.notes.missing)
    assert source.notes.samples("CPU pressure", 0.0) == []


def test_a_counter_becomes_a_rate_and_a_restart_no_negative_one() -> None:
    times = iter([0.0, 1.0, 3.0, 4.0, 5.0])
    notes = Notes("postgres", now=lambda: next(times))
    assert [notes.counter("commits", "1/s", value) for value in (10, 30, 50, 5, 6)] == [None, 20, 10, None, 1]
    assert [sample.second for sample in notes.samples("commits", 2.0)] == [-1, 1, 3]


def test_what_is_seen_without_a_break_is_one_event() -> None:
    now = [0.0]
    notes = Notes("postgres", now=lambda: now[0])
    for now[0], seen in ((1.0, True), (1.25, True), (1.5, False), (2.0, True)):
        if seen:
            notes.see("a", "lock", lambda seconds: f"{seconds:g} s", began=now[0] - 0.1)
        notes.keep(["a"] * seen, "lock")
    assert [(one.second, one.seconds, one.text) for one in notes.events(1.0)] == [
        (-0.1, 0.35, "0.35 s"),
        (0.9, 0.1, "0.1 s"),
    ]


def test_metrics_of_several_processes_add_up_and_odd_lines_do_no_harm() -> None:
    text = """memory_cache_hits_total{cache="search",pid="1"} 3.0
memory_cache_hits_total{cache="search",pid="2"} 4.0
memory_cache_hits_created{cache="search"} 1.7e+09
memory_compression_ratio{part="row",pid="1"} 9
memory_compression_ratio{part="row",pid="2"} 8
process_resident_memory_bytes 1.048576e+06
memory_pool_busy what
nothing"""
    assert scan(text) == {
        "memory_cache_hits_total": {"search": 7},
        "memory_compression_ratio": {"row": 9},
        "process_resident_memory_bytes": {"": 1048576},
        "memory_pool_busy": {},
    }


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
