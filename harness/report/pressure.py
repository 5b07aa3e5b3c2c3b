"""The cost of pressure on the host as a table."""

from typing import Final, NamedTuple

from harness.core.record import PressureCost, RunRecord
from harness.report.units import NOTHING, clean, duration, number, rate, share

HEADS: Final = ("Operation", "Figure", "Calm", "Pressed", "Pressed / calm")
TITLE: Final = "What pressure on the host cost"
NOTE: Final = (
    "Rounds of each kind taken together. Targets are judged without pressure. Lag is the generator's own: it shares "
    "the pressed host, and what it lost is not the service's."
)


class CostRow(NamedTuple):
    """One row; `operation` is empty where it is the row above's."""

    operation: str
    figure: str
    calm: str
    pressed: str
    ratio: str


def cost_rows(record: RunRecord) -> list[CostRow]:
    """The rows of a record's table; none where nothing was pressed."""
    rows, last = [], ""
    for cost in record.pressure_costs:
        name = clean(cost.operation) if cost.operation != last else ""
        last = cost.operation
        ratio = NOTHING if cost.ratio is None else f"{number(cost.ratio)}x"
        rows.append(CostRow(name, cost.figure, _value(cost, cost.calm), _value(cost, cost.pressed), ratio))
    return rows


def _value(cost: PressureCost, value: float | None) -> str:
    if cost.unit == "us":
        return duration(value)
    if cost.unit == "1/s":
        return rate(value)
    return share(None if value is None else value / 100)
