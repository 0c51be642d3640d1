"""What execution knows beside the orders: profiles of accounts, plans of entries, exits under way, and what is broken.

All of it is folded from the journal, so a restart finds it as it was.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final, Protocol, TypeAlias

from msgspec import Struct, field

from interlock.execution.exposure import ZERO
from interlock.execution.orders import OrderBook
from interlock.execution.told import Ears, Told
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, ClientOrderId, LaneName, SignalId, StrategyName, client_order_id, identify
from interlock.model.instrument import Instrument
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.model.order import OrderRecord
from interlock.model.record import Alarm, AlarmCleared
from interlock.model.signal import AccountIntent, Intent, Purpose, Side, Source
from interlock.model.view import Mark, Session
from interlock.ports import Capabilities

T_PROTECT: Final[Nanos] = 2 * SECOND
"""How long stops and position may differ after a change."""
T_ORPHAN: Final[Nanos] = 5 * SECOND
"""How long an exit order may outlive its position."""
T_INFLIGHT: Final[Nanos] = 5 * SECOND
"""How long an answer may take before it is asked for."""
TRIES_MAX: Final = 5
"""Refusals of one protection, exit or cancel before it is left to a person."""
_BACKOFF: Final[Nanos] = SECOND // 4


class WakeAt(Struct, frozen=True):
    """Wake this stage at `ts` with a Tick. Not journaled; the Tick is."""

    ts: Nanos


Output: TypeAlias = Payload | WakeAt
Outputs: TypeAlias = Iterator[Payload]


class AccountProfile(Struct, frozen=True, kw_only=True):
    """What an account's venue does by itself, and what its owner allows."""

    capabilities: Capabilities
    pair_may_rest: bool = False        # an emulated stop and target may both rest; the double fill is charged


_UNKNOWN: Final = AccountProfile(capabilities=Capabilities(has_native_brackets=False, has_replace=False,
                                                           visibility_delay=60 * SECOND))


class HardClose(Struct, frozen=True, kw_only=True):
    """When what is held intraday must be gone. `overnight`: lanes that may hold; `accounts`: those with a lane that may not."""

    buffer: Nanos = 2 * MINUTE         # before the table's own time
    cut_off: Nanos = 10 * MINUTE       # from then on nothing is entered
    overnight: frozenset[LaneName] = frozenset()
    accounts: frozenset[AccountName] = frozenset()


class World(Protocol):
    """What execution may ask about the market."""

    def mark(self, instrument: str) -> Mark | None: ...

    def session(self, instrument: str) -> Session: ...

    def instrument(self, symbol: str) -> Instrument | None:
        """Its definition; None: nothing can be ordered in it."""
        ...


class Plan(Struct, kw_only=True):
    """One cleared entry: what it wanted, and how its protection fared."""

    account: AccountName
    instrument: str                    # as sized: perhaps the micro
    asked: str                         # as the intent names it
    signal_id: SignalId
    lane: LaneName
    strategy: StrategyName
    source: Source
    side: Side
    stop: Decimal
    target: Decimal | None             # None: there is none, or the alert owns it
    is_linked: bool                    # the venue itself holds stop and target
    tries: int = 0                     # protections that were refused or rejected
    ts_retry: Nanos = 0


class Exit(Struct, kw_only=True):
    """A position on its way out."""

    asked: AccountIntent
    ts: Nanos
    orders: list[ClientOrderId] = []
    done: Decimal = ZERO
    tries: int = 0                     # of its orders that came to nothing
    ts_retry: Nanos = 0

    @property
    def is_whole(self) -> bool:
        return self.asked.intent.quantity is None


class Flattening(Struct, kw_only=True):
    """One account on its way to flat, by a person's command."""

    command: str                       # digest of the command
    why: str
    instrument: str | None             # None: every one
    ts: Nanos                          # of the command
    ts_from: Nanos                     # from when its time counts: the command, or the restart after it
    is_read: bool = False              # the broker has told what it holds
    closing: dict[str, Nanos] = {}     # instruments under way, and since when
    reads: int = 0
    mark_asked: int = -1               # of the account at the last read that was asked for
    ts_read: Nanos = 0

    @property
    def signal(self) -> SignalId:
        """The cause from which its orders take their ids."""
        return SignalId(identify("flatten", self.command))

    def reaches(self, instrument: str) -> bool:
        return self.instrument in (None, instrument)


class Proof(Struct, kw_only=True):
    """What is still to be shown of a kill, for one account."""

    epoch: int
    ts: Nanos
    is_clean: bool | None = None       # as last said; None: nothing was said yet
    left: tuple[str, ...] = ()
    reads: int = 0
    mark_asked: int = -1
    ts_read: Nanos = 0


class Standing(Struct, kw_only=True):
    """An alarm that is raised again, ever more rarely, until its cause is gone."""

    ts: Nanos
    level: int
    text: str


class Folded(Struct, kw_only=True):
    """The part of the snapshot that is not the order book. Keys are `position_key` unless they say otherwise."""

    plans: dict[str, Plan] = {}        # by "account|signal"
    current: dict[str, str] = {}       # the plan that a position follows
    exits: dict[str, Exit] = {}
    broken: dict[str, Nanos] = {}      # since when stops and position differ, in our own books
    theirs: dict[str, Nanos] = {}      # and in what the broker tells of itself
    removed: dict[str, Nanos] = {}     # when a person took the protection away
    pending: dict[str, Nanos] = {}     # asked of the gate and not yet judged, by key and purpose
    kills: dict[str, str] = {}         # scope, by "lane|account"
    alarms: dict[str, bool] = {}       # those that stand, by their own key
    frozen: dict[str, bool] = {}       # by "account|code"
    rereads: dict[str, Nanos] = {}     # when the broker was last asked for the whole account
    ears: Ears = field(default_factory=Ears)
    flattens: dict[str, Flattening] = {}           # by account
    proofs: dict[str, Proof] = {}                  # by account
    killed: dict[str, Nanos] = {}      # when, by "lane|account"
    halted: dict[str, Nanos] = {}      # scopes whose tier is 4, and accounts ("loss.") at their daily loss
    flats: dict[str, Nanos] = {}       # when what was entered must be gone, by the session it was entered in
    gave_up: dict[str, Nanos] = {}     # when an exit last came to nothing
    standing: dict[str, Standing] = {} # alarms that escalate, by key


class Situation:
    """Everything that a reaction may look at."""

    def __init__(self, profiles: Mapping[AccountName, AccountProfile], closing: HardClose | None = None) -> None:
        self.profiles = profiles
        self.closing = closing or HardClose()
        self.orders = OrderBook({name: profile.capabilities.visibility_delay for name, profile in profiles.items()})
        self.folded = Folded()
        self.ts: Nanos = 0                                # of the last payload that was folded

    def profile(self, account: AccountName) -> AccountProfile:
        """An account that is configured no more can do nothing by itself."""
        return self.profiles.get(account, _UNKNOWN)

    def position(self, key: str) -> Decimal:
        return self.orders.book.positions.get(key, ZERO)

    def plan(self, key: str) -> Plan | None:
        name = self.folded.current.get(key)
        return None if name is None else self.folded.plans.get(name)

    def killed(self, lane: str, account: str) -> bool:
        """Whether a kill reaches this lane and account."""
        kills = self.folded.kills
        return bool(kills) and any(reach in kills for reach in ("|", f"{lane}|", f"|{account}", f"{lane}|{account}"))

    def is_account_killed(self, account: str) -> bool:
        """Whether any kill, of a lane or not, reaches this account."""
        return any(reach.partition("|")[2] in ("", account) for reach in self.folded.kills)

    def halted(self, lane: str, account: str) -> bool:
        """Whether a tier or the day's loss has halted this lane or account."""
        halted = self.folded.halted
        return bool(halted) and any(scope in halted for scope in (
            f"lane.{lane}", f"account.{account}", f"loss.{account}", f"drift.{account}", ""))

    def is_flattened(self, key: str) -> bool:
        """Whether a person's flatten is closing this position."""
        out = self.folded.exits.get(key)
        return out is not None and out.asked.intent.purpose is Purpose.FLATTEN

    @property
    def ears(self) -> Ears:
        return self.folded.ears

    def current(self, account: AccountName) -> Told | None:
        """The broker's last whole answer, as long as nothing has happened since it was asked for."""
        return self.folded.ears.current(account)

    def held(self, account: AccountName) -> dict[str, Decimal]:
        """Our own positions of one account, by instrument, flat ones left out."""
        prefix = f"{account}|"
        return {key[len(prefix):]: at for key, at in self.orders.book.positions.items() if at and key.startswith(prefix)}

    def is_cancelling(self, record: OrderRecord) -> bool:
        """A cancel is under way, or was refused so lately that asking again would only repeat the refusal."""
        asked = self.orders.book.cancels.get(record.leg.client_order_id)
        return record.is_cancel_requested or (asked is not None and self.ts < asked.ts_next)

    def is_pending(self, key: str, purpose: Purpose) -> bool:
        """Asked of the gate a moment ago and not judged yet."""
        asked = self.folded.pending.get(f"{key}|{purpose.value}")
        return asked is not None and self.ts - asked < T_PROTECT

    def alarm(self, key: str, text: str, severity: str = "critical") -> Iterator[Alarm]:
        """The alarm, unless it stands already."""
        if key not in self.folded.alarms:
            yield Alarm(key, severity, text)

    def clear(self, key: str) -> Iterator[AlarmCleared]:
        standing = self.folded.standing.get(key)
        if standing is not None and standing.level > 1:
            yield AlarmCleared(f"{key}#{standing.level}")
        if key in self.folded.alarms:
            yield AlarmCleared(key)

    def generation(self, signal: SignalId, account: AccountName, leg: str) -> int:
        """The first generation of a leg that no order of ours has used."""
        number = 0
        while client_order_id(signal, account, leg, number) in self.orders.book.records:
            number += 1
        return number

    def spare_leg(self, signal: SignalId, account: AccountName, role: str) -> str:
        """A leg beside a live one of the same role: stop.1, stop.2 ..."""
        number = 1
        while self.generation(signal, account, f"{role}.{number}"):
            number += 1
        return f"{role}.{number}"


def earliest(times: Iterable[Nanos | None]) -> Nanos | None:
    return min((ts for ts in times if ts is not None), default=None)


def prepared(account: str, instrument: str = "") -> str:
    """The command that a person may give, spelled out."""
    return f"interlock flatten --account {account}" + (f" --instrument {instrument}" if instrument else "")


def plan_key(account: str, signal: str) -> str:
    return f"{account}|{signal}"


def backoff(tries: int) -> Nanos:
    """250 ms, doubled with each try, at most 30 s."""
    return min(_BACKOFF << max(tries - 1, 0), 30 * SECOND)


def exit_side(position: Decimal) -> Side:
    return Side.SELL if position > ZERO else Side.BUY


def ask(plan: Plan, purpose: Purpose, ts: Nanos, why: str, *, side: Side, quantity: Decimal | None, leg: str,
        generation: int = 0, replaces: ClientOrderId | None = None, is_market: bool = False) -> AccountIntent:
    """An intent of execution's own: it names a leg, and goes straight to the gate."""
    stop = plan.stop if purpose is Purpose.PROTECT else None
    target = plan.target if purpose is Purpose.TARGET and not is_market else None
    return AccountIntent(Intent(
        signal_id=plan.signal_id, lane=plan.lane, strategy=plan.strategy, source=plan.source, side=side,
        instrument=plan.instrument, purpose=purpose, why=why, ts_decided=ts, stop=stop, target=target,
        quantity=quantity, leg=leg, generation=generation, replaces=replaces), plan.account)
