"""What tests of several rooms need: made-up logs, a fake service, a PostgreSQL server, ports."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from harness.core.recorder import OperationLog, OperationRecorder
from harness.selftest.serving import MisbehavingServer
from harness.stack import embedded
from harness.stack.ledger import Ledger
from tests.ports import free_port

S = 1_000_000_000


@pytest.fixture
def make_log() -> Callable[..., OperationLog]:
    """An operation's log from arrays of what its requests took."""

    def make(
        name: str = "get",
        *,
        count: int = 2000,
        seconds: int = 10,
        service_ms: float | np.ndarray = 1.0,
        lag_ms: float | np.ndarray = 0.0,
        server_ms: float | None = 0.5,
        errors: int = 0,
        skipped: int = 0,
        late_skips: bool = False,
        censored: int = 0,
        kind: str = "HTTP 500",
    ) -> OperationLog:
        recorder = OperationRecorder(name, (0, seconds * S))
        service = np.broadcast_to(service_ms, count)
        lag = np.broadcast_to(lag_ms, count)
        for number in range(count):
            due = number * seconds * S // count
            recorder.plan(due)
            if number < skipped:
                recorder.skip(due, due + late_skips * 10**8)
                continue
            recorder.send(due)
            if number < skipped + censored:
                continue
            sent = due + round(lag[number] * 1e6)
            failed = number < skipped + censored + errors
            recorder.record(
                due,
                sent,
                sent + round(service[number] * 1e6),
                -1.0 if server_ms is None else server_ms * 1e3,
                kind if failed else None,
            )
        return recorder.log()

    return make


@pytest.fixture
def free_tcp_port() -> Callable[[], int]:
    """Gives a port that nobody listens on."""
    return free_port


@pytest.fixture
def fake_service() -> Iterator[Callable[..., str]]:
    """Starts a misbehaving server with the given options; gives its URL."""
    started: list[MisbehavingServer] = []

    def start(*options: object) -> str:
        started.append(MisbehavingServer(*options))
        return started[-1].url

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real PostgreSQL server for the session."""
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    postgres = embedded.start([], ledger, lambda text: None)
    yield postgres.url
    postgres.stop()
    ledger.close()
