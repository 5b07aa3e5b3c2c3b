"""Timing call by call, each call with its own arguments, and never a call's preparation."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")

ROUNDS: Final = 1_000
"""Rounds where nothing else is said: as many as a P99 needs. What takes more than a millisecond may do with fewer."""

VARIABLE: Final = "MEMBENCH_MICRO_ROUNDS"
"""The environment variable with the most rounds that benchmarks are to do: JSON, by "group/name", "*" for the rest.
Who compares many runs needs none of them to be long, but all of one length."""


def _most(benchmark: BenchmarkFixture) -> int:
    most = json.loads(os.environ.get(VARIABLE, "{}"))
    name = f"{benchmark.group}/{benchmark.name.removeprefix('test_')}"
    return int(most.get(name, most.get("*", ROUNDS)))


def _warmup(rounds: int) -> int:
    """Untimed calls first: PostgreSQL plans a statement anew for each of its first five executions."""
    return min(10, rounds // 4)


class Rounds:
    """Times functions over a fixed number of rounds, so that percentiles of two runs rest on samples of one size.

    Args:
        benchmark: of the test.
        loop: for coroutine functions.
    """

    def __init__(self, benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop) -> None:
        self._benchmark: Any = benchmark
        self._loop, self._most = loop, _most(benchmark)

    def fixed(self, function: Callable[..., T], *values: Any, rounds: int = ROUNDS, iterations: int = 1) -> T:
        """Times a function that is always called alike.

        Args:
            function: what is timed.
            values: its arguments.
            rounds: timings.
            iterations: calls that one timing is the mean of; for what takes hardly longer than reading the clock.

        Returns:
            The result of the last call.
        """
        rounds = min(rounds, self._most)
        result: T = self._benchmark.pedantic(
            function, values, rounds=rounds, iterations=iterations, warmup_rounds=_warmup(rounds)
        )
        return result

    def each(self, function: Callable[..., T], arguments: Iterable[tuple[Any, ...]], *, rounds: int = ROUNDS) -> T:
        """Times a function, each round with the next arguments; these run out no earlier than ten rounds later.

        Returns:
            The result of the last call.
        """
        supply, rounds = iter(arguments), min(rounds, self._most)
        result: T = self._benchmark.pedantic(
            function, setup=lambda: (next(supply), {}), rounds=rounds, warmup_rounds=_warmup(rounds)
        )
        return result

    def awaited(
        self,
        function: Callable[..., Coroutine[Any, Any, T]],
        arguments: Iterable[tuple[Any, ...]],
        *,
        rounds: int = ROUNDS,
    ) -> T:
        """The same for a coroutine function; each call is a run of the event loop, which has a price of its own."""
        run = self._loop.run_until_complete
        return self.each(lambda *values: run(function(*values)), arguments, rounds=rounds)
