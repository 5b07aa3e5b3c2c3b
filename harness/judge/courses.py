"""A history of gates as series that may be looked at together, each with its changes."""

from itertools import pairwise

import numpy as np

from harness.core.history import Change, Course, Entry, Trend
from harness.judge.changes import change_points


def courses(entries: list[Entry]) -> list[Course]:
    """The entries by reference and conditions, the course of the newest gate last.

    A series of mixed references or machines would show where those changed.
    """
    apart: dict[tuple[str, str], list[Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.created_at):
        apart.setdefault((entry.base, entry.conditions), []).append(entry)
    together = sorted(apart.values(), key=lambda own: own[-1].created_at)
    return [Course(own[0].base, own[0].machine, own[0].conditions, own, _trends(own)) for own in together]


def _trends(entries: list[Entry]) -> list[Trend]:
    names = dict.fromkeys(name for entry in reversed(entries) for name in entry.metrics)
    return [_trend(name, [entry for entry in entries if name in entry.metrics]) for name in names]


def _trend(metric: str, entries: list[Entry]) -> Trend:
    points = [entry.metrics[metric] for entry in entries]
    ratios = np.log([point.ratio for point in points])
    splits = change_points(ratios)
    edges = [0, *(split.at for split in splits), len(ratios)]
    levels = [float(np.exp(ratios[a:b].mean())) for a, b in pairwise(edges)]
    changes = [Change(split.at, split.p, *both) for split, both in zip(splits, pairwise(levels), strict=True)]
    return Trend(metric, entries, points, changes)
