"""The one place that builds things: a desk on a state directory (`run`), or one in memory (`replay`)."""

import os
import secrets as randomness
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from interlock import __version__
from interlock.brokers.paper.paper import Paper
from interlock.brokers.safe import AccountFacts, SafeBroker
from interlock.config import build
from interlock.config.load import Loaded
from interlock.config.schema import Config
from interlock.engine.setup import Setup
from interlock.engine.step import Begun, Engine, unpack
from interlock.engine.step import Kept as Parts
from interlock.errors import ConfigError, InvariantBroken, StorageError
from interlock.gate.clearance import Signer
from interlock.intake.stage import Intake
from interlock.model.command import CommandGiven, Kill
from interlock.model.entry import Payload
from interlock.model.fallbacks import INFO, fallback
from interlock.model.ids import AccountName
from interlock.model.money import SECOND
from interlock.model.record import ConfigRead, FallbackUsed, FeedOpened, Header, LiveStarted, Started, Stopped, TapeMark
from interlock.model.tape import MarketMessage
from interlock.records import JOURNAL, build_digest
from interlock.runtime import live, rescued
from interlock.runtime.clock import WALL, Clock
from interlock.runtime.connect import Connector, Venue, connect_configured
from interlock.runtime.desk import Desk, Watcher
from interlock.runtime.driver import Driver
from interlock.runtime.epochs import EpochRecord
from interlock.runtime.fallbacks import Fallbacks
from interlock.runtime.heartbeat import Heartbeat
from interlock.runtime.inbox import Inbox
from interlock.runtime.slow import SlowChecks
from interlock.runtime.sources import Market
from interlock.storage.chain import Kept
from interlock.storage.committer import Committer
from interlock.storage.journal import Opened, open_journal
from interlock.storage.lease import Lease
from interlock.storage.memory import MemoryStore
from interlock.storage.reserve import Reserve
from interlock.storage.sqlite.store import SqliteStore

SCHEMA: Final = 1
LOCAL_KEY: Final = "local.key"


@dataclass(frozen=True)
class Place:
    """Where a desk keeps itself: a leased state directory, or nothing but memory."""

    directory: Path | None
    store: Kept
    lease: Lease | None
    reserve: Reserve | None

    def lease_epoch(self) -> int:
        return 0 if self.lease is None else self.lease.read_epoch()

    def own_epoch(self) -> int:
        """The epoch that this process began, whatever stands in the record by now."""
        return 0 if self.lease is None else self.lease.epoch

    def heartbeat(self) -> Heartbeat | None:
        """What renews the lease; None where there is none."""
        return None if self.lease is None or self.directory is None else Heartbeat.of(self.directory, self.lease)

    def build(self) -> str:
        """The source that runs here."""
        return build_digest()

    def committer(self) -> Committer:
        """Who commits to the store, one batch after the other."""
        return Committer(self.store)


@contextmanager
def state_place(directory: Path, holder: str, *, spends_reserve: bool = False) -> Iterator[Place]:
    """Lease the directory, open its journal, and give both back. `spends_reserve` leaves the emergency reserve as it was
    freed, for what has to be written on a full disk. Raises LeaseHeld, StorageError, JournalDamaged."""
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StorageError(f"{directory} cannot be written; the journal lives there, so give this user write access")
    with ExitStack() as stack:
        lease = Lease.take(directory, holder)
        stack.callback(lease.release)
        store = SqliteStore(directory / JOURNAL)
        stack.callback(store.close)
        reserve = None if spends_reserve else Reserve(directory)
        yield Place(directory, store, lease, reserve)


def memory_place() -> Place:
    """For a replay: the same journal, kept nowhere."""
    return Place(None, MemoryStore(keeps_tape=False, keeps_records=False), None, None)


@dataclass
class Built:
    """A desk that is ready to be driven, and what its neighbours need."""

    desk: Desk
    driver: Driver
    engine: Engine
    intake: Intake
    setup: Setup
    opened: Opened
    venues: tuple[Venue, ...]
    committer: Committer
    place: Place
    state_id: str
    notes: tuple[str, ...]
    watch: live.LiveWatch
    opening: LiveStarted | None        # how a live desk began
    unverified: int                    # entries that the restart took on the snapshot's word; check them before driving a
                                       # recording, beside driving a desk on the wall clock, whose entries wait
    fallbacks: Fallbacks

    def close(self, why: str) -> None:
        """Stop in order: the last entries, a snapshot of everything, the venue's book. After a failure of the journal
        nothing more is written."""
        try:
            if self.desk.halted_by is None:
                self.desk.turn(Stopped(why))
                self._commit_last()
            self.committer.close()
        finally:
            for venue in self.venues:
                venue.close()

    @property
    def papers(self) -> tuple[Paper, ...]:
        """The paper venues of this process."""
        papers: list[Any] = [venue for venue in self.venues if isinstance(venue, Paper)]
        return tuple(papers)

    def _commit_last(self) -> None:
        self.committer.commit_now(self.desk.seal(with_snapshot=True))


def build_desk(loaded: Loaded, place: Place, clock: Clock, market: Market, *, watchers: Sequence[Watcher] = (),
               ends_with_market: bool, with_digest: bool = False, snapshot_every: int | None = None,
               connect: Connector = connect_configured, start: live.Start = live.NOBODY) -> Built:
    """Everything between a configuration and a desk at the journal's end: restored, folded, started, not yet driven.

    `connect` makes its venues, which are connected when it is driven. `start` says who began a live desk, and with which keys.

    Raises ConfigError, StorageError, JournalDamaged, or InvariantBroken for a record that cannot be folded.
    """
    config = loaded.config
    opened = open_journal(place.store, with_digest=with_digest)
    snapshot, made_elsewhere = _snapshot(opened)
    begun = _look_back(snapshot, place.store)
    header = begun.header or Header(randomness.token_hex(8), config.desk.mode, clock.kind, SCHEMA)
    _check_header(header, config, clock)
    epoch = 0 if begun.config is None else begun.config.epoch
    if opened.ts:
        clock.move(opened.ts)
    approved = live.check_approval(begun.config, loaded, start.approved)
    opening = live.opened(config.desk.mode, start, was_clean=begun.is_stopped, approved=approved)
    is_new_config = begun.config is None or begun.config.digest != loaded.digest
    setup = build.setup(config, digest=loaded.digest, epoch=epoch + is_new_config, state_id=header.state_id, clock=clock.kind,
                        is_simulated=market.is_simulated, fed=market.fed)
    signer = Signer()
    engine = Engine(setup, signer)
    intake = build.intake_stage(config, setup.sessions)
    degraded = (*made_elsewhere, *_restore(engine, intake, snapshot, place.store))
    notes = (*opened.notes, *live.notes(config.desk.mode, start, begun.build), *(each.why for each in degraded))
    inbox = Inbox()
    if clock.kind == WALL:
        engine.watch = SlowChecks(inbox.put)
    fallbacks = Fallbacks(inbox.put)
    fallbacks.begin(degraded)
    epochs = EpochRecord(kill=engine.kill_epoch, config=setup.config_epoch, lease=place.lease_epoch)
    committer = place.committer()
    venues = tuple(connect(config, setup, place.directory, clock, inbox.wake))
    watch = live.LiveWatch(config.desk.mode, {name: account.number for name, account in setup.accounts.items()})
    heartbeat = place.heartbeat()
    brokers = _brokers(venues, setup, clock, signer, epochs, inbox, watch.confirmed, heartbeat, place)
    desk = Desk(engine=engine, intake=intake, journal=opened.journal, committer=committer, clock=clock, epochs=epochs,
                brokers=brokers, inbox=inbox, watchers=(watch, *watchers, *_forgetters(place)),
                snapshot_every=snapshot_every or config.desk.snapshot_every)
    if opened.journal.head[0] == 0:
        desk.turn(header)
    unverified = 0 if snapshot is None else snapshot.seq
    if place.lease is not None and place.lease.is_overslept():
        place.lease.retake()           # a long restart; nothing has been written under the old epoch
    desk.turn(Started(place.build(), __version__, place.lease_epoch(), signer.public_hex(), begun.is_stopped, opened.cut,
                      unverified if clock.kind == WALL else 0))
    if opening is not None:
        desk.turn(opening)
    if is_new_config:
        desk.turn(ConfigRead(loaded.digest, loaded.canonical, epoch + 1))
    rescue = rescued.found(place.directory)
    if rescue is not None:
        desk.turn(rescue)              # what was killed from outside stays killed until a person releases it
    _open_feed(desk, engine, market)
    driver = Driver(desk, market.source(engine.rows_fed), [(venue, brokers[venue.accounts[0]]) for venue in venues],
                    reconcile=config.desk.reconcile_seconds * SECOND, ends_with_source=ends_with_market,
                    heartbeat=heartbeat)
    return Built(desk, driver, engine, intake, setup, opened, venues, committer, place, header.state_id, notes, watch, opening,
                 unverified, fallbacks)


def local_key(directory: Path) -> bytes:
    """The key under which this state directory recognises tokens, secrets and repeated bodies; made at the first start."""
    path = directory / LOCAL_KEY
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(randomness.token_bytes(32))
    except FileExistsError:
        pass  # made at an earlier start
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}") from error
    return path.read_bytes()


class Resume(NamedTuple):
    """A snapshot that this build can go on from."""

    seq: int
    last_row: int
    kept: Parts


def _snapshot(opened: Opened) -> tuple[Resume | None, tuple[FallbackUsed, ...]]:
    """Where the restart begins, and what is worse about it when it is at the first entry although there is a snapshot."""
    if opened.snapshot is None:
        return None, ()
    kept = unpack(opened.snapshot.body)
    if kept is None:
        return None, (fallback("snapshot.unreadable", INFO,
                               "the last snapshot is of another build's making; the whole record is folded instead"),)
    return Resume(opened.snapshot.seq, opened.snapshot.last_row, kept), ()


def _look_back(snapshot: Resume | None, store: Kept) -> Begun:
    """How the record began and where it stands: from the last snapshot, and from the few entries since that tell."""
    begun, first = Begun(), 1
    if snapshot is not None:
        begun, first = snapshot.kept.begun, snapshot.seq + 1
    for raw in store.raw(first):
        if raw.is_host or b"config_read" in raw.payload[:24]:
            begun.apply(raw.decode().payload)
    return begun


def _check_header(header: Header, config: Config, clock: Clock) -> None:
    """Mode and clock belong to a state directory for good. Raises ConfigError."""
    if header.mode != config.desk.mode:
        raise ConfigError(f"this state directory was begun in mode {header.mode} and stays so; found mode {config.desk.mode}. "
                          "Use a state directory of its own")
    if header.clock != clock.kind:
        raise ConfigError(f"this state directory was begun on the {header.clock} clock and stays so; this start would use the "
                          f"{clock.kind} clock ({'without' if clock.kind == WALL else 'with'} --data). "
                          "Use a state directory of its own")
    if header.schema != SCHEMA:
        raise ConfigError(f"this journal has schema {header.schema}; this build reads schema {SCHEMA}")


def _restore(engine: Engine, intake: Intake, snapshot: Resume | None, store: Kept) -> list[FallbackUsed]:
    """The last snapshot, and everything recorded since, folded in the order in which it happened. Nothing is decided."""
    notes: list[FallbackUsed] = []
    first, row = 1, 0
    if snapshot is not None:
        notes.extend(engine.restore(snapshot.kept))
        intake.restore(engine.intake_snapshot)
        first, row = snapshot.seq + 1, snapshot.last_row
    tape: Iterator[MarketMessage] = store.tape(row) if store.keeps_tape else iter(())
    for raw in store.raw(first):
        payload: Payload = raw.decode().payload
        if isinstance(payload, TapeMark):
            while row < payload.last_row:
                message = next(tape, None)
                if message is None:
                    raise InvariantBroken(f"entry {raw.seq} names tape row {payload.last_row}, the tape ends at {row}")
                engine.apply(message, raw.ts)
                row += 1
            continue
        engine.apply(payload, raw.ts)
        intake.apply(payload, raw.ts)
    for message in tape:               # rows that no entry has followed yet
        engine.apply(message, engine.now)
    return notes


def _brokers(venues: Sequence[Venue], setup: Setup, clock: Clock, signer: Signer, epochs: EpochRecord, inbox: Inbox,
             confirmed: live.Confirmed, heartbeat: Heartbeat | None, place: Place) -> Mapping[AccountName, SafeBroker]:
    """A SafeBroker before each venue, by account."""
    brokers: dict[AccountName, SafeBroker] = {}

    def trip(account: AccountName, why: str) -> None:
        inbox.put(CommandGiven(Kill(why=why, account=account), "safebroker", "limit", clock.now()))

    def halt(why: str) -> None:
        inbox.put(CommandGiven(Kill(why=why), "safebroker", "egress", clock.now()))

    for venue in venues:
        safe = SafeBroker(venue.broker, keys=signer.public_keys(), state_id=setup.state_id, epochs=epochs, now=clock.now,
                          instruments=setup.instruments,
                          limits={account: setup.accounts[account].limits for account in venue.accounts},
                          accounts={account: AccountFacts(is_paper=venue.is_simulator, mode=setup.mode,
                                                          account_id=setup.accounts[account].number or None)
                                    for account in venue.accounts},
                          trip=trip, halt=halt, confirmations=confirmed,
                          beat_age=None if heartbeat is None or clock.kind != WALL else heartbeat.age,
                          own_lease=None if place.lease is None else place.own_epoch)
        brokers.update(dict.fromkeys(venue.accounts, safe))
    return brokers


def _forgetters(place: Place) -> tuple[Watcher, ...]:
    return () if place.directory is None else (rescued.Forget(place.directory),)


def _open_feed(desk: Desk, engine: Engine, market: Market) -> None:
    """Name the market in the journal once; a recording that was begun must be the one that is gone on with."""
    opened = FeedOpened(market.name, market.provenance, tuple(symbol for symbol, _ in market.fed), market.digest, market.dropped)
    if engine.feed is None or (engine.feed != opened and market.is_simulated):
        desk.turn(opened)
    elif engine.feed != opened:
        raise ConfigError(
            f"this state directory plays the recording {engine.feed.digest[:12]} of {', '.join(engine.feed.instruments)}; found "
            f"{opened.digest[:12]} of {', '.join(opened.instruments)}. Give the same --data again, or use another directory")

