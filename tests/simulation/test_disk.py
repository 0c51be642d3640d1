"""The simulated disk, the journal's store on it, and its lease: what a crash may leave, and what must be found in it."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.storage.chains import a_sealed

from interlock.errors import JournalDamaged, LeaseHeld, StorageError
from interlock.ports import Batch
from interlock.simulation.disk import JOURNAL, LEASE, Disk, SimLease, SimStore, overrule
from interlock.storage import lease as real
from interlock.storage.journal import Journal, open_journal, verify
from interlock.storage.lease import Lease

# -- the disk


def test_what_was_not_synced_may_be_there_or_not_and_the_last_write_may_be_cut():
    disk = Disk()
    disk.create("f")
    disk.sync_names()
    disk.append("f", b"abc")
    disk.sync("f")
    disk.append("f", b"de")
    disk.append("f", b"f")

    found = {left.read("f") for left in disk.crashes()}

    assert found == {b"abc", b"abcd", b"abcde", b"abc\0\0", b"abcdef", b"abcde\0"}


def test_a_name_that_was_not_synced_may_be_lost_and_files_are_lost_independently():
    disk = Disk()
    disk.create("a")
    disk.create("b")
    disk.append("a", b"1")
    disk.append("b", b"2")

    found = {tuple((name, left.read(name)) for name in sorted(left.names)) for left in disk.crashes()}

    assert () in found
    assert (("a", b"1"),) in found
    assert (("a", b""), ("b", b"2")) in found
    assert (("b", b"2"),) not in found, "names become durable in the order in which they were given"


def test_a_file_that_is_replaced_is_the_old_one_or_the_new_one():
    disk = Disk()
    disk.replace("f", b"old")
    before = disk.operations
    for end in range(before, before + 4):
        cut = Disk()
        cut.replace("f", b"old")
        _stop_after(cut, end)
        with pytest.raises(_Cut):
            cut.replace("f", b"new!")

        assert {left.read("f") for left in cut.crashes()} <= {b"old", b"new!"}


def test_a_crash_by_chance_leaves_one_of_the_permitted_states():
    def written(seed: int) -> Disk:
        disk = Disk(seed)
        disk.replace("f", b"old")
        disk.append("f", b"abc")
        disk.append("f", b"def")
        disk.create("g")
        disk.append("g", b"x")
        return disk

    permitted = {tuple(sorted((name, left.read(name)) for name in left.names)) for left in written(0).crashes()}
    seen = set()
    for seed in range(200):
        disk = written(seed)
        disk.crash()
        seen.add(tuple(sorted((name, disk.read(name)) for name in disk.names)))

    assert seen <= permitted
    assert len(seen) > len(permitted) // 2


def test_a_failed_sync_loses_the_data_and_the_next_one_says_that_all_is_well():
    disk = Disk()
    disk.create("f")
    disk.sync_names()
    disk.append("f", b"lost")
    disk.fail_syncs = 1

    with pytest.raises(OSError):
        disk.sync("f")
    disk.sync("f")

    assert disk.read("f") == b"lost", "the cache still shows it"
    assert {left.read("f") for left in disk.crashes()} == {b""}


def test_a_full_disk_takes_what_fits():
    disk = Disk()
    disk.create("f")
    disk.space = 4

    with pytest.raises(OSError, match="No space"):
        disk.append("f", b"abcdef")

    assert disk.read("f") == b"abcd"


# -- the journal's store


class _Cut(Exception):
    """The power is gone."""


def _stop_after(disk: Disk, operations: int) -> None:
    def note(*_: object) -> None:
        if disk.operations > operations:
            raise _Cut

    disk.on_operation = note


def six_appends(store: SimStore, acknowledge: Callable[[Batch], None]) -> None:
    journal = Journal(store)
    for number in range(6):
        batch = a_sealed(journal, 1, rows=1, snapshot=b"state" * 3 if number == 3 else None)
        store.commit(batch)
        acknowledge(batch)


def long_batches(store: SimStore, acknowledge: Callable[[Batch], None]) -> None:
    journal = Journal(store)
    for _ in range(3):
        batch = a_sealed(journal, 3, length=900)
        store.commit(batch)
        acknowledge(batch)


def _cut_short(script: Callable[..., None], end: int, **options: bool) -> tuple[Disk, list[Batch]]:
    disk, acknowledged = Disk(), list[Batch]()
    _stop_after(disk, end)
    with suppress(_Cut):
        script(SimStore(disk, **options), acknowledged.append)  # type: ignore[arg-type]
    disk.on_operation = None
    return disk, acknowledged


def _ends(script: Callable[..., None]) -> Iterator[int]:
    disk, _ = _cut_short(script, 1 << 30)
    return iter(range(disk.operations + 1))


@pytest.mark.parametrize("script", [six_appends, long_batches])
def test_after_a_crash_anywhere_what_is_found_is_a_beginning_that_holds_all_that_was_acknowledged(script: Callable[..., None]):
    states = 0
    for end in _ends(script):
        disk, acknowledged = _cut_short(script, end)
        expected = acknowledged[-1].last_seq if acknowledged else 0
        for left in disk.crashes(every_cut=600):
            states += 1
            store = SimStore(left)
            opened = open_journal(store)
            assert store.head()[0] >= expected
            assert verify(store).ok
            batch = a_sealed(opened.journal, 1, rows=1)
            store.commit(batch)
            assert open_journal(SimStore(left)).journal.head[0] == batch.last_seq

    assert states > 40


def test_without_the_sync_what_was_acknowledged_is_lost():
    """The enumeration has teeth."""
    lost = 0
    for end in _ends(six_appends):
        disk, acknowledged = _cut_short(six_appends, end, syncs=False)
        expected = acknowledged[-1].last_seq if acknowledged else 0
        for left in disk.crashes():
            lost += SimStore(left).head()[0] < expected

    assert lost


def test_damage_before_the_last_frame_refuses_and_a_torn_end_is_cut():
    disk = Disk()
    store = SimStore(disk)
    six_appends(store, lambda _: None)
    size = len(disk.read(JOURNAL))

    for bit in random.Random(3).sample(range(8 * (size * 4 // 6)), 60):
        disk.flip(JOURNAL, bit)
        with pytest.raises(JournalDamaged, match="damaged"):
            SimStore(disk)
        disk.flip(JOURNAL, bit)

    disk.append(JOURNAL, b"\xa5FRM\0\0")
    torn = SimStore(disk)
    assert torn.torn == 6
    assert torn.head() == store.head()
    assert len(disk.read(JOURNAL)) == size


@pytest.mark.parametrize("spoil", ["fail_writes", "fail_syncs", "space", "is_read_only"])
def test_a_store_that_failed_once_takes_nothing_more(spoil: str):
    disk = Disk()
    store = SimStore(disk)
    journal = Journal(store)
    store.commit(a_sealed(journal, 1))
    setattr(disk, spoil, 1)

    with pytest.raises(StorageError):
        store.commit(a_sealed(journal, 1))
    disk.fail_writes, disk.fail_syncs, disk.space, disk.is_read_only = 0, 0, None, False

    with pytest.raises(StorageError, match="earlier commit failed"):
        store.commit(a_sealed(journal, 1))


def test_a_sync_that_is_tried_again_loses_what_it_acknowledged():
    """The planted bug of a writer that believes the second answer."""
    disk = Disk()
    store = SimStore(disk, retries=True)
    batch = a_sealed(Journal(store), 1)
    disk.fail_syncs = 1
    store.commit(batch)

    assert any(SimStore(left).head()[0] < batch.last_seq for left in disk.crashes())


def test_a_process_that_is_gone_writes_nothing():
    disk = Disk()
    is_gone = False
    store = SimStore(disk, is_fenced=lambda: is_gone)
    journal = Journal(store)
    store.commit(a_sealed(journal, 1))
    is_gone = True

    with pytest.raises(StorageError, match="gone"):
        store.commit(a_sealed(journal, 1))


# -- the lease


class _Boot:
    def __init__(self) -> None:
        self.now = 10**12

    def __call__(self) -> int:
        return self.now


def _tell(act: Callable[[], object]) -> object:
    try:
        return act()
    except (LeaseHeld, StorageError) as error:
        return type(error).__name__


@pytest.mark.parametrize("seed", range(12))
def test_the_lease_tells_the_same_story_as_the_products_own(seed: int, tmp_path: Path):
    rng, boot, disk = random.Random(seed), _Boot(), Disk()
    leases: dict[str, tuple[Lease, SimLease]] = {}

    for step in range(60):
        who = rng.choice("ab")
        act = rng.choice(("take", "take", "renew", "renew", "read", "retake", "slept", "release", "overrule", "wait",
                          "oversleep"))
        if act in ("wait", "oversleep"):
            boot.now += rng.randrange(10**9, 6 * 10**9) if act == "wait" else real.TTL + 1
            continue
        if act == "overrule":
            assert real.overrule(tmp_path, "rescue", boot) == overrule(disk, "rescue", boot)
            continue
        if act == "take":
            if who in leases:
                continue
            ours = _tell(lambda: SimLease.take(disk, who, who, boot))  # noqa: B023 - called at once
            theirs = _tell(lambda: Lease.take(tmp_path, who, boot))  # noqa: B023
            assert type(ours).__name__.removeprefix("Sim") == type(theirs).__name__
            if isinstance(ours, SimLease) and isinstance(theirs, Lease):
                leases[who] = theirs, ours
            else:
                assert ours == theirs
            continue
        if who not in leases:
            continue
        theirs, ours = leases[who]
        name = {"read": "read_epoch", "slept": "is_overslept"}.get(act, act)
        assert _tell(getattr(ours, name)) == _tell(getattr(theirs, name)), f"step {step}: {act}"
        assert ours.epoch == theirs.epoch
        if act == "release":
            del leases[who]
    for theirs, _ in leases.values():
        theirs.release()


def test_a_lock_goes_with_its_process_and_the_epoch_stays():
    disk, boot = Disk(), _Boot()
    first, second = object(), object()
    epoch = SimLease.take(disk, first, "engine", boot).epoch

    with pytest.raises(LeaseHeld):
        SimLease.take(disk, second, "engine", boot)
    disk.process_ends(first)

    assert SimLease.take(disk, second, "engine", boot).epoch == epoch + 1


def test_a_lease_that_cannot_be_read_refuses():
    disk, boot = Disk(), _Boot()
    lease = SimLease.take(disk, "x", "engine", boot)
    disk.has_handles = False

    with pytest.raises(StorageError, match="cannot be read"):
        lease.read_epoch()
    disk.has_handles = True
    disk.names[LEASE].view[:] = b"junk"
    with pytest.raises(StorageError, match="no lease"):
        lease.read_epoch()
