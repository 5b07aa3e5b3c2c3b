"""Latency histograms: HDR buckets with exact rules for rank and range."""

import math
from collections.abc import Iterable, Sequence
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from hdrh.histogram import HdrHistogram
from scipy.special import betainc

LOWEST: Final = 1
HIGHEST: Final = 3_600_000_000
"""The largest trackable value: one hour in microseconds."""
DIGITS: Final = 3


def new_hdr() -> HdrHistogram:
    """An empty HdrHistogram with the range and precision used throughout: 1 us to 1 h, 3 digits."""
    return HdrHistogram(LOWEST, HIGHEST, DIGITS)


_SHAPE: Final = new_hdr()
_HALF_MAGNITUDE: Final = int(_SHAPE.sub_bucket_half_count_magnitude)
_SLOTS: Final = int(_SHAPE.counts_len)


class Histogram:
    """Durations in whole microseconds, counted in HDR buckets (three significant digits).

    Recording takes arrays, since a generator that counts one value at a time in Python pays for it between
    two requests. Encodes to and from HdrHistogram's own V2 format. Histograms merge; percentiles never do.

    Attributes:
        out_of_range: values below 0 or above one hour, which no bucket holds. Counted, never dropped silently.
    """

    __slots__ = ("_counts", "_max", "_min", "out_of_range")

    def __init__(self) -> None:
        self._counts: npt.NDArray[np.int64] = np.zeros(_SLOTS, dtype=np.int64)
        self._min: int | None = None
        self._max = 0
        self.out_of_range = 0

    @property
    def count(self) -> int:
        """The number of recorded values."""
        return int(self._counts.sum())

    @property
    def max(self) -> int:
        """The largest recorded value, microseconds; 0 when empty. Exact until encoded, then its bucket's upper end."""
        return self._max

    @property
    def min(self) -> int:
        """The smallest recorded value, microseconds; 0 when empty."""
        return self._min or 0

    def record(self, values: npt.ArrayLike) -> None:
        """Count durations.

        Args:
            values: microseconds, any shape; fractions are rounded to the nearest whole.
        """
        array = np.rint(np.asarray(values)).astype(np.int64).ravel()
        good = array[(array >= 0) & (array <= HIGHEST)]
        self.out_of_range += int(array.size - good.size)
        if good.size:
            self._counts += np.bincount(slots(good), minlength=_SLOTS)
            self._note_extremes(int(good.min()), int(good.max()))

    def merge(self, other: Self) -> None:
        """Add all of another histogram's values."""
        self._counts += other._counts
        self.out_of_range += other.out_of_range
        if other._min is not None:
            self._note_extremes(other._min, other._max)

    def percentile(self, percent: float, *, unknown_above: int = 0) -> int | None:
        """The smallest value that at least `percent` of all values do not exceed, by nearest rank.

        The rank is ceil(percent * n / 100): hdrhistogram's own int(... + 0.5) would give the P99 of 149
        values as their 148th of 149, and so hide the very tail that is asked for.

        Args:
            percent: above 0, at most 100.
            unknown_above: further values known only to be larger than all recorded ones (requests that did not
                end within the drain).

        Returns:
            microseconds, at the upper end of the value's bucket, at most the largest value recorded; None when
            empty or when the rank falls among the unknown ones.
        """
        count = self.count
        rank = max(math.ceil(round((count + unknown_above) * percent / 100, 9)), 1)
        if rank > count:
            return None
        slot = int(np.searchsorted(np.cumsum(self._counts), rank))
        return min(int(upper_bounds(np.array([slot]))[0]), self._max)

    def smooth_percentile(self, percent: float, *, unknown_above: int = 0, unknown: float = 0.0) -> float | None:
        """The percentile by Harrell and Davis's estimator, on the log scale: less noisy than any single rank.

        Every value counts by the chance that it is the one at the rank: Beta(q (n + 1), (1 - q) (n + 1)) over the
        ranks (Harrell and Davis, Biometrika 69, 1982). Of few hundred requests a P99 is by nearest rank one of the
        three slowest, and jumps between them. Logarithms are averaged, so that one stall of a second is a slow
        request, and not the whole figure.

        Args:
            percent: above 0, below 100.
            unknown_above: further values known only to be larger than all recorded ones.
            unknown: what each of these counts as, microseconds.

        Returns:
            microseconds, at least 1; None when empty.
        """
        used, counts = self.used()
        values = np.minimum(upper_bounds(used), self._max).astype(np.float64)
        if unknown_above:
            values, counts = np.append(values, unknown), np.append(counts, unknown_above)
        if not counts.size:
            return None
        reached, total = np.cumsum(counts), int(counts.sum())
        chance = betainc(percent / 100 * (total + 1), (1 - percent / 100) * (total + 1), reached / total)
        return float(np.exp(np.sum(np.diff(chance, prepend=0.0) * np.log(np.maximum(values, 1.0)))))

    def percentiles(self, percents: Iterable[float]) -> list[int | None]:
        """`percentile` of each."""
        return [self.percentile(percent) for percent in percents]

    def mean(self) -> float:
        """The mean, microseconds, from the buckets' middles; NaN when empty."""
        count = self.count
        if not count:
            return math.nan
        used = np.flatnonzero(self._counts)
        middle = (lower_bounds(used) + upper_bounds(used)) / 2
        return float((middle * self._counts[used]).sum() / count)

    def share_above(self, value: float) -> float:
        """The share (0 to 1) of values in buckets wholly above `value` microseconds; 0 when empty."""
        count = self.count
        used = np.flatnonzero(self._counts)
        return float(self._counts[used][lower_bounds(used) > value].sum() / count) if count else 0.0

    def curve(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """The distribution for a plot: percentiles (0 to 100) and their values (microseconds), per used bucket."""
        used = np.flatnonzero(self._counts)
        share = np.cumsum(self._counts[used]) / max(self.count, 1)
        return share * 100, np.minimum(upper_bounds(used), self._max)

    def used(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
        """The buckets in use, ascending, and the values in each."""
        slot = np.flatnonzero(self._counts)
        return slot, self._counts[slot]

    @classmethod
    def of(cls, slot: npt.NDArray[np.intp], counts: npt.NDArray[np.int64]) -> Self:
        """A histogram from what `used` gives; a bucket's values count as its lower and upper ends, as decoded ones."""
        new = cls()
        new._counts[slot] = counts
        filled = np.flatnonzero(new._counts)
        if filled.size:
            new._note_extremes(int(lower_bounds(filled[:1])[0]), int(upper_bounds(filled[-1:])[0]))
        return new

    def to_hdr(self) -> HdrHistogram:
        """The same counts as an HdrHistogram."""
        hdr = new_hdr()
        np.ctypeslib.as_array(hdr.counts)[:] = self._counts
        hdr.total_count = self.count
        if self._min is not None:
            hdr.min_value, hdr.max_value = self._min, self._max
        return hdr

    def encode(self) -> str:
        """HdrHistogram's compressed V2 format in base64, as in .hlog files."""
        return str(self.to_hdr().encode().decode("ascii"))

    @classmethod
    def decode(cls, text: str) -> Self:
        """The histogram that `encode`, or any HdrHistogram V2 writer with the same shape, wrote.

        Raises:
            ValueError: the text is no such histogram, or one of another shape.
        """
        try:
            hdr = HdrHistogram.decode(text.encode("ascii"))
        except Exception as error:
            raise ValueError(f"not an encoded HdrHistogram: {error}") from error
        return cls.from_hdr(hdr)

    @classmethod
    def from_hdr(cls, hdr: HdrHistogram) -> Self:
        """A copy of an HdrHistogram of the same range and precision.

        Raises:
            ValueError: the shape is another.
        """
        if hdr.counts_len != _SLOTS or hdr.significant_figures != DIGITS:
            raise ValueError("the histogram has another range or precision than 1 us to 1 h at 3 digits")
        counts = np.ctypeslib.as_array(hdr.counts)[:_SLOTS].astype(np.int64)
        slot = np.flatnonzero(counts)
        return cls.of(slot, counts[slot])

    def _note_extremes(self, low: int, high: int) -> None:
        self._min = low if self._min is None else min(self._min, low)
        self._max = max(self._max, high)


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """One histogram of all values: the only true way to percentiles over several."""
    total = Histogram()
    for histogram in histograms:
        total.merge(histogram)
    return total


def slots(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The HDR bucket of each value (microseconds, within range), as HdrHistogram's countsArrayIndex gives it."""
    # frexp's exponent is the bit length: exact for integers below 2**53.
    bits = np.frexp((values | _SHAPE.sub_bucket_mask).astype(np.float64))[1].astype(np.int64)
    bucket = bits - (_HALF_MAGNITUDE + 1)
    index: npt.NDArray[np.int64] = ((bucket + 1) << _HALF_MAGNITUDE) + (values >> bucket) - (1 << _HALF_MAGNITUDE)
    return index


def lower_bounds(slot: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """The smallest value (microseconds) of each bucket."""
    bucket, sub = _split(slot)
    return sub << bucket


def upper_bounds(slot: npt.NDArray[np.intp]) -> npt.NDArray[np.int64]:
    """The largest whole value (microseconds) of each bucket."""
    bucket, sub = _split(slot)
    return ((sub + 1) << bucket) - 1


def _split(slot: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    index = slot.astype(np.int64)
    bucket = (index >> _HALF_MAGNITUDE) - 1
    sub = (index & ((1 << _HALF_MAGNITUDE) - 1)) + (1 << _HALF_MAGNITUDE)
    first = bucket < 0
    return np.where(first, 0, bucket), np.where(first, sub - (1 << _HALF_MAGNITUDE), sub)


def enough_for(percent: float) -> int:
    """The fewest samples whose `percent` percentile says something: ten must lie beyond it.

    With n (1 - q) = 10 the number of samples beyond the true quantile varies by about a third (binomial, one
    standard deviation), which is the coarsest still worth a verdict: 1,000 samples for a P99.
    """
    return math.ceil(round(10 / (1 - percent / 100), 6)) if percent < 100 else 1


PERCENTS: Final[Sequence[float]] = (50, 95, 99, 99.9)
"""The percentiles shown and kept everywhere."""
