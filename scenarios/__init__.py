"""The workloads, the suites and the targets: data files, and how to find them."""

from pathlib import Path

FOLDER = Path(__file__).parent
TARGETS = FOLDER / "targets.toml"
SUITES = FOLDER / "suites.toml"
MICRO = FOLDER / "micro"
GATE = FOLDER / "gate"


def paths() -> dict[str, Path]:
    """The file of each scenario, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml")) if path not in (TARGETS, SUITES)}
