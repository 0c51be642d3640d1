"""What only the journal holds: where it comes from, what was attempted, asked and alarmed."""

from decimal import Decimal
from typing import Final

from msgspec import Struct

from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.money import Nanos
from interlock.model.order import Order
from interlock.model.signal import AccountIntent

BROKE: Final = "strategy.broke"


class Header(Struct, frozen=True, tag="header"):
    """The first entry. `clock` is wall, playback or virtual; it and `mode` never change."""

    state_id: str
    mode: str
    clock: str
    schema: int


class Started(Struct, frozen=True, tag="started"):
    """A process took the lease. `build` is the SHA-256 of the source; the keys are the public halves, hex by profile."""

    build: str
    version: str
    lease_epoch: int
    keys: dict[str, str]
    was_clean: bool                    # the last one had stopped in order
    cut: int = 0                       # bytes of torn tail that were cut away
    unverified: int = 0                # entries before the snapshot that are still to be checked; no entry until they are


class LiveStarted(Struct, frozen=True, tag="live_started"):
    """How a process came to a live state directory. In watch it places nothing, and no account can be confirmed in it."""

    is_watch: bool
    why: str
    who: str
    where: str                         # the terminal; "" without one
    approved: str = ""                 # digest of the changed configuration that was approved


class Stopped(Struct, frozen=True, tag="stopped"):
    why: str


class RecordVerified(Struct, frozen=True, tag="record_verified"):
    """The older part of the record, which the start took on the word of its snapshot, has been read and is whole."""

    entries: int


class ConfigRead(Struct, frozen=True, tag="config_read"):
    """The effective configuration whole, defaults included, as canonical JSON; its SHA-256 names it."""

    digest: str
    text: str
    epoch: int


class TapeMark(Struct, frozen=True, tag="tape_mark"):
    """The market rows that were delivered since the last mark: how many, up to which row, and their SHA-256."""

    rows: int
    last_row: int
    digest: str


class FeedOpened(Struct, frozen=True, tag="feed_opened"):
    """A recording or market that the desk listens to. `digest` is the SHA-256 of a file's content, "" for none."""

    source: str
    provenance: str
    instruments: tuple[str, ...]
    digest: str
    dropped: dict[str, int]


class FeedEnded(Struct, frozen=True, tag="feed_ended"):
    source: str
    rows: int


class Tick(Struct, frozen=True, tag="tick"):
    """The time that a stage asked to be woken at, or a beat of the engine clock."""


class RegimeChanged(Struct, frozen=True, tag="regime_changed"):
    instrument: str
    detector: str
    name: str
    before: str


class StrategyDisabled(Struct, frozen=True, tag="strategy_disabled"):
    """A strategy is off until a person enables it. One that raised is not asked any more; one that was throttled is, so that
    it can leave what it holds, and enters nothing."""

    lane: LaneName
    strategy: StrategyName
    why: str
    code: str = BROKE


class Attempt(Struct, frozen=True, tag="attempt"):
    """One write of an order, recorded before it is made. Its clearance stands beside it."""

    client_order_id: ClientOrderId
    attempt: int
    order: Order
    risk: Decimal                      # planned loss that this order may add, account currency


class CancelRequested(Struct, frozen=True, tag="cancel_requested"):
    account: AccountName
    client_order_id: ClientOrderId
    why: str
    permit: str = ""                   # who may take the last protection away: "person", "exit" (journaled), "": nobody


class LookupRequested(Struct, frozen=True, tag="lookup_requested"):
    """Ask the venue what became of an order that is in doubt."""

    account: AccountName
    client_order_id: ClientOrderId


class ReadRequested(Struct, frozen=True, tag="read_requested"):
    """Ask the venue for the whole account: at start, every 30 s, after a reconnect."""

    account: AccountName
    why: str


class OrderDropped(Struct, frozen=True, tag="order_dropped"):
    """Cleared and never released before a crash; its clearance has expired, so it is not sent."""

    account: AccountName
    client_order_id: ClientOrderId


class AccountFrozen(Struct, frozen=True, tag="account_frozen"):
    """Entries of the account stop. What reduces goes on."""

    account: AccountName
    code: str
    why: str
    trade_date: str = ""               # of a limit that was hit: what it stopped stays stopped for this trading day at least


class AccountThawed(Struct, frozen=True, tag="account_thawed"):
    account: AccountName
    code: str
    why: str = ""


class Difference(Struct, frozen=True, tag="difference"):
    """Ours against the broker's, for one account."""

    account: AccountName
    what: str                          # position.MNQ, order.<id> ...
    ours: str
    theirs: str
    ts_since: Nanos


class Alarm(Struct, frozen=True, tag="alarm"):
    """Something a person must know now. `key` names it, so that it is raised and cleared once."""

    key: str
    severity: str                      # warning, critical
    text: str


class AlarmCleared(Struct, frozen=True, tag="alarm_cleared"):
    key: str


class IntentAbandoned(Struct, frozen=True, tag="intent_abandoned"):
    """An intent that ended before the gate, and why: too late, nothing to close, overtaken."""

    signal_id: SignalId
    account: AccountName | None
    code: str
    why: str


class ExitBegun(Struct, frozen=True, tag="exit_begun"):
    """A position (or what is left of its entry) is on its way out: its orders are cancelled first, then it is reduced.

    `instrument` is what is held, which may be the micro of what `asked` names.
    """

    account: AccountName
    instrument: str
    asked: AccountIntent


class ExitEnded(Struct, frozen=True, tag="exit_ended"):
    account: AccountName
    instrument: str
    is_done: bool                      # False: given up; the position is protected again and a person has been called
    why: str


class Reading(Struct, frozen=True, tag="reading"):
    """A health figure that only the machinery can take, with the engine time at which it was taken. None: it could not be."""

    name: str                          # clock_offset, ack_latency, loop_lag ...
    scope: str                         # "lane.main", "account.paper-a" or "" for the whole desk
    value: float | None


class TierChanged(Struct, frozen=True, tag="tier_changed"):
    """A scope's health tier, 0 (all well) to 4 (halted until a person resets it). The same tier as before: from now on its
    readings call for a better one, or do so no more; a minute of better ones improves it by one."""

    scope: str                         # "lane.main", "account.paper-a"
    tier: int
    before: int
    reasons: tuple[str, ...]
    readings: int = 0                  # the tier that the readings alone call for


class FallbackUsed(Struct, frozen=True, tag="fallback_used"):
    """A registered second-best way was taken."""

    name: str
    severity: str                      # info, warning, critical
    why: str
    count: int                         # of uses since the start


class StrategyEnabled(Struct, frozen=True, tag="strategy_enabled"):
    """A person enabled a strategy that had been disabled."""

    lane: LaneName
    strategy: StrategyName
