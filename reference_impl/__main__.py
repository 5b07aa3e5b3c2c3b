"""Entry point of `python -m reference_impl`."""

import os
import sys

from reference_impl.settings import parse


def main() -> int:
    """Reads the command line and runs the service; returns its exit status."""
    settings = parse()
    # Before numpy loads: matrices here are small, and threads that spin for more take a core from PostgreSQL.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Only now, as --help and usage errors need not wait for all that it loads.
    from reference_impl.startup import run  # noqa: PLC0415

    return run(settings)


if __name__ == "__main__":
    sys.exit(main())
