"""Room on the disk that is there when nothing else is."""

import errno
import os
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from tests.storage.chains import a_record, a_sealed

from interlock.errors import StorageError
from interlock.storage.journal import open_journal, verify
from interlock.storage.reserve import SIZE, Reserve
from interlock.storage.sqlite.store import SqliteStore


def blocks(path: Path) -> int:
    return path.stat().st_blocks * 512


def test_the_reserve_holds_blocks_and_not_only_a_length(tmp_path: Path):
    reserve = Reserve(tmp_path)

    assert SIZE == 4 * 1024 * 1024
    assert blocks(reserve.path) >= SIZE
    assert reserve.is_full
    assert stat.S_IMODE(reserve.path.stat().st_mode) == 0o600


def test_spending_frees_it_and_refilling_sets_it_aside_again(tmp_path: Path):
    reserve = Reserve(tmp_path)

    assert reserve.spend() == SIZE
    assert blocks(reserve.path) == 0
    assert not reserve.is_full
    assert reserve.spend() == 0, "there is only one"

    reserve.refill()
    assert blocks(reserve.path) >= SIZE


def test_a_reserve_that_is_there_is_taken_over(tmp_path: Path):
    inode = Reserve(tmp_path).path.stat().st_ino

    assert Reserve(tmp_path).path.stat().st_ino == inode


def test_no_room_at_start_is_an_error_that_says_so_and_leaves_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.posix_fallocate", full)

    with pytest.raises(StorageError, match=rf"expected room for a reserve of {SIZE} bytes, found \d+ bytes free"):
        Reserve(tmp_path)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_on_a_full_disk_a_kill_is_still_recorded(tmp_path: Path):
    """On a real file system of 6 MiB, mounted where only the child sees it, so that nothing of it can stay behind."""
    body = "import sys\nfrom tests.storage.test_reserve import fill_the_disk\nfill_the_disk(sys.argv[1])"
    mounted = f'mount -t tmpfs -o size=6m tmpfs "{tmp_path}" || exit 77; exec "$@"'
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", "."])}
    try:
        child = subprocess.run(["unshare", "-rm", "sh", "-c", mounted, "sh", sys.executable, "-c", body, str(tmp_path)],
                               env=paths, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        pytest.skip("no unshare on this system")
    if child.returncode == 77 or "unshare failed" in child.stderr:
        pytest.skip(f"no file system can be mounted here: {child.stderr}")

    assert child.returncode == 0, child.stderr
    assert "recorded" in child.stdout


def fill_the_disk(directory: str) -> None:
    """What the child does: trade until the disk is full, then free the reserve and record one more entry."""
    path = Path(directory) / "journal.db"
    reserve = Reserve(directory)
    store = SqliteStore(path)
    journal = a_record(store, 3)
    acknowledged, error = store.head(), ""
    while not error:
        batch = a_sealed(journal, 1, length=20_000)
        try:
            store.commit(batch)
            acknowledged = store.head()
        except StorageError as failure:
            error = str(failure)
    assert "Free space on the disk" in error, error
    assert store.resolve(batch) is False

    reserve.spend()
    with closing(SqliteStore(path)) as again:
        opened = open_journal(again)
        assert again.head() == acknowledged
        again.commit(a_sealed(opened.journal, 1))

        assert verify(again).ok
        assert again.head()[0] == acknowledged[0] + 1
    print("recorded")
