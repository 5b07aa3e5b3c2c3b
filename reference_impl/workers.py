"""Several processes behind one port: the kernel spreads connections among them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from types import FrameType

from reference_impl.settings import Settings, variable

# Tells a child that the port it finds in use is its siblings'.
CHILD = "MEMORY_CHILD_OF"


def supervise(settings: Settings) -> int:
    """Runs `settings.workers` processes until a signal ends them; if one dies, all end.

    Returns:
        Exit status: 0 after a signal, 1 if a process died by itself.
    """
    values = {variable(name): str(getattr(settings, name)) for name in settings.__struct_fields__}
    environment = {**os.environ, **values, CHILD: str(os.getpid())}
    children = [
        subprocess.Popen([sys.executable, "-m", "reference_impl"], env=environment) for _ in range(settings.workers)
    ]
    told = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal told
        told = True
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    pid, _ = os.wait()
    clean = told
    for child in children:
        if child.pid != pid and child.poll() is None:
            child.terminate()
    for child in children:
        if child.pid != pid:
            child.wait()
    return 0 if clean else 1
