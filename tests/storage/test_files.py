"""A record that is replaced is there after a power cut, the old one or the new one."""

import os
from pathlib import Path

import pytest

from interlock.errors import StorageError
from interlock.storage.files import replace


def test_bytes_are_synced_before_they_get_their_name_and_the_name_after(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "lease.json"
    steps: list[tuple[str, bytes | None]] = []
    fsync, rename = os.fsync, os.replace

    def synced(handle: int) -> None:
        name = Path(os.readlink(f"/proc/self/fd/{handle}"))
        steps.append((f"sync {name.name}", None if name.is_dir() else name.read_bytes()))
        fsync(handle)

    def renamed(source: Path, target: Path) -> None:
        steps.append((f"rename {source.name} {target.name}", None))
        rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    replace(path, b"one")

    assert steps == [("sync lease.json.new", b"one"), ("rename lease.json.new lease.json", None),
                     (f"sync {tmp_path.name}", None)]
    assert path.read_bytes() == b"one"


def test_a_file_that_cannot_be_replaced_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "lease.json"
    replace(path, b"old")
    monkeypatch.setattr(os, "write", lambda handle, body: 1)

    with pytest.raises(StorageError, match="1 of 3 bytes"):
        replace(path, b"new")

    assert path.read_bytes() == b"old"
