"""Tapes for a scenario: the requests that it will send, written before it begins."""

import zlib
from collections.abc import Mapping
from pathlib import Path

from harness.core.plan import most_requests
from harness.core.scenario import FLOOR, Operation, Scenario
from harness.core.tape import write_tape
from harness.corpus.dataset import Dataset
from harness.corpus.requests import params_of, requests


def write_tapes(
    scenario: Scenario,
    dataset: Dataset,
    seed: int,
    folder: Path,
    workers: int = 1,
    *,
    most: Mapping[str, int] | None = None,
) -> tuple[dict[str, str], dict[str, str]]:
    """Write one tape for each operation, the floor's last.

    Args:
        scenario: with its final load.
        dataset: what is loaded.
        seed: of the draws; another seed makes other requests for the same memories.
        folder: where the tapes go.
        workers: load processes that share the load.
        most: per operation, how many requests are enough, where that is known better than the scenario tells.

    Returns:
        per operation the tape's path, and its SHA-256.
    """
    paths, hashes = {}, {}
    operations = list(scenario.operations)
    if scenario.floor:
        operations.append(Operation(name=FLOOR, request="noop"))
    for operation in operations:
        path = folder / f"{operation.name}.jsonl"
        count = most_requests(scenario, operation.name, workers)
        own_seed = zlib.crc32(f"{seed}/{scenario.name}/{operation.name}".encode())
        planned = requests(
            operation.request,
            dataset=dataset,
            count=min(count, (most or {}).get(operation.name, count)),
            seed=own_seed,
            params=params_of(operation),
        )
        hashes[operation.name] = write_tape(path, planned).sha256
        paths[operation.name] = str(path)
    return paths, hashes
