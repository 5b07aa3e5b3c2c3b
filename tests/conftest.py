"""Records made without a server: real recorders, made-up stamps."""

from collections.abc import Callable

import numpy as np
import pytest

from harness.core.recorder import OperationLog, OperationRecorder

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
                recorder.skip(due)
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
