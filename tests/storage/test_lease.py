"""One holder at a time, and whoever slept or was overruled writes nothing."""

import json
import os
import signal
import stat
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

from interlock.errors import LeaseHeld, StorageError
from interlock.model.money import SECOND
from interlock.storage import lease as room
from interlock.storage.lease import TTL, Lease, boot_clock, overrule, read_record


class Boot:
    """The boot clock, set by hand."""

    def __init__(self) -> None:
        self.now = 1000 * SECOND

    def __call__(self) -> int:
        return self.now


def test_a_second_taker_is_told_who_holds_it_and_how_to_look(tmp_path: Path):
    boot = Boot()
    Lease.take(tmp_path, "interlock run", boot)
    boot.now += 3 * SECOND

    with pytest.raises(LeaseHeld, match=rf"interlock run \(pid {os.getpid()}, epoch 1, renewed 3 s ago\); look with "):
        Lease.take(tmp_path, "interlock kill", boot)

    record = read_record(tmp_path)
    assert record is not None
    assert record.holder == "interlock run", "a refused taker leaves no trace"


def test_each_taking_begins_a_higher_epoch(tmp_path: Path):
    epochs = []
    for _ in range(3):
        lease = Lease.take(tmp_path, "interlock run")
        epochs.append(lease.read_epoch())
        lease.release()

    assert epochs == [1, 2, 3]


def test_the_record_is_for_its_owner_alone_and_says_all(tmp_path: Path):
    boot = Boot()
    Lease.take(tmp_path, "interlock run", boot)

    path = tmp_path / "lease.json"

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {"holder": "interlock run", "pid": os.getpid(), "epoch": 1,
                                            "renewed": 1000 * SECOND, "ttl": 15 * SECOND}


def test_a_holder_that_overslept_writes_nothing_until_it_has_taken_the_lease_again(tmp_path: Path):
    boot = Boot()
    lease = Lease.take(tmp_path, "interlock run", boot)
    boot.now += TTL
    assert not lease.is_overslept()
    assert lease.read_epoch() == 1

    boot.now += 1

    assert lease.is_overslept()
    with pytest.raises(StorageError, match=r"renewed 15.0 s ago and lives 15 s"):
        lease.read_epoch()
    with pytest.raises(StorageError, match="must be taken again"):
        lease.renew()
    assert lease.retake() == 2
    assert lease.read_epoch() == 2


def test_renewing_keeps_the_epoch_alive(tmp_path: Path):
    boot = Boot()
    lease = Lease.take(tmp_path, "interlock run", boot)

    for _ in range(10):
        boot.now += 5 * SECOND
        lease.renew()

    assert lease.read_epoch() == 1
    assert not lease.is_overslept()


def test_a_holder_that_was_overruled_sees_the_other_epoch_and_cannot_undo_it(tmp_path: Path):
    boot = Boot()
    lease = Lease.take(tmp_path, "interlock run", boot)

    assert overrule(tmp_path, "interlock-kill", boot) == 2

    assert lease.read_epoch() == 2 != lease.epoch
    for act in (lease.renew, lease.retake):
        with pytest.raises(LeaseHeld, match="held by interlock-kill"):
            act()
    lease.release()
    record = read_record(tmp_path)
    assert record is not None
    assert (record.epoch, record.holder, record.renewed) == (2, "interlock-kill", boot.now)


def test_a_holder_that_stopped_while_renewing_is_not_overruled_by_half(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "_WAIT_S", 0.02)
    Lease.take(tmp_path, "interlock run")
    with room._writing(tmp_path, boot_clock), pytest.raises(StorageError, match=r"kill -9"):
        overrule(tmp_path, "interlock-kill")

    record = read_record(tmp_path)
    assert record is not None
    assert record.epoch == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b'{"holder": "x", "pid": 1, "epoch": "two"}', None])
def test_a_record_that_cannot_be_read_is_a_no(tmp_path: Path, body: bytes | None):
    lease = Lease.take(tmp_path, "interlock run")
    path = tmp_path / "lease.json"
    path.unlink()
    if body is not None:
        path.write_bytes(body)

    with pytest.raises(StorageError, match=r"lease\.json"):
        lease.read_epoch()
    with pytest.raises(StorageError, match=r"lease\.json"):
        lease.renew()


@pytest.mark.process
def test_the_lock_goes_with_a_killed_process_and_its_epoch_stays(tmp_path: Path):
    code = ("import sys, time\nfrom interlock.storage.lease import Lease\n"
            "lease = Lease.take(sys.argv[1], 'interlock run')\nprint('held', flush=True)\ntime.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE,
                          env={**os.environ, "PYTHONPATH": "src"}) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(LeaseHeld, match=rf"pid {process.pid}\b"):
            Lease.take(tmp_path, "interlock run")
        process.send_signal(signal.SIGKILL)

    lease = Lease.take(tmp_path, "interlock run")

    assert lease.epoch == 2


def test_the_epoch_is_read_within_twenty_microseconds(tmp_path: Path):
    lease = Lease.take(tmp_path, "interlock run")

    best = min(timeit.repeat(lease.read_epoch, number=200, repeat=20)) / 200

    assert best <= 20e-6, f"{best * 1e6:.1f} us"
