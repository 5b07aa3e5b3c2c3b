"""The service's own clock, as its answers tell it."""

from harness.core.recorder import NO_SERVER_TIME


def server_time(header: str | list[str] | None) -> float:
    """The service's own time for a request, microseconds, or NO_SERVER_TIME.

    Args:
        header: the value of `Server-Timing`, such as "total;dur=1.234, cache;desc=hit" (milliseconds).
    """
    if header:
        text = header if isinstance(header, str) else ",".join(header)
        for metric in text.split(","):
            name, _, parameters = metric.strip().partition(";")
            if name == "total" and parameters.startswith("dur="):
                try:
                    return float(parameters[4:].partition(";")[0]) * 1e3
                except ValueError:
                    break
    return NO_SERVER_TIME
