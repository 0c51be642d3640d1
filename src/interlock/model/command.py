"""A person's acts. Each is journaled with who gave it and from where before it does anything."""

import hashlib
from decimal import Decimal
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

from interlock.model.ids import AccountName, ClientOrderId, LaneName
from interlock.model.money import SECOND, Nanos
from interlock.model.report import BrokerOrder, OrderFilled


class Kill(Struct, frozen=True, tag="kill"):
    """Latch: strategies off, risk-increasing orders cancelled. `lane` or `account` narrow it; both None: everything.

    `scope` is "risk" (protective exits are kept) or "all" (they go too, and the positions left naked are named).
    """

    why: str
    lane: LaneName | None = None
    account: AccountName | None = None
    scope: str = "risk"
    typed: str = ""                    # the account's number: asked for by scope "all" while the account is only watched


class Release(Struct, frozen=True, tag="release"):
    """Unlatch what the kill of the same reach latched; `phrase` is what the person typed, `seen` the digest of the state
    that was shown to them."""

    phrase: str
    lane: LaneName | None = None
    account: AccountName | None = None
    seen: str = ""


class Flatten(Struct, frozen=True, tag="flatten"):
    """Close positions: cancel, close, verify flat. Both None: every account, every instrument."""

    why: str
    account: AccountName | None = None
    instrument: str | None = None
    seen: str = ""                     # digest of the positions that were shown
    typed: str = ""                    # the account's number: asked for while the account is only watched


class Reconcile(Struct, frozen=True, tag="reconcile"):
    """Read accounts at their brokers now and compare. It adopts nothing."""

    account: AccountName | None = None


class Decide(Struct, frozen=True, tag="decide"):
    """A person's answer to an open question; `answer` is one of those that the question lists."""

    question: str
    answer: str
    seen: str


class Reconnect(Struct, frozen=True, tag="reconnect"):
    """Open the line of an account anew. One read follows; entries stay off until a person enables the account."""

    account: AccountName
    seen: str = ""


class Enable(Struct, frozen=True, tag="enable"):
    """Lift one latch that only a person lifts: a halt, a lost line, a throttled or broken strategy. `latch` is its id."""

    latch: str
    seen: str = ""


class RecordDrill(Struct, frozen=True, tag="record_drill"):
    """The result of a kill drill, for the record."""

    orders: int
    cancelled: int
    confirmed_ms: float


class ConfirmAccount(Struct, frozen=True, tag="confirm_account"):
    """A person confirms a live account for as long as this process runs: its full number as the broker names it."""

    account: AccountName
    typed: str
    seen: str                          # digest of what was shown


class DeclineLive(Struct, frozen=True, tag="decline_live"):
    """Not live after all: disconnect and end the process."""


class DisableAccount(Struct, frozen=True, tag="disable_account"):
    account: AccountName
    why: str


class EnableAccount(Struct, frozen=True, tag="enable_account"):
    account: AccountName


Command: TypeAlias = (
    Kill | Release | DisableAccount | EnableAccount | Flatten | Reconcile | Decide | Reconnect | Enable | RecordDrill
    | ConfirmAccount | DeclineLive)

RELEASE_PHRASE = "RELEASE THE KILL"


class CommandGiven(Struct, frozen=True, tag="command_given"):
    command: Command
    who: str
    origin: str                        # cli, page, api
    ts_given: Nanos


FLATTEN_LIFE: Final[Nanos] = 5 * 60 * SECOND
"""How long a person's flatten is good for: what has not been sent by then waits for a new one."""


def decision_digest(given: CommandGiven) -> str:
    """What names one act of a person: SHA-256 over the command, who gave it, from where and when; hex."""
    return hashlib.sha256(msgspec.msgpack.encode(given)).hexdigest()


class CommandRefused(Struct, frozen=True, tag="command_refused"):
    code: str
    reason: str


class Killed(Struct, frozen=True, tag="killed"):
    """The latch is set. `epoch` counts kills and releases; SafeBroker reads it at every write."""

    lane: LaneName | None
    account: AccountName | None
    scope: str
    why: str
    epoch: int
    orders_to_cancel: tuple[str, ...]
    positions: tuple[tuple[str, str, str], ...]    # account, instrument, signed quantity still open


class Released(Struct, frozen=True, tag="released"):
    lane: LaneName | None
    account: AccountName | None
    epoch: int


class AccountConfirmed(Struct, frozen=True, tag="account_confirmed"):
    """A person typed the number that broker and configuration both name. Good until the process ends."""

    account: AccountName
    number: str
    currency: str
    cash: Decimal
    net_liquidation: Decimal | None    # as the broker told it; None: it does not tell
    digest: str                        # of what was shown
    who: str
    origin: str                        # terminal, page


class ConfirmationRefused(Struct, frozen=True, tag="confirmation_refused"):
    account: AccountName | None
    code: str
    reason: str


class LiveDeclined(Struct, frozen=True, tag="live_declined"):
    who: str
    origin: str


class AccountDisabled(Struct, frozen=True, tag="account_disabled"):
    account: AccountName
    why: str


class AccountEnabled(Struct, frozen=True, tag="account_enabled"):
    account: AccountName


class FlattenBegun(Struct, frozen=True, tag="flatten_begun"):
    """The accounts in reach are read afresh, all at once; each closes what its own broker then shows."""

    why: str
    account: AccountName | None
    instrument: str | None
    accounts: tuple[AccountName, ...]
    positions: tuple[tuple[str, str, str], ...]    # account, instrument, signed quantity as last known
    command: str = ""                  # `decision_digest` of the command that began it; its orders name it too


class FlattenEnded(Struct, frozen=True, tag="flatten_ended"):
    """The result for one account and instrument. Never assumed: `flat` and `residual` are the broker's own word."""

    account: AccountName
    instrument: str                    # "": the account could not be read
    result: str                        # flat, residual, unknown
    quantity: Decimal                  # what is left, signed; zero when flat or unknown
    why: str


class KillProved(Struct, frozen=True, tag="kill_proved"):
    """What the broker's own list showed after the last cancel that could still arrive."""

    account: AccountName
    epoch: int
    is_clean: bool
    left: tuple[str, ...]              # client order ids that could still add risk
    notional: Decimal | None           # of the positions still open, at the mark; None: not known


class QuestionOpened(Struct, frozen=True, tag="question_opened"):
    """Something that only a person may answer. `state` is what they are shown, `digest` its SHA-256."""

    question: str
    kind: str                          # drift ...
    account: AccountName | None
    state: tuple[tuple[str, str, str], ...]        # what, ours, theirs
    digest: str
    answers: tuple[str, ...]


class Decided(Struct, frozen=True, tag="decided"):
    """A question is answered; the command before it names who and from where."""

    question: str
    account: AccountName | None
    answer: str
    state: tuple[tuple[str, str, str], ...]
    until: Nanos                       # an accepted difference reopens then; 0: does not end


class PositionAdopted(Struct, frozen=True, tag="position_adopted"):
    """A person said that the broker is right: our book takes its quantity and price."""

    account: AccountName
    instrument: str
    quantity: Decimal
    price: Decimal | None


class OrderAdopted(Struct, frozen=True, tag="order_adopted"):
    """A person said that the broker is right about an order: it stands as the broker lists it. `order` None: it is gone."""

    account: AccountName
    client_order_id: ClientOrderId
    order: BrokerOrder | None
    is_ours: bool                      # False: somebody else made it; from here on it is known, counted and can be cancelled


class AccountAdopted(Struct, frozen=True, tag="account_adopted"):
    """The end of an adoption: the account's cash is the broker's, and executions that came to nobody's books count as told."""

    account: AccountName
    cash: Decimal
    loss: Decimal                      # part of the difference in cash that counts as made in trading; never above zero
    fills: tuple[OrderFilled, ...]


class QuestionClosed(Struct, frozen=True, tag="question_closed"):
    """A question has gone away before anybody answered it: what was asked about explained itself."""

    question: str
    account: AccountName | None
    why: str


class Reconnecting(Struct, frozen=True, tag="reconnecting"):
    """Ask the venue for a new connection."""

    account: AccountName


class Enabled(Struct, frozen=True, tag="enabled"):
    """A person lifted this latch."""

    latch: str


class DrillRecorded(Struct, frozen=True, tag="drill_recorded"):
    orders: int
    cancelled: int
    confirmed_ms: float
