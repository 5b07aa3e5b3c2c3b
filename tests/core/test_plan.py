"""Plans: exact mixes, interleaved floors, seeds, shares of workers."""

import numpy as np
import pytest

import scenarios
from harness.core.plan import plan_open
from harness.core.scenario import ClosedArrivals, OpenArrivals, Operation, Phases, Scenario, load_scenario


def scenario(floor: bool = False, process: str = "poisson", rate: float = 100) -> Scenario:
    return Scenario(
        name="test",
        title="",
        description="",
        arrivals=OpenArrivals(rate=rate, process=process),  # type: ignore[arg-type]
        operations=(Operation("create", "create", weight=20), Operation("search", "search", weight=80)),
        floor=floor,
        phases=Phases(warmup=2, warmup_most=4, measure=10),
    )


def test_the_mix_is_exact_in_each_phase() -> None:
    warmup, measure = plan_open(scenario(), seed=1)
    assert np.bincount(measure.operation).tolist() == [200, 800]
    assert np.bincount(warmup.operation).tolist() == [80, 320]
    assert (np.diff(measure.due) >= 0).all()


def test_the_floor_has_the_same_rate_and_is_interleaved() -> None:
    plan = plan_open(scenario(floor=True), seed=1).measure
    measured = plan.operation
    assert plan.operations == ("create", "search", "noop")
    assert np.bincount(measured).tolist() == [200, 800, 1000]
    runs = np.diff(np.flatnonzero(np.diff(measured == 2)))
    assert runs.max() < 20


def test_the_seed_decides_everything() -> None:
    assert (plan_open(scenario(), 1).measure.due == plan_open(scenario(), 1).measure.due).all()
    assert (plan_open(scenario(), 1).measure.due != plan_open(scenario(), 2).measure.due).any()


def test_workers_share_the_plan_without_loss() -> None:
    plan = plan_open(scenario(floor=True), seed=3).measure
    shares = [plan.share(worker, 3) for worker in range(3)]
    assert sorted(due for share in shares for due in share.due.tolist()) == plan.due.tolist()
    assert len(list(shares[0])) == len(shares[0])


def test_a_ramp_warms_up_at_its_starting_rate() -> None:
    ramp = Scenario(
        name="ramp",
        title="",
        description="",
        arrivals=OpenArrivals(rate=200, process="ramp", start_rate=50),
        operations=(Operation("noop", "noop"),),
        phases=Phases(warmup=2, warmup_most=0, measure=10),
    )
    warmup, measure = plan_open(ramp, 1)
    assert len(warmup) == 100
    assert len(measure) == 1250


def test_users_decide_for_themselves() -> None:
    with pytest.raises(TypeError, match="closed"):
        plan_open(scenario().under(users=5), seed=1)


@pytest.mark.parametrize("name", sorted(scenarios.paths()))
@pytest.mark.parametrize("suite", ["smoke", "standard", "full"])
def test_every_open_scenario_can_be_planned(name: str, suite: str) -> None:
    shipped = load_scenario(scenarios.paths()[name]).in_suite(suite)
    if isinstance(shipped.arrivals, ClosedArrivals):
        assert not shipped.floor
        return
    plans = plan_open(shipped, 1)
    seconds = shipped.phases.longest_warmup + shipped.phases.measure
    expected = shipped.arrivals.rate * seconds * (1 + shipped.floor)
    assert len(plans.warmup) + len(plans.measure) == pytest.approx(expected, abs=4)


def test_workers_share_the_requests_without_loss_and_the_measure_phase_has_its_own() -> None:
    warmup, measure = plan_open(scenario(floor=True), seed=3)
    for operation in range(3):
        assert warmup.requests_of(operation).tolist() == list(range(len(warmup.requests_of(operation))))
        first = len(warmup.requests_of(operation))
        expected = list(range(first, first + len(measure.requests_of(operation))))
        shares = [measure.share(worker, 3).requests_of(operation).tolist() for worker in range(3)]
        assert sorted(number for share in shares for number in share) == expected
