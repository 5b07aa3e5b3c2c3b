"""What the machine did to a measurement: the only excuses there are for a figure that is off."""

import contextlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.core.record import ScenarioResult
from harness.judge import doubt

SAMPLED: Final = 0.1
"""Seconds between two readings of the waits."""


@dataclass(frozen=True)
class Conditions:
    """Under which one figure was measured.

    Attributes:
        doubts: what the judge says of the generator: it failed, did not report, was out of CPU, or robbed of it.
        broken: whether it failed or did not report, rather than being slow.
        lag_ms: the most by which a request was sent late; 0 where the lag itself is what is measured.
        waits_ms: per process, the most that it waited for a core within two readings.
    """

    doubts: list[str] = field(default_factory=list)
    broken: bool = False
    lag_ms: float = 0.0
    waits_ms: Mapping[str, float] = field(default_factory=dict)

    def excuse(self, excess_ms: float | None) -> str:
        """Why a figure may be off by so much; empty where nothing explains it.

        A busy machine makes times longer and never shorter, and lag and waits excuse an error no larger than they
        are: a generator 4 ms late does not make 400 ms.

        Args:
            excess_ms: by how much it is longer than the tolerance allows; None for what no delay explains: a figure too
                small, a wrong count, a missing figure.
        """
        if self.doubts and (self.broken or excess_ms is not None):
            return "; ".join(self.doubts)
        if excess_ms is None:
            return ""
        if excess_ms <= self.lag_ms:
            return f"the generator lagged by up to {self.lag_ms:.0f} ms{self._without_cpu()}"
        if excess_ms <= sum(self.waits_ms.values()):
            waited = " and ".join(f"the {name} {wait:.0f} ms" for name, wait in self.waits_ms.items() if wait >= 0.5)
            return f"no CPU: within {2 * SAMPLED:g} s {waited} waited for a core that others used"
        return ""

    def _without_cpu(self) -> str:
        wait = self.waits_ms.get("generator", 0.0)
        return f": no CPU, it waited {wait:.0f} ms for a core that others used" if wait >= self.lag_ms / 2 else ""

    def healthy(self) -> str:
        """What there was, in words, where it excuses nothing."""
        waits = ", ".join(f"{name} waited {wait:.1f} ms for a core" for name, wait in self.waits_ms.items())
        return f"lag at most {self.lag_ms:.1f} ms" + (f", {waits}" if waits else "")


def conditions(result: ScenarioResult, waits: Mapping[str, float], *, without_lag: bool = False) -> Conditions:
    """The conditions of a scenario's figures.

    Args:
        result: of the scenario.
        waits: per process, as `Waits.worst` has them.
        without_lag: lag excuses nothing here: it is what is measured, or has no part in the figure.
    """
    lags = [result.histogram(log.name, "lag").max / 1e3 for log in result.operations]
    lag = 0.0 if without_lag else max(lags, default=0.0)
    broken = result.status != "complete" or result.generator.reported < result.generator.workers
    return Conditions([one.reason for one in doubt.of_scenario(result)], broken, lag, waits)


class Waits:
    """How long processes were ready to run and had no core (Linux: /proc/PID/schedstat, second field).

    A context manager; reads from a thread of its own while it is open. Where the kernel does not tell, waits are 0.

    Args:
        processes: ids by name.
    """

    def __init__(self, processes: Mapping[str, Sequence[int]]) -> None:
        self._paths = {name: [Path(f"/proc/{pid}/schedstat") for pid in pids] for name, pids in processes.items()}
        self._seen: dict[str, list[int]] = {name: [] for name in processes}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Waits":
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def worst(self) -> dict[str, float]:
        """Per process, milliseconds that it waited within two readings, at the most."""
        return {name: _worst(seen) / 1e6 for name, seen in self._seen.items()}

    def _watch(self) -> None:
        while True:
            for name, paths in self._paths.items():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    self._seen[name].append(sum(int(path.read_text().split()[1]) for path in paths))
            if self._over.wait(SAMPLED):
                return


def _worst(seen: Sequence[int]) -> int:
    """The most that a counter grew from one reading to the next but one."""
    ends = seen[2:] or seen[-1:]
    return max((end - begin for begin, end in zip(seen, ends, strict=False)), default=0)
