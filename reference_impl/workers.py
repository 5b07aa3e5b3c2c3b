"""Several processes behind one port: the kernel spreads connections among them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from types import FrameType

from reference_impl.settings import Settings, variable
from reference_impl.siblings import FOLDER, NUMBER

# Tells a child that the port it finds in use is its siblings'.
CHILD = "MEMORY_CHILD_OF"
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Has this process told to stop once its parent is gone, even by SIGKILL (on Linux); for `supervise`'s children."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(os.environ[CHILD]):
        # It was gone before that.
        os.kill(os.getpid(), signal.SIGTERM)


def supervise(settings: Settings) -> int:
    """Runs `settings.workers` processes until a signal ends them; if one dies, all end.

    Returns:
        Exit status: 0 after a signal, 1 if a process died by itself.
    """
    with tempfile.TemporaryDirectory(prefix="reference-impl-") as folder:
        return _supervise(settings, folder)


def _supervise(settings: Settings, folder: str) -> int:
    values = {variable(name): str(getattr(settings, name)) for name in settings.__struct_fields__}
    environment = {**os.environ, **values, CHILD: str(os.getpid()), FOLDER: folder}
    children = [
        subprocess.Popen([sys.executable, "-m", "reference_impl"], env={**environment, NUMBER: str(number)})
        for number in range(settings.workers)
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
