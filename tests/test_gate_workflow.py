"""The workflow that gates pull requests: it parses, and its steps do what they say."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.report.gate.comment import MARKER

ROOT = Path(__file__).parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/membench-gate.yml").read_text())
GATE, COMMENT = (WORKFLOW["jobs"][name] for name in ("gate", "comment"))
STEPS = {step.get("name", step.get("uses", step.get("run"))): step for step in [*GATE["steps"], *COMMENT["steps"]]}


def run(step, folder, path="/usr/bin:/bin", **variables):
    """A step's script as GitHub runs it."""
    environment = {"PATH": path, "FOLDER": str(folder), **variables}
    command = ["bash", "-e", "-c", STEPS[step]["run"]]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20)


@pytest.fixture
def gh(tmp_path):
    """Stands for GitHub's client: notes its arguments, and answers the listing with the ids in a file."""
    tools = tmp_path / "bin"
    tools.mkdir()
    log, known = tmp_path / "calls", tmp_path / "known"
    known.touch()
    script = tools / "gh"
    script.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$*" >> {shlex.quote(str(log))}\n'
        f'case "$*" in *--paginate*) cat {shlex.quote(str(known))};; esac\n'
    )
    script.chmod(0o755)
    folder = tmp_path / "gate"
    folder.mkdir()
    (folder / "comment.md").write_text(f"{MARKER}\n**NO REGRESSION**\n")

    def comment():
        done = run("Comment", folder, f"{tools}{os.pathsep}/usr/bin:/bin", GITHUB_REPOSITORY="owner/project", PULL="17")
        return done, log.read_text().splitlines() if log.exists() else []

    return comment, known, folder


def test_the_first_verdict_is_a_new_comment(gh):
    comment, _, folder = gh
    done, (listing, posting) = comment()
    assert done.returncode == 0, done.stderr
    assert MARKER in listing
    assert posting == f"api --method POST repos/owner/project/issues/17/comments --field body=@{folder}/comment.md"


def test_the_next_one_replaces_it(gh):
    comment, known, folder = gh
    known.write_text("4711\n4712\n")
    done, (_, patching) = comment()
    assert done.returncode == 0, done.stderr
    assert patching == f"api --method PATCH repos/owner/project/issues/comments/4711 --field body=@{folder}/comment.md"


def test_without_a_verdict_the_comment_says_so_and_no_old_one_stays(gh):
    comment, known, folder = gh
    known.write_text("4711\n")
    (folder / "comment.md").unlink()
    folder.rmdir()
    done, (_, patching) = comment()
    assert done.returncode == 0, done.stderr
    assert "comments/4711" in patching
    assert (folder / "comment.md").read_text().startswith(f"{MARKER}\n**INVALID")


def test_the_summary_is_appended_where_there_is_one(tmp_path):
    summary = tmp_path / "summary"
    summary.write_text("before\n")
    assert run("Summary", tmp_path, GITHUB_STEP_SUMMARY=str(summary)).returncode == 0
    (tmp_path / "summary.md").write_text("verdict\n")
    assert run("Summary", tmp_path, GITHUB_STEP_SUMMARY=str(summary)).returncode == 0
    assert summary.read_text() == "before\nverdict\n"


def test_what_is_kept_is_kept_whatever_the_verdict_and_a_fork_does_not_fail():
    for name in ("Summary", "actions/upload-artifact@v4"):
        assert STEPS[name]["if"] == "always()"
    # A job that a newer one has replaced says nothing.
    assert COMMENT["if"] == "${{ !cancelled() && github.event.pull_request.head.repo.full_name == github.repository }}"
    assert "continue-on-error" not in STEPS["Gate"]


def test_nothing_that_a_pull_request_brings_runs_where_something_may_be_written():
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert "permissions" not in GATE
    assert COMMENT["permissions"] == {"pull-requests": "write"}
    assert STEPS["actions/checkout@v4"]["with"]["persist-credentials"] is False
    assert [step.get("uses", step.get("name")) for step in COMMENT["steps"]] == [
        "actions/download-artifact@v4",
        "Comment",
    ]


def test_text_from_outside_reaches_no_shell():
    """A branch may be named like a command: expressions go through the environment."""
    assert not [name for name, step in STEPS.items() if "${{" in step.get("run", "")]


def test_the_gate_is_given_its_base_and_folder():
    python, *_, session, _, base, revision, out, folder = shlex.split(STEPS["Gate"]["run"])
    assert (python, session) == ("python3", "gate")
    assert (base, revision, out, folder) == ("--base", "$BASE", "--out", "$FOLDER")
    # Of the merge that is checked out, and no branch, which moves.
    assert STEPS["Gate"]["env"]["BASE"] == "HEAD^1"
    assert STEPS["actions/checkout@v4"]["with"]["fetch-depth"] == 2
    assert "@nox.session\ndef gate(" in (ROOT / "noxfile.py").read_text()
