"""How a load that changes is described and drawn."""

import pytest
from matplotlib.figure import Figure

from harness.core.scenario import OpenArrivals, Operation, Phases, Scenario, Stage
from harness.report import words
from harness.report.timeline import _offered

SPIKE = OpenArrivals(
    rate=100, stages=(Stage(0.2, 20), Stage(0.2, 5, to=1.0), Stage(1.0, 5)), connections="new", process="uniform"
)


def test_stages_and_new_connections_in_words() -> None:
    scenario = Scenario("spike", "", "", SPIKE, (Operation("get", "get"),), phases=Phases(measure=60))
    assert words.load(scenario) == (
        "open: 100/s at most, in stages (20/s for 40 s, 20/s to 100/s for 10 s, 100/s for 10 s), evenly spaced, "
        "each over a new connection"
    )


@pytest.mark.parametrize(
    ("arrivals", "points"),
    [
        (SPIKE, [(-5, 20), (0, 20), (40, 20), (40, 20), (50, 100), (50, 100), (60, 100)]),
        (OpenArrivals(rate=70), [(-5, 70), (0, 70), (60, 70)]),
        (OpenArrivals(rate=70, process="ramp", start_rate=10), [(-5, 10), (0, 10), (60, 70)]),
    ],
)
def test_the_offered_line_follows_the_stages(arrivals: OpenArrivals, points: list[tuple[float, float]]) -> None:
    axes = Figure().add_subplot()
    axes.set_xlim(-5, 62)
    _offered(axes, arrivals.pieces(60))
    x, y = axes.lines[0].get_data()
    assert list(zip(x, y, strict=True)) == points
