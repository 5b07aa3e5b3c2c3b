"""Gates made up: pairs with figures, or with blocks whose histograms give them."""

from collections.abc import Mapping, Sequence

import numpy as np

from harness.core.gate import SIDES, Block, Compared, GateRecord, Pair, Side
from harness.core.histogram import Histogram
from harness.core.record import Provenance
from harness.core.recorder import Tally
from harness.core.rules import Metric, Rules

GET = Metric("get P50", "mix", "latency", "get", gated=True)
SEARCH = Metric("search P50", "mix", "latency", "search", gated=True)
RATE = Metric("search rate", "saturated", "rate", "search", gated=True)
CPU = Metric("service CPU", "mix", "cpu")
P95 = Metric("search P95", "mix", "latency", "search", percentile=95)
METRICS = (GET, SEARCH, RATE, CPU, P95)
LOOKS = (12, 24)

BASE = {"latency": 5000.0, "rate": 800.0, "cpu": 900.0}


def rules(metrics: Sequence[Metric] = METRICS, looks: tuple[int, ...] = LOOKS, **changes: float) -> Rules:
    return Rules(looks=looks, metrics=tuple(metrics), **changes)  # type: ignore[arg-type]


def pairs(
    count: int,
    worse: Mapping[str, float] | None = None,
    *,
    noise: float = 0.03,
    noises: Mapping[str, float] | None = None,
    metrics: Sequence[Metric] = METRICS,
    base: Mapping[str, float] | None = None,
    luck: float = 0.0,
    seed: int = 1,
) -> list[Pair]:
    """Pairs in rounds of six: `worse` gives ratios by name, `luck` the noise that the pairs of a round share."""
    rng = np.random.default_rng(seed)
    made = []
    shared = dict.fromkeys((metric.name for metric in metrics), 0.0)
    for number in range(count):
        if number % 6 == 0:
            shared = {name: rng.normal(0, luck) for name in shared}
        values = {}
        for metric in metrics:
            log = np.log((worse or {}).get(metric.name, 1.0)) + shared[metric.name]
            log += rng.normal(0, (noises or {}).get(metric.name, noise))
            figure = (base or {}).get(metric.name, BASE[metric.kind]) * float(np.exp(rng.normal(0, 0.1)))
            values[metric.name] = figure, figure * float(np.exp(-log if metric.higher_is_better else log))
        made.append(Pair(number + 1, number // 6 + 1, {}, [], values))
    return made


def record(some: Sequence[Pair], given: Rules | None = None, **fields: object) -> GateRecord:
    provenance = Provenance("0", [], "", False, {}, "", {})
    return GateRecord("x", "", provenance, 1, given or rules(), pairs=list(some), **fields)  # type: ignore[arg-type]


def sides(base: Compared | None = None, head: Compared | None = None) -> dict[Side, Compared]:
    return {"base": base or Compared("main", "aaaa"), "head": head or Compared("HEAD", "bbbb")}


def block(
    side: Side,
    clocks: Mapping[str, np.ndarray],
    *,
    operation: str = "search",
    scenario: str = "mix",
    errors: int = 0,
    hung: int = 0,
    doubts: Sequence[str] = (),
) -> Block:
    """A block of one operation, from what its requests took, microseconds."""
    histograms = {}
    for clock, values in clocks.items():
        histogram = Histogram()
        histogram.record(values)
        histograms[clock] = histogram.encode()
    ok = len(clocks["response"])
    tally = Tally(planned=ok + errors + hung, sent=ok + errors + hung, ok=ok, error=errors, censored=hung)
    kinds = {operation: {"HTTP 503": errors - errors // 3, "timeout": errors // 3}} if errors else {}
    return Block(
        side,
        scenario,
        7.0,
        {operation: tally},
        {operation: histograms},
        {operation: ok / 7},
        kinds,
        doubts=list(doubts),
    )


def measured(
    count: int,
    metrics: Sequence[Metric],
    *,
    slower: float = 1.0,
    late: float = 0.0,
    errors: Mapping[Side, Mapping[int, int]] | None = None,
    hung: Mapping[Side, Mapping[int, int]] | None = None,
) -> list[Pair]:
    """Pairs whose figures come from histograms: head's service is `slower`, or was sent its requests `late` (us)."""
    rng = np.random.default_rng(3)
    made = []
    for number in range(1, count + 1):
        blocks = []
        for side in SIDES:
            service = rng.lognormal(np.log(5000), 0.2, 400) * (slower if side == "head" else 1.0)
            clocks = {"service": service, "response": service + (late if side == "head" else 0.0)}
            failed, lost = ((some or {}).get(side, {}).get(number, 0) for some in (errors, hung))
            blocks.append(block(side, clocks, errors=failed, hung=lost))
        pair = Pair(number, (number - 1) // 6 + 1, {"mix": "base"}, blocks)
        pair.take_values(tuple(metrics))
        made.append(pair)
    return made
