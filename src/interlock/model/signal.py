"""Wishes: from an alert or a strategy's answer to an intent, and to an intent for one account. None of them is an order."""

from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from interlock.errors import InputError
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName
from interlock.model.money import Nanos


class Side(Enum):
    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY


class Purpose(Enum):
    ENTER = "enter"
    PROTECT = "protect"
    TARGET = "target"
    REDUCE = "reduce"
    FLATTEN = "flatten"


class Source(Enum):
    """Which column of the guard table applies."""

    OPTIONS = "options"                # S
    BARS = "bars"                      # I: ICT and bar strategies
    ALERTS = "alerts"                  # V


class AlertAction(Enum):
    BUY = "buy"
    SELL = "sell"
    CLOSE = "close"
    TARGET = "target"


class AlertReceived(Struct, frozen=True, tag="alert_received"):
    """What came to the hook. The secret is compared at the edge and never stands here.

    `body` is the body with the secret's value replaced by its key name, None if it could not be parsed;
    `transport_hash` is the SHA-256 of the original bytes keyed by a local key, hex.
    """

    lane: LaneName
    body: dict[str, object] | None
    length: int
    transport_hash: str
    has_secret: bool
    is_secret_right: bool
    ts_recv: Nanos                     # engine clock
    source_address: str = ""
    sequence: int = 0                  # of this lane, since the journal began; makes equal bodies different alerts
    problem: str = ""                  # why the body cannot be read, or is ambiguous; never holds any of its text


class Alert(Struct, frozen=True):
    """An alert whose message is well formed."""

    strategy: StrategyName
    action: AlertAction
    symbol: str
    source_symbol: str
    script_id: str
    sent_time: Nanos
    bar_time: Nanos
    price: Decimal | None = None
    stop: Decimal | None = None
    target: Decimal | None = None
    position: Decimal | None = None
    alert_id: str | None = None


class AlertAccepted(Struct, frozen=True, tag="alert_accepted"):
    """All fast gates and signal guards passed; the entry that holds this has consumed one fire."""

    signal_id: SignalId
    lane: LaneName
    alert: Alert
    instrument: str                    # what the alert's symbol means
    fires_left: int | None             # None: the strategy has no budget of fires


class AlertRefused(Struct, frozen=True, tag="alert_refused"):
    signal_id: SignalId
    lane: LaneName
    code: str
    reason: str
    http_status: int


class AlertDuplicate(Struct, frozen=True, tag="alert_duplicate"):
    signal_id: SignalId                # of the alert that it repeats
    lane: LaneName
    code: str
    reason: str


AlertAnswer: TypeAlias = AlertAccepted | AlertRefused | AlertDuplicate


class Hold(Struct, frozen=True):
    """A strategy's answer: no trade, and why."""

    why: str


class Enter(Struct, frozen=True):
    """A strategy's answer: open a position. No quantity: the gate fixes it."""

    side: Side
    stop: Decimal
    why: str
    target: Decimal | None = None
    limit: Decimal | None = None       # None: at market


class Exit(Struct, frozen=True):
    """A strategy's answer: close what is open."""

    why: str


Decision: TypeAlias = Hold | Enter | Exit


class Held(Struct, frozen=True, tag="held"):
    """A Hold as the journal has it. `source` is the strategy's kind: bars or alerts."""

    lane: LaneName
    strategy: StrategyName
    instrument: str
    why: str


class Intent(Struct, frozen=True, tag="intent", kw_only=True):
    """One decision to trade, for every account of its lane: no quantity, no account."""

    signal_id: SignalId
    lane: LaneName
    strategy: StrategyName
    source: Source
    instrument: str
    side: Side
    purpose: Purpose
    why: str
    ts_decided: Nanos
    stop: Decimal | None = None
    target: Decimal | None = None
    limit: Decimal | None = None
    quantity: Decimal | None = None    # exits only; None: all of it
    reference: Decimal | None = None   # the price the decision was made at (mid, or the alert's price)
    setup: str = ""                    # continuation, bounce, reclaim ...: what guards 7 and 8 read
    confidence: float | None = None    # 0 to 1, where the strategy says how sure it is: what guard 8 reads
    is_target_owned: bool = False      # alert-owned exits: the alert decides on the target, only the stop rests
    replaces: ClientOrderId | None = None   # exits: the live order that this one takes the place of, counted as one
    person: str = ""                   # flatten: who decided it
    leg: str = ""                      # exits that execution asks for: the leg that they are a new order of
    generation: int = 0                # of that leg

    def __post_init__(self) -> None:
        if self.purpose is Purpose.ENTER:
            if self.stop is None:
                raise InputError(f"{self.strategy}: an entry needs a stop")
            if self.quantity is not None:
                raise InputError(f"{self.strategy}: an entry's quantity is fixed by the gate")


class AccountIntent(Struct, frozen=True, tag="account_intent"):
    """An intent for one account."""

    intent: Intent
    account: AccountName


class RouteRefused(Struct, frozen=True, tag="route_refused"):
    """The receipt of an account that routing left out (account None: no account of the lane takes it)."""

    signal_id: SignalId
    lane: LaneName
    account: AccountName | None
    code: str
    reason: str
