"""Entry point of `python -m scenarios.faults FAULT[=VALUE]... [options of the service]`."""

import os
import sys
import textwrap
from itertools import takewhile
from pathlib import Path
from typing import Final

from reference_impl.settings import parse
from scenarios.faults.dial import VARIABLE, Dial, read

_USAGE: Final = "usage: python -m scenarios.faults FAULT[=VALUE] [FAULT[=VALUE] ...] [options of the service]"
_MORE: Final = f"""\
Several may be planted; of those that concern the same operation the last one named is outermost.

{VARIABLE}, in the environment: a file of lines such as slow_search=1.1, which sets the values of
what is planted while the service runs. It is read when a request comes, once in 50 ms; it may come and go. Replace it
by renaming another. What it does not name keeps its value.

Options are those of the service: python -m reference_impl --help. Only one process: --workers must be 1.

example:
  python -m scenarios.faults slow_search=1.2 --port 3333    # each search takes 20% longer
  python -m scenarios.faults slow_search=1 --port 3333      # the same code, and not slower: a control
"""


def main(arguments: list[str]) -> int:
    """Plants what is named, and runs the service; returns its exit status."""
    named = list(takewhile(lambda word: not word.startswith("-"), arguments))
    options = arguments[len(named) :]
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as the service's own entry does, before numpy loads
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from scenarios.faults.ground import Ground  # noqa: PLC0415
    from scenarios.faults.registry import FAULTS  # noqa: PLC0415

    if named == ["list"] or {"-h", "--help"} & {*options}:
        print(f"{_USAGE}\n\nfaults:\n")
        for fault in FAULTS.values():
            print(f"  {fault.usage}\n{textwrap.indent(fault.text, '      ')}\n")
        print(_MORE, end="")
        return 0
    try:
        values = read(named, {name: fault.value for name, fault in FAULTS.items()})
    except ValueError as error:
        return _refuse(str(error))
    if not values:
        return _refuse("no fault is named")
    settings = parse(options)
    if settings.workers > 1:
        return _refuse("faults are planted in one process: --workers must be 1")
    file = os.environ.get(VARIABLE)
    ground = Ground(settings, Dial({name: FAULTS[name].value for name in values}, values, Path(file) if file else None))
    for name in values:
        FAULTS[name].plant(ground)
    return ground.run()


def _refuse(why: str) -> int:
    print(f"{_USAGE}\nscenarios.faults: {why}; `python -m scenarios.faults list` tells what there is", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
