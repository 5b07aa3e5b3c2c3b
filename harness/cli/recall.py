"""Recall of a scenario's searches: its sample asked again exactly, while the system is still up."""

import threading
from collections.abc import Callable, Sequence

import msgspec

from harness.core.readings import Recall
from harness.core.recall import LEAST_QUERIES, compare, summarise
from harness.core.record import ScenarioResult
from harness.load.exact import FIELD, ask_exactly, exact_way, hits, limit_of
from harness.load.sampling import Answered


def measure_recall(
    url: str,
    result: ScenarioResult,
    samples: Sequence[Answered],
    step: Callable[[str], None],
    update: Callable[[str], None],
    stop: threading.Event | None = None,
) -> None:
    """Fill in a scenario's recall, per operation that searches, or why there is none.

    Args:
        url: the service's root.
        result: of a scenario whose load is over; what it says of recall is filled in.
        samples: searches with the answers that they had under load.
        step: told what came of it.
        update: told how far it is.
        stop: once set, no further search is sent.
    """
    for name in dict.fromkeys(sample.operation for sample in samples):
        chosen = [sample for sample in samples if sample.operation == name]
        found = _of_operation(url, chosen, result.seed, lambda text: update(f"{result.name}: {text}"), stop)
        if isinstance(found, str):
            result.recall_missing[name] = found
            step(f"{result.name}: recall of {name} not measured: {found}")
        else:
            result.recall[name] = found
            step(
                f"{result.name}: recall of {name} {found.mean:.1%} ({found.low:.1%} to {found.high:.1%}) over "
                f"{found.queries} of its searches, asked again exactly"
            )


def _of_operation(
    url: str, samples: list[Answered], seed: int, update: Callable[[str], None], stop: threading.Event | None
) -> Recall | str:
    """The recall of one operation, or why there is none."""
    way = exact_way(url, samples[0].path.partition("?")[0])
    if way is None:
        return f"the service describes no exact search (a field '{FIELD}' in its /openapi.json)"
    count = len(samples)
    exact = ask_exactly(
        url, samples, way, on_answer=lambda done: update(f"{done} of {count} searches asked exactly"), stop=stop
    )
    queries, limits, unanswered = [], [], 0
    for sample, truth in zip(samples, exact, strict=True):
        try:
            answer, limit = hits(sample.answer), limit_of(sample.body)
        except msgspec.MsgspecError:
            return "the service's answers to searches are not understood"
        if truth is None:
            unanswered += 1
        elif shares := compare(answer, truth, limit, sample.sent_at):
            queries.append(shares)
            limits.append(limit)
    recall = summarise(queries, limits, unanswered, seed)
    if recall is None:
        without = f", {unanswered} more had no exact answer" if unanswered else ""
        return f"{len(queries)} searches could be compared{without}; recall needs {LEAST_QUERIES}"
    return recall
