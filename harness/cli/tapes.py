"""Tapes for a scenario: the requests that it will send, written before it begins."""

import math
import zlib
from pathlib import Path

from harness.core.scenario import FLOOR, ClosedArrivals, OpenArrivals, Operation, Scenario
from harness.core.tape import write_tape
from harness.corpus import Dataset, params_of, requests

FASTEST_CLOSED = 6000.0
"""Requests per second that a closed loop without think time is not expected to pass on one core."""


def write_tapes(scenario: Scenario, dataset: Dataset, seed: int, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Write one tape for each operation, the floor's last.

    Args:
        scenario: with its final load.
        dataset: what is loaded.
        seed: of the draws; another seed makes other requests for the same memories.
        folder: where the tapes go.

    Returns:
        per operation the tape's path, and its SHA-256.
    """
    paths, hashes = {}, {}
    operations = list(scenario.operations)
    if scenario.floor:
        operations.append(Operation(name=FLOOR, request="noop"))
    for operation in operations:
        path = folder / f"{operation.name}.jsonl"
        own_seed = zlib.crc32(f"{seed}/{scenario.name}/{operation.name}".encode())
        planned = requests(
            operation.request,
            dataset=dataset,
            count=_count(scenario, operation),
            seed=own_seed,
            params=params_of(operation),
        )
        hashes[operation.name] = write_tape(path, planned).sha256
        paths[operation.name] = str(path)
    return paths, hashes


def _count(scenario: Scenario, operation: Operation) -> int:
    """Enough for the whole run: exact for open arrivals, a generous bound for users who choose by lot."""
    phases, arrivals = scenario.phases, scenario.arrivals
    seconds = phases.longest_warmup + phases.measure
    share = 1.0 if operation.name == FLOOR and scenario.floor else _share(scenario, operation)
    match arrivals:
        case OpenArrivals():
            # Warm-up and measure phase each round to whole requests.
            return math.ceil(max(arrivals.rate, arrivals.start_rate) * seconds * share) + 8
        case ClosedArrivals():
            think = sum(arrivals.think) / 2
            rate = min(arrivals.users / think if think else math.inf, FASTEST_CLOSED)
            expected = rate * seconds * share
            return math.ceil(expected + 6 * math.sqrt(expected)) + 2 * arrivals.users


def _share(scenario: Scenario, operation: Operation) -> float:
    return operation.weight / sum(each.weight for each in scenario.operations)
