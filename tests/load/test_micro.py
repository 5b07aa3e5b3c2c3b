"""Results of pytest-benchmark, taken over with percentiles of their raw timings."""

import json

import pytest

from harness.core.errors import LoadError
from harness.load.micro import parse


def file(data: list[float]) -> bytes:
    benchmark = {"name": "test_get[x]", "group": "sql", "stats": {"data": data}}
    return json.dumps({"benchmarks": [benchmark]}).encode()


def test_percentiles_come_from_the_raw_timings() -> None:
    (found,) = parse(file([n / 1e6 for n in range(1, 1001)]))
    assert (found.name, found.group, found.rounds) == ("get[x]", "sql", 1000)
    assert (found.p50, found.p95, found.p99, found.max) == pytest.approx((500, 950, 990, 1000))


def test_a_p99_that_the_sample_cannot_carry_is_left_out() -> None:
    assert parse(file([0.001] * 50))[0].p99 is None


def test_a_suite_that_measured_nothing_is_refused() -> None:
    with pytest.raises(LoadError, match="no micro-benchmark ran"):
        parse(b'{"benchmarks": []}')
    with pytest.raises(LoadError, match="without its raw timings"):
        parse(file([]))
