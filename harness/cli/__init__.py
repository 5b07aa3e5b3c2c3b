"""The command line: `membench`."""

from harness.cli.app import main

__all__ = ["main"]
