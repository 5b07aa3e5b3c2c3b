"""The service's own clock, as its answers tell it."""

import math

from harness.core.recorder import NO_SERVER_TIME


def server_time(header: str | list[str] | None) -> float:
    """The service's own time for a request, microseconds, or NO_SERVER_TIME.

    Args:
        header: the value of `Server-Timing`, such as "cache;desc=hit, total;dur=1.234" (milliseconds).
    """
    if not header:
        return NO_SERVER_TIME
    text = header if isinstance(header, str) else ",".join(header)
    for metric in text.split(","):
        name, *parameters = (part.strip() for part in metric.split(";"))
        if name == "total":
            for parameter in parameters:
                key, _, value = parameter.partition("=")
                if key.strip() == "dur":
                    return _microseconds(value)
    return NO_SERVER_TIME


def _microseconds(milliseconds: str) -> float:
    try:
        value = float(milliseconds.strip().strip('"')) * 1e3
    except ValueError:
        return NO_SERVER_TIME
    return value if math.isfinite(value) and value >= 0 else NO_SERVER_TIME
