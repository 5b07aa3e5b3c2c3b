"""What may import what: read from the code itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("corpus", "load", "stack", "telemetry", "judge", "report")
FORBIDDEN_IN_CORE = {"locust", "gevent", "geventhttpclient", "asyncpg", "http", "urllib", "requests", "docker"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
    return found


def modules(folder: str) -> list[Path]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files, folder
    return files


def of_project(found: set[str]) -> set[str]:
    return {name for name in found if name.split(".")[0] in ("harness", "scenarios", "reference_impl", "tests")}


@pytest.mark.parametrize("path", modules("harness/core"), ids=lambda path: path.name)
def test_core_imports_nothing_of_the_project_and_no_io(path: Path) -> None:
    found = imports(path)
    assert all(name.startswith("harness.core") for name in of_project(found))
    assert not {name.split(".")[0] for name in found} & FORBIDDEN_IN_CORE


def test_the_selftest_puts_load_and_judge_together_and_only_the_command_line_uses_it() -> None:
    may = ("harness.core", "harness.load", "harness.judge", "harness.telemetry", "harness.selftest")
    for path in modules("harness/selftest"):
        assert all(name == "harness" or name.startswith(may) for name in of_project(imports(path))), path
    for path in modules("harness"):
        if any(name.startswith("harness.selftest") for name in imports(path)):
            assert path.parent.name in ("selftest", "cli"), path


def test_the_gate_puts_the_rooms_together_but_not_their_reports_and_only_the_command_line_uses_it() -> None:
    may = ("core", "corpus", "stack", "load", "telemetry", "judge", "gate")
    for path in modules("harness/gate"):
        assert all(name.split(".")[1] in may for name in of_project(imports(path))), path
    for path in modules("harness"):
        if any(name.startswith("harness.gate") for name in imports(path)):
            assert path.parent.name in ("gate", "cli"), path


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_core_and_not_each_other(room: str) -> None:
    for path in modules(f"harness/{room}"):
        for name in of_project(imports(path)):
            assert name == "harness" or name.startswith(("harness.core", f"harness.{room}")), f"{path}: {name}"


def test_harness_and_service_know_each_other_only_by_url() -> None:
    for path in modules("harness"):
        assert not any(name.startswith("reference_impl") for name in imports(path)), path
    for path in modules("reference_impl"):
        assert not any(name.startswith(("harness", "scenarios")) for name in imports(path)), path


def test_only_what_measures_or_breaks_its_parts_imports_the_service() -> None:
    for path in modules("scenarios"):
        if path.parent.name not in ("micro", "faults"):
            assert not any(name.startswith("reference_impl") for name in imports(path)), path


def patches(name: str) -> bool:
    """Whether a module of the load room imports Locust or gevent, itself or through another."""
    path = ROOT / f"{name.replace('.', '/')}.py"
    found = imports(path if path.exists() else path.with_suffix("") / "__init__.py")
    if {each.split(".")[0] for each in found} & {"locust", "gevent", "geventhttpclient"}:
        return True
    return any(patches(each) for each in found if each.startswith("harness.load."))


def test_locust_stays_in_load_processes() -> None:
    """Importing it patches the standard library."""
    assert patches("harness.load.process")
    for path in modules("harness"):
        if path.parent.name != "load":
            for name in imports(path):
                assert not (name.startswith("harness.load") and patches(name)), f"{path}: {name}"
    assert not patches("harness.load.driver")
