"""Live accounts: after every start a person confirms each one, on what its broker has just told. Until then it is watched.

A watched account is read, reconciled and alarmed about. Nothing is placed in it and nothing cancelled, except by a kill or
a flatten that a person has just given. Whatever the core would have sent by itself is withheld, and a person is told.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.model.account import Mode
from interlock.model.command import (
    AccountConfirmed,
    CommandGiven,
    ConfirmAccount,
    ConfirmationRefused,
    DeclineLive,
    Flatten,
    FlattenBegun,
    Kill,
    LiveDeclined,
)
from interlock.model.entry import Payload
from interlock.model.ids import AccountName
from interlock.model.money import MINUTE, SECOND, Nanos, plain
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    Alarm,
    AlarmCleared,
    CancelRequested,
    ExitBegun,
    IntentAbandoned,
    LiveStarted,
    ReadRequested,
    Started,
)
from interlock.model.report import AccountRead
from interlock.model.signal import AccountIntent, Purpose

UNCONFIRMED: Final = "unconfirmed"
ENVIRONMENT: Final = "environment"
WATCH: Final = "watch"
EVIDENCE_AGE: Final[Nanos] = 10 * SECOND
"""How old the broker's answer may be that a person confirms an account on."""
WRONG_MAX: Final = 3
"""Wrong numbers per account and minute; after them the next has to wait."""
PERSON_LIFE: Final[Nanos] = 5 * MINUTE
"""How long a person's act in a watched account goes on before it has to be given again."""
PERSON: Final = "person"
DESK_ALARM: Final = "watch.desk"
ORIGINS: Final = ("terminal", "page")
"""Where a confirmation may come from: somebody sits there."""


class Evidence(Struct):
    """What the broker told of an account, and when."""

    number: str
    endpoint: str
    currency: str
    cash: Decimal
    net_liquidation: Decimal | None
    positions: tuple[tuple[str, str], ...]
    ts: Nanos

    def digest(self, account: AccountName) -> str:
        """Of what is shown, without what moves by itself: no age, and no figure that follows the market."""
        shown = [account, self.number, self.endpoint, self.currency, plain(self.cash), [list(row) for row in self.positions]]
        return hashlib.sha256(json.dumps(shown, separators=(",", ":")).encode()).hexdigest()[:16]


class _State(Struct):
    is_watch: bool
    confirmed: dict[AccountName, str]
    evidence: dict[AccountName, Evidence]
    wrong: dict[AccountName, list[Nanos]]
    flattened: dict[AccountName, Nanos]            # when a person had it flattened
    typed: dict[AccountName, Nanos]                # when a kill came with its number
    alarms: dict[str, AccountName]
    misplaced: dict[AccountName, str]


class Live:
    """Which accounts are confirmed, and on what. In paper it says nothing and withholds nothing."""

    def __init__(self, mode: str, numbers: Mapping[AccountName, str]) -> None:
        self.is_live = mode == Mode.LIVE.value
        self._mode = Mode(mode).value
        self._numbers = dict(numbers)
        self._state = _State(True, {}, {}, {}, {}, {}, {}, {})

    @property
    def is_watch(self) -> bool:
        """Whether this process can only watch: it was not started by a person with both keys."""
        return self._state.is_watch

    @property
    def confirmed(self) -> Mapping[AccountName, str]:
        """The number of each account that a person has confirmed in this process."""
        return self._state.confirmed

    def is_held(self, account: AccountName) -> bool:
        """Whether the account is live and not confirmed."""
        return self.is_live and account not in self._state.confirmed

    def evidence(self, account: AccountName) -> Evidence | None:
        return self._state.evidence.get(account)

    # -- what has happened

    def apply(self, payload: Payload, ts: Nanos) -> None:
        if type(payload) not in _FOLDED:
            return
        state = self._state
        match payload:
            case Started():
                # A new process: nobody has confirmed anything, and nothing has been read.
                self._state = _State(True, {}, {}, {}, {}, {}, state.alarms, state.misplaced)
            case LiveStarted():
                state.is_watch = payload.is_watch
            case AccountRead():
                state.evidence[payload.account] = Evidence(
                    payload.account_id, payload.endpoint, payload.currency, payload.cash, payload.net_liquidation,
                    tuple((held.instrument, plain(held.quantity)) for held in payload.positions), ts)
            case AccountConfirmed():
                state.confirmed[payload.account] = payload.number
                state.wrong.pop(payload.account, None)
            case ConfirmationRefused(account=account, code="confirm.number") if account is not None:
                state.wrong[account] = [*(at for at in state.wrong.get(account, []) if ts - at < MINUTE), ts]
            case CommandGiven(command=Kill(account=named, typed=typed)) if typed:
                state.typed.update({account: ts for account in self._numbers
                                    if named in (None, account) and self._is_number(account, typed)})
            case FlattenBegun():
                state.flattened.update(dict.fromkeys(payload.accounts, ts))
            case AccountFrozen() if payload.code == ENVIRONMENT:
                state.misplaced[payload.account] = payload.why
            case AccountThawed() if payload.code == ENVIRONMENT:
                state.misplaced.pop(payload.account, None)
            case Alarm() if payload.key.startswith("watch."):
                state.alarms[payload.key] = AccountName(payload.key.split(".")[1])
            case AlarmCleared():
                state.alarms.pop(payload.key, None)
            case _:
                pass

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self._state)

    def restore(self, body: bytes) -> None:
        self._state = msgspec.msgpack.decode(body, type=_State)

    # -- what follows

    def on_started(self) -> Iterator[Payload]:
        """No entry leaves a live account before a person has confirmed it."""
        for account in self._numbers if self.is_live else ():
            yield AccountFrozen(account, UNCONFIRMED, "no person has confirmed this live account since the start")

    def on_live_started(self, started: LiveStarted) -> Iterator[Payload]:
        if self.is_live and started.is_watch:
            yield Alarm(DESK_ALARM, "critical", f"the desk only watches its live accounts ({started.why}); to trade, a person "
                        "starts it in a terminal and confirms each account")
        elif DESK_ALARM in self._state.alarms:
            yield AlarmCleared(DESK_ALARM)

    def on_read(self, read: AccountRead) -> Iterator[Payload]:
        """An account that is not the one configured, or answers from the other environment, is frozen; the desk ends."""
        account, number = read.account, self._numbers.get(read.account, "")
        why = ""
        if read.endpoint != self._mode:
            why = (f"{account}: the configuration is {self._mode}, the broker answers from its {read.endpoint} environment; "
                   "nothing was sent. Correct desk.mode or the broker's endpoint")
        elif number and read.account_id != number:
            why = (f"{account}: the configuration names account {number}, the broker answers for {read.account_id}; nothing was "
                   "sent. Correct the account's number or the credentials")
        if why:
            yield AccountFrozen(account, ENVIRONMENT, why)
            yield Alarm(f"environment.{account}", "critical", why)
        elif account in self._state.misplaced:
            yield AccountThawed(account, ENVIRONMENT)
            yield AlarmCleared(f"environment.{account}")

    def is_misplaced(self, account: AccountName) -> bool:
        return account in self._state.misplaced

    # -- what a person does

    def answer(self, given: CommandGiven, ts: Nanos) -> tuple[Payload, ...] | None:
        """The outcome of a command that is a matter of live accounts; None: it goes its ordinary way."""
        match given.command:
            case ConfirmAccount() as command:
                return tuple(self._confirm(command, given, ts))
            case DeclineLive():
                if not self.is_live:
                    return (ConfirmationRefused(None, "confirm.not_live", "this desk is on paper"),)
                return (LiveDeclined(given.who, given.origin),)
            case Flatten(account=account, typed=typed):
                return self._flatten(account, typed)
            case _:
                return None

    def _confirm(self, asked: ConfirmAccount, given: CommandGiven, ts: Nanos) -> Iterator[Payload]:
        account, evidence = asked.account, self._state.evidence.get(asked.account)
        refusal = self._refusal(asked, given, evidence, ts)
        if refusal is not None or evidence is None:
            code, reason = refusal or ("confirm.expired", "the broker has not told this account yet")
            yield ConfirmationRefused(account if account in self._numbers else None, code, reason)
            return
        yield AccountConfirmed(account, evidence.number, evidence.currency, evidence.cash, evidence.net_liquidation, asked.seen,
                               given.who, given.origin)
        yield AccountThawed(account, UNCONFIRMED)
        for key in [key for key, named in self._state.alarms.items() if named == account]:
            yield AlarmCleared(key)
        yield ReadRequested(account, "it was confirmed")

    def _refusal(self, asked: ConfirmAccount, given: CommandGiven, evidence: Evidence | None, ts: Nanos
                 ) -> tuple[str, str] | None:
        account = asked.account
        if not self.is_live:
            return "confirm.not_live", "this desk is on paper; there is nothing to confirm"
        if account not in self._numbers:
            return "command.unknown_account", f"no account is called {account!r}; there are {', '.join(self._numbers)}"
        if given.origin not in ORIGINS:
            return "confirm.origin", f"a confirmation is given in a terminal or in the page, not by {given.origin}"
        if self._state.is_watch:
            return "confirm.watch", "this process only watches; stop it and start it in a terminal with both keys"
        if account in self._state.confirmed:
            return "confirm.done", f"{account} is confirmed already, until this process ends"
        recent = [at for at in self._state.wrong.get(account, []) if ts - at < MINUTE]
        if len(recent) >= WRONG_MAX:
            left = -(-(recent[-WRONG_MAX] + MINUTE - ts) // SECOND)
            return "confirm.too_often", f"{len(recent)} wrong numbers within a minute; wait {left} s"
        if evidence is None or not 0 <= ts - evidence.ts <= EVIDENCE_AGE:
            return "confirm.expired", f"the broker's answer is older than {EVIDENCE_AGE // SECOND} s; look at the account again"
        if self.is_misplaced(account):
            return "environment", self._state.misplaced[account]
        if asked.seen != evidence.digest(account):
            return "confirm.moved", "the account has changed since it was shown; look at it again"
        if not evidence.number == self._numbers[account] == asked.typed:
            return "confirm.number", "that is not the full number of this account"
        return None

    def _flatten(self, account: AccountName | None, typed: str) -> tuple[Payload, ...] | None:
        """While an account is only watched, an act that could leave it worse off takes its number."""
        held = [name for name in self._numbers if account in (None, name) and self.is_held(name)]
        if not held:
            return None
        if account is None and len(self._numbers) > 1:
            return (ConfirmationRefused(None, "watch.one_account", "live accounts that are not confirmed are closed one by one, "
                                        f"each with its number: {', '.join(held)}"),)
        if not self._is_number(held[0], typed):
            return (ConfirmationRefused(held[0], "watch.number", f"{held[0]} is not confirmed: give its full number with it, "
                                        "as its broker shows it"),)
        return None

    def _is_number(self, account: AccountName, typed: str) -> bool:
        evidence = self._state.evidence.get(account)
        return bool(typed) and evidence is not None and typed == evidence.number == self._numbers[account]

    # -- what is not sent by itself

    def withholds(self, output: Any, ts: Nanos, *, is_killed: bool, is_protective: bool) -> bool:
        """Whether this would be an act in a watched account that no person has just asked for.

        A kill is never held up: it cancels what could add risk. The stops too go only where the number came with it.
        """
        kind = type(output)
        if not self.is_live or kind not in _ACTS or output.account in self._state.confirmed:
            return False
        is_flattened = self._is_recent(self._state.flattened, output.account, ts)
        if kind is CancelRequested:
            if is_protective and not is_flattened:
                return not (output.permit == PERSON and self._is_recent(self._state.typed, output.account, ts))
            return not (is_flattened or output.permit == PERSON or (is_killed and not output.permit))
        intent = output.intent if kind is AccountIntent else output.asked.intent
        return not (is_flattened and intent.purpose is Purpose.FLATTEN)

    @staticmethod
    def _is_recent(given: Mapping[AccountName, Nanos], account: AccountName, ts: Nanos) -> bool:
        at = given.get(account)
        return at is not None and ts - at < PERSON_LIFE

    def withheld(self, output: Any) -> Iterator[Payload]:
        """A person is told, once per account and instrument, what would have been done."""
        account = output.account
        if isinstance(output, ExitBegun):
            what, instrument = f"close {output.instrument}: {output.asked.intent.why}", output.instrument
            yield IntentAbandoned(output.asked.intent.signal_id, account, WATCH, f"{account} is only watched")
        elif isinstance(output, AccountIntent):
            instrument = output.intent.instrument
            what = f"{output.intent.purpose.value} {output.intent.side.value} {instrument}: {output.intent.why}"
        else:
            instrument = output.client_order_id
            what = f"cancel {output.client_order_id}: {output.why}"
        key = f"watch.{account}.{instrument}"
        if key not in self._state.alarms:
            yield Alarm(key, "critical", f"{account} is live and not confirmed, so this was not done: {what}")


_FOLDED: Final = frozenset((Started, LiveStarted, AccountRead, AccountConfirmed, ConfirmationRefused, CommandGiven, FlattenBegun,
                            AccountFrozen, AccountThawed, Alarm, AlarmCleared))
_ACTS: Final = frozenset((AccountIntent, CancelRequested, ExitBegun))
