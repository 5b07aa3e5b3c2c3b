"""Baselines: run records that were kept under a name, with where they come from."""

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from harness.core import record as records
from harness.core.errors import MembenchError, UsageError
from harness.core.fingerprint import Fingerprint, of_run
from harness.core.record import RunRecord
from harness.core.verdict import Verdict

ABOUT: Final = "baseline.json"
CURRENT: Final = "current"
POINTER: Final = "current.json"
"""Names the current baseline. A file, not a link, so that a repository keeps it everywhere."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_TAKEN: Final = (CURRENT, POINTER, "latest")


class Baseline(Struct):
    """What is known of a baseline beside its record.

    Attributes:
        run: the id of the run.
        note: why it was kept.
        revision: of the working directory that the run was made in; with "+" where it had changes of its own.
        despite: what spoke against keeping it, where somebody kept it anyway.
        sha256: of the record's file.
        fingerprint: what must be equal for figures to be comparable with it.
    """

    name: str
    run: str
    saved_at: str
    note: str
    revision: str
    despite: list[str]
    sha256: str
    fingerprint: Fingerprint


class Pointer(Struct):
    """Which baseline is the current one.

    Attributes:
        before: which was it until then; empty for none.
    """

    name: str
    promoted_at: str
    before: str = ""


class Baselines:
    """The baselines of one folder. Nothing in it is ever overwritten or deleted, but the pointer to the current one.

    Args:
        root: the folder; it need not be there.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """Where a baseline is or would be.

        Raises:
            UsageError: it is no name for one.
        """
        if not _NAME.fullmatch(name) or name in _TAKEN:
            raise UsageError(
                f"'{name}' is no name for a baseline",
                hint=f"a-z, 0-9, '-', '_' and '.', up to 64 of them, not {', '.join(_TAKEN)}",
            )
        return self.root / name

    def save(self, run: Path, name: str, *, now: str, note: str = "", anyway: bool = False) -> Baseline:
        """Keep a run's record.

        Args:
            run: the run's folder.
            name: to keep it under.
            now: RFC 3339.
            note: why.
            anyway: also where something speaks against it, which is then recorded.

        Raises:
            UsageError: the name is taken or is none; the run has no record; the folder cannot be written.
            MembenchError: the run is not whole or cannot be believed.
        """
        target = self.folder(name)
        if target.exists():
            raise UsageError(
                f"there is a baseline '{name}' already", hint="give another name with --as; nothing is overwritten"
            )
        record = records.load(run)
        despite = objections(record)
        if despite and not anyway:
            raise MembenchError(
                f"run {record.id} is no baseline: {despite[0]}",
                hint="run it again, or keep it with --anyway, which is recorded",
            )
        source = run / records.FILE if run.is_dir() else run
        about = Baseline(
            name=name,
            run=record.id,
            saved_at=now,
            note=note,
            revision=record.provenance.git_revision + "+" * record.provenance.git_dirty,
            despite=despite,
            sha256=_sha256(source),
            fingerprint=of_run(record),
        )
        try:
            self._write(target, source, about)
        except OSError as error:
            raise UsageError(f"cannot write {target}: {error.strerror}") from error
        return about

    def about(self, name: str) -> Baseline:
        """What is known of one.

        Raises:
            UsageError: there is none of that name, or its file is damaged.
        """
        path = self.folder(name) / ABOUT
        try:
            return msgspec.json.decode(path.read_bytes(), type=Baseline)
        except OSError as error:
            known = self.names()
            hint = f"there are {', '.join(known)}" if known else "'membench baseline save' makes one"
            raise UsageError(f"there is no baseline '{name}'", hint=hint) from error
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise UsageError(f"{path}: {error}") from error

    def record(self, name: str) -> RunRecord:
        """The record of one.

        Raises:
            UsageError: there is none, or it is not the record that was saved.
        """
        about, path = self.about(name), self.folder(name) / records.FILE
        record = records.load(path)
        if _sha256(path) != about.sha256:
            raise UsageError(
                f"{path} is not the record that was saved", hint="its SHA-256 differs from baseline.json's"
            )
        return record

    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted(path.parent.name for path in self.root.glob(f"*/{ABOUT}") if _NAME.fullmatch(path.parent.name))

    def current(self) -> Pointer | None:
        """Which is the current one; None before the first was promoted.

        Raises:
            UsageError: the pointer is damaged.
        """
        path = self.root / POINTER
        try:
            return msgspec.json.decode(path.read_bytes(), type=Pointer)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from error
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            raise UsageError(f"{path}: {error}") from error

    def promote(self, name: str, *, now: str) -> Pointer:
        """Make one the current one: what `membench compare` takes where it is given one run only.

        Args:
            name: which.
            now: RFC 3339.

        Raises:
            UsageError: there is none of that name, it was changed since it was saved, or the folder cannot be written.
        """
        self.record(name)
        before = self.current()
        if before is not None and before.name == name:
            return before
        pointer = Pointer(name, now, before.name if before else "")
        path = self.root / POINTER
        partial = path.with_suffix(".part")
        try:
            partial.write_bytes(_json(pointer))
            os.replace(partial, path)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}") from error
        return pointer

    def _write(self, target: Path, source: Path, about: Baseline) -> None:
        """Whole or not at all: a folder of another name is filled, then renamed."""
        self.root.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".saving-", dir=self.root))
        try:
            made.chmod(0o755)
            shutil.copyfile(source, made / records.FILE)
            (made / ABOUT).write_bytes(_json(about))
            made.rename(target)
        except OSError:
            shutil.rmtree(made, ignore_errors=True)
            raise


def objections(record: RunRecord) -> list[str]:
    """What speaks against taking a run as a measure for others; empty for nothing."""
    found = []
    if record.status != "complete":
        found.append(f"it {'was interrupted' if record.status == 'interrupted' else 'failed'}")
    if not record.scenarios:
        found.append("it measured no scenario")
    if record.verdict is Verdict.INVALID:
        found.append("its verdict is INVALID")
    found += [f"{one.id} is INVALID" for one in record.targets if one.verdict is Verdict.INVALID]
    for result in record.scenarios:
        if result.status != "complete":
            found.append(f"{result.name} is not complete")
        doubted = [name for name, said in result.verdicts.items() if said.verdict is Verdict.INVALID]
        found += [f"{result.name}, {name}: INVALID" for name in doubted]
    return found


def _json(what: Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(what), indent=1) + b"\n"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
