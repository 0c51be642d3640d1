"""Everything the gate looks at for one judgement, and nothing else. A verdict holds it whole, so that `explain` needs no
other source: the view is the record. Nothing here can refer back to itself, so the collector of cycles need not look at it."""

from decimal import Decimal

from msgspec import Struct

from interlock.model.account import Truth
from interlock.model.ids import AccountName, ClientOrderId, LaneName, StrategyName
from interlock.model.instrument import Instrument
from interlock.model.market import Provenance, Quality
from interlock.model.money import Nanos
from interlock.model.signal import Purpose, Side, Source


class Mark(Struct, frozen=True, gc=False, kw_only=True):
    """The last quote of an instrument, as prices, with its times and provenance."""

    instrument: str
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int
    ts_event: Nanos
    ts_recv: Nanos
    provenance: Provenance
    quality: Quality
    fresh_until: Nanos                 # 0: judged by age alone
    is_open: bool
    is_halted: bool

    @property
    def mid(self) -> Decimal:
        return (self.bid + self.ask) / 2

    def is_fresh(self, now: Nanos, age_max: Nanos) -> bool:
        """A playback quote is fresh until the next one is due; any other by its age. From the future is not fresh."""
        if self.fresh_until:
            return self.ts_recv <= now <= self.fresh_until
        return 0 <= now - self.ts_recv <= age_max


class Feature(Struct, frozen=True, gc=False):
    """One column of the feature row: value, and how far it can be trusted. NaN travels as None."""

    name: str
    value: float | None
    quality: Quality
    ts_known: Nanos


class Regime(Struct, frozen=True, gc=False):
    """What the lane's detector says: name ("trend_up" ...), since when, and when it last looked."""

    detector: str
    name: str
    ts_known: Nanos
    confidence: float = 1.0


class Session(Struct, frozen=True, gc=False, kw_only=True):
    """The trading session of the instrument at `now`. Unknown is closed."""

    is_open: bool
    is_known: bool
    trade_date: str                    # ISO date, "" when closed
    ts_open: Nanos
    ts_close: Nanos
    ts_flat: Nanos                     # when intraday strategies must be flat; the close where nothing asks earlier
    local_minute: int                  # minute of the day in the exchange's zone, 0..1439
    zone: str


class HeldView(Struct, frozen=True, gc=False, kw_only=True):
    """A position, as limits count it."""

    account: AccountName
    instrument: str
    quantity: Decimal
    notional: Decimal                  # absolute, at the mark; the entry price where there is no mark
    risk: Decimal
    source: Source | None
    group: str
    parent: str = ""                   # the underlying; "": as the shipped table says


class PendingView(Struct, frozen=True, gc=False, kw_only=True):
    """An order that may still fill and that would add risk, counted at the worst case."""

    account: AccountName
    instrument: str
    side: Side
    remaining: Decimal
    notional: Decimal
    risk: Decimal
    source: Source | None
    group: str
    is_in_doubt: bool
    parent: str = ""


class ExitView(Struct, frozen=True, gc=False, kw_only=True):
    """An order of this account and instrument that may be live: working, in flight or in doubt. An entry counts too: on an
    exit's own side it can turn the position like any other."""

    client_order_id: ClientOrderId
    side: Side
    remaining: Decimal
    purpose: Purpose = Purpose.PROTECT
    group: str = ""                    # what the venue itself links, of which only one can fill; "": stands alone
    is_reduce_only: bool = False       # the venue itself keeps it from crossing zero


class RestingView(Struct, frozen=True, gc=False, kw_only=True):
    """An order of any of our accounts at the same broker that rests (or may) in an instrument's book at a limit."""

    account: AccountName
    client_order_id: ClientOrderId
    side: Side
    price: Decimal
    instrument: str = ""


class Definition(Struct, frozen=True, gc=False, kw_only=True):
    """An instrument as the broker itself defines it."""

    instrument: str
    tick: Decimal
    lot: Decimal
    multiplier: Decimal
    currency: str
    ts_expiry: Nanos | None = None     # None: it does not expire
    ts_roll: Nanos | None = None       # from when on no entry may be made in it
    margin: Decimal | None = None      # that one unit ties up when it is opened; None: the broker does not tell


class DecisionView(Struct, frozen=True, gc=False, kw_only=True):
    """A person's flatten that is in force for an account, as its command stands in the journal."""

    command: str                       # `decision_digest` of the command
    who: str
    origin: str
    seen: str                          # digest of the positions that were shown
    ts: Nanos
    instrument: str | None             # None: every one


class AccountView(Struct, frozen=True, gc=False, kw_only=True):
    """One account: what its broker last proved, and what our ledger makes of it."""

    account: AccountName
    account_id: str | None             # None: the broker has not named it
    truth: Truth
    is_enabled: bool
    frozen_by: str | None              # why entries are frozen: drift, start gate ...; None: they are not
    is_line_up: bool
    ts_proof: Nanos | None             # last event, answered ping or query on an unbroken stream
    currency: str
    equity: Decimal | None             # cash + unrealised
    balance: Decimal | None            # cash
    day_pnl: Decimal | None            # realised + unrealised - fees, venue trading day
    week_pnl: Decimal | None
    day_start_equity: Decimal | None
    consecutive_losses: int
    margin_used: Decimal | None        # as the broker last said, and what was filled since; None: it does not tell
    position: Decimal                  # of this instrument, signed
    broker_position: Decimal | None    # of this instrument, as the broker last said
    orders_last_minute: int            # submits and modifies
    pair_may_rest: bool = False        # an emulated stop and target may both rest
    value_last_minute: Decimal | None = None           # of the entries cleared in the last minute
    ts_read: Nanos | None = None       # when the broker last told the whole account


class Limits(Struct, frozen=True, gc=False, kw_only=True):
    """SafeBroker's own limits, as published to sizing. There is no "unlimited"."""

    notional_per_order: Decimal
    position_per_symbol: Decimal
    orders_per_minute: int
    daily_loss: Decimal
    symbols: tuple[str, ...]           # empty: any symbol of the lane, allowed in paper only


class SourceRecord(Struct, frozen=True, gc=False, kw_only=True):
    """The recent record of one source in one account, oldest first."""

    r_multiples: tuple[Decimal, ...]   # of the last 20 closed trades
    slippage: tuple[Decimal, ...]      # of the last 10 entry fills, in ticks, adverse positive
    ts_last: Nanos | None = None       # when the last of the trades closed


class Memory(Struct, frozen=True, gc=False, kw_only=True):
    """What the re-entry guard remembers of this account and underlying."""

    ts_stop_outs: tuple[tuple[str, Nanos], ...]       # (side, time) of stop-outs, newest last
    ts_entries: tuple[tuple[str, Nanos], ...]         # (side, time) of cleared entries, newest last
    entries_today: tuple[tuple[str, int], ...]        # (side, number) of cleared entries of this trade date
    signal_keys: tuple[str, ...]                      # of recent cleared entries


class GateView(Struct, frozen=True, gc=False, kw_only=True, tag="view"):
    """The world as one judgement saw it."""

    now: Nanos
    lane: LaneName
    strategy: StrategyName
    source: Source
    instrument: Instrument
    mark: Mark | None
    session: Session
    micro: Instrument | None = None
    micro_mark: Mark | None = None
    account: AccountView
    held: tuple[HeldView, ...]         # of this account
    pending: tuple[PendingView, ...]   # of this account
    all_orders_last_minute: int
    all_day_pnl: Decimal | None
    kill_epoch: int
    killed_by: str | None              # the latch that reaches this lane and account, if any
    tier: int                          # worse of the lane's and the account's
    tier_reasons: tuple[str, ...]
    regime_detector: str               # as the lane declares it; "none" is recorded as not required
    regime: Regime | None
    features: tuple[Feature, ...]      # those the checks read: atr, trajectory ...
    clock_offset: Nanos | None         # None: not measured; 0 by definition in playback and simulation
    record: SourceRecord
    memory: Memory
    limits: Limits
    events: tuple[tuple[str, Nanos], ...] | None = None   # known tier-1 releases; None: no calendar is loaded
    signal_key: str = ""               # source, underlying, side and bar: a repeated one is a duplicate
    mode: str = "paper"
    exits: tuple[ExitView, ...] | None = ()               # of this account and instrument; None: not known
    disabled_by: str | None = None     # why the strategy is off until a person enables it; None: it is on
    definition: Definition | None = None       # of the instrument, by the account's broker; None: it has not told
    micro_definition: Definition | None = None
    window: tuple[Decimal, Decimal] | None = None         # lowest and highest mid of the collar's window; None: not known
    micro_window: tuple[Decimal, Decimal] | None = None
    resting: tuple[RestingView, ...] | None = None     # the highest bid and the lowest offer of ours at this broker, in this
                                                       # instrument and in its micro; None: not known
    all_notional: Decimal | None = None        # value of all that is open or may still open, in every account
    all_value_last_minute: Decimal | None = None       # of the entries of every account cleared in the last minute
    day_type: str | None = None        # normal, trend_up, trend_down, range, event, half_day, opex, unknown; None: nobody says

    decision: DecisionView | None = None       # the flatten of this account that is in force

    def feature(self, name: str) -> Feature | None:
        for feature in self.features:
            if feature.name == name:
                return feature
        return None
