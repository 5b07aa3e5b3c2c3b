"""Gates drawn anew: the rules err as seldom as they promise, and find what is there."""

import numpy as np
import pytest

from harness.core.errors import UsageError
from harness.core.gate import GateVerdict
from harness.judge.calibration import completed, resampled, rounds_of
from harness.judge.comparison import Differences, compare
from harness.judge.gate import decide
from tests.judge import gates
from tests.judge.gates import GET, METRICS, SEARCH, pairs, record, rules
from tests.judge.test_gate import TODAY

HARD = rules([GET, SEARCH, *METRICS[2:]], bound=1.15)


def simulated(noise: float, gates_drawn: int, *, heavy: bool = False) -> Differences:
    rng = np.random.default_rng(5)
    shape = len(METRICS), gates_drawn, 24
    drawn = rng.standard_t(3, shape) if heavy else rng.normal(size=shape)
    return Differences(drawn * noise, np.zeros(shape))


@pytest.mark.parametrize("heavy", [False, True])
def test_at_the_edge_of_what_matters_alarms_stay_within_alpha(heavy: bool) -> None:
    # All gated metrics worse by exactly `least`: the worst case of the null.
    edge = simulated(0.1, 1500, heavy=heavy)
    edge = Differences(edge.worse + np.log(1.05), edge.growth)
    found = compare(edge, HARD)
    alarmed = found.regressed[found.gated].any(axis=0)
    assert 0.015 < alarmed.mean() < 0.05 + 3 * (0.05 * 0.95 / 1500) ** 0.5


def test_identical_code_alarms_almost_never() -> None:
    alike = simulated(0.12, 1000)
    found = compare(alike, HARD)
    assert int(found.regressed[found.gated].any(axis=0).sum()) <= 3


def test_recorded_pairs_of_identical_code_give_a_false_alarm_rate_with_its_interval() -> None:
    found = resampled(rounds_of(pairs(48, noise=0.06)), HARD, alike=True, draws=500)
    assert (found.alike, found.rounds, found.pairs) == (True, 8, 48)
    assert found.regression.share <= 0.01
    assert found.regression.of == 500
    assert found.regression.low <= found.regression.share < found.regression.high
    assert found.regression.high - found.regression.low < 0.02
    assert set(found.metrics) == {metric.name for metric in METRICS}


def test_the_luck_of_a_rounds_processes_shows_as_false_alarms() -> None:
    single = resampled(rounds_of(pairs(72, noise=0.1)), HARD, alike=True, draws=300)
    shared = resampled(rounds_of(pairs(72, noise=0.1, luck=0.3)), HARD, alike=True, draws=300)
    assert shared.regression.share > single.regression.share + 0.05


def test_an_injected_slowdown_is_found_where_it_is_and_nowhere_else() -> None:
    slowed = pairs(48, {SEARCH.name: 1.3}, noise=0.06)
    found = resampled(rounds_of(slowed), HARD, alike=False, draws=300)
    assert found.metrics[SEARCH.name].share > 0.99
    assert found.regression.count == found.metrics[SEARCH.name].count
    assert found.metrics[GET.name].share < 0.02
    assert found.early.share < 0.05


def test_noise_makes_gates_inconclusive_not_alarmed() -> None:
    found = resampled(rounds_of(pairs(48, noise=0.35)), HARD, alike=True, draws=300)
    assert found.inconclusive.share > 0.6
    assert found.regression.share < 0.03


def test_it_decides_as_the_gate_itself() -> None:
    drawn = pairs(24, {SEARCH.name: 1.14}, noise=0.08)
    for seed in range(12):
        order = np.random.default_rng(seed).permutation(24)
        judged = record([drawn[n] for n in order])
        alone = Differences.between(judged.pairs, METRICS)
        for look in HARD.looks:
            judged.pairs = [drawn[n] for n in order[:look]]
            over = decide(judged, [], TODAY)
            found = compare(alone.of(np.array([0]), look), HARD)
            assert over == (look == HARD.looks[-1] or bool(found.passes[0]))
            told = [result.verdict == GateVerdict.REGRESSION for result in judged.metrics]
            assert told == (found.regressed[:, 0] & over).tolist()


def test_same_seed_same_gates_and_missing_figures_are_borne() -> None:
    recorded = pairs(30, noise=0.1)
    for pair in recorded[::3]:
        del pair.values[GET.name]
    one, two, other = (resampled(rounds_of(recorded), HARD, alike=True, draws=60, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one != other


def test_one_round_is_no_sample() -> None:
    with pytest.raises(UsageError, match="two at the least"):
        resampled(rounds_of(pairs(6)), HARD, alike=True)
    assert [len(each) for each in rounds_of(pairs(15))] == [6, 6, 3]
    doubted = pairs(7)
    doubted[0].blocks.append(gates.block("base", {"response": np.ones(1)}, doubts=["steal"]))
    assert [len(each) for each in rounds_of(doubted)] == [5, 1]


def test_blocks_measured_alone_are_completed_by_those_of_equal_sides() -> None:
    slowed = pairs(8, {SEARCH.name: 1.5}, noise=0.05)
    for pair in slowed:
        pair.values = {SEARCH.name: pair.values[SEARCH.name]}
    alike = rounds_of(pairs(24, noise=0.05, seed=2))
    found = completed(rounds_of(slowed), alike)
    assert [len(each) for each in found] == [6, 2, 6, 2]
    assert found[1][0].values == {**alike[1][0].values, SEARCH.name: slowed[6].values[SEARCH.name]}
    drawn = resampled(found, HARD, alike=False, draws=200)
    assert drawn.metrics[SEARCH.name].share > 0.99
    assert drawn.metrics[GET.name].share < 0.02
    assert completed([], alike) == []
