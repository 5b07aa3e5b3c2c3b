"""`python -m harness` is `membench`."""

from harness.cli import main

main()
