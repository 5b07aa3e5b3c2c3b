"""How often a gate errs, by gates drawn anew from recorded pairs."""

from msgspec import Struct


class Frequency(Struct, frozen=True):
    """How often something came out, and the 95% interval (Clopper and Pearson) of its probability.

    The interval knows the chance of the draws alone: that the recorded pairs are a sample themselves, it does not.
    """

    count: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """0 to 1."""
        return self.count / self.of


class Calibration(Struct, frozen=True):
    """What became of gates drawn anew.

    Attributes:
        alike: whether base and head were the same, so that every regression is a false alarm.
        rounds: recorded, from which was drawn.
        pairs: in them.
        regression: gates with a regression of any gated metric.
        inconclusive: gates without one, of which some gated metric stayed inconclusive.
        early: gates that ended before their last look.
        metrics: per metric's name, gates in which it regressed.
    """

    alike: bool
    rounds: int
    pairs: int
    regression: Frequency
    inconclusive: Frequency
    early: Frequency
    metrics: dict[str, Frequency]
