"""A person's acts. Each is journaled with who gave it and from where before it does anything."""

from typing import TypeAlias

from msgspec import Struct

from interlock.model.ids import AccountName, LaneName
from interlock.model.money import Nanos


class Kill(Struct, frozen=True, tag="kill"):
    """Latch: strategies off, risk-increasing orders cancelled. `lane` or `account` narrow it; both None: everything.

    `scope` is "risk" (protective exits are kept) or "all" (they go too, and the positions left naked are named).
    """

    why: str
    lane: LaneName | None = None
    account: AccountName | None = None
    scope: str = "risk"


class Release(Struct, frozen=True, tag="release"):
    """Unlatch what the kill of the same reach latched; `phrase` is what the person typed."""

    phrase: str
    lane: LaneName | None = None
    account: AccountName | None = None


class DisableAccount(Struct, frozen=True, tag="disable_account"):
    account: AccountName
    why: str


class EnableAccount(Struct, frozen=True, tag="enable_account"):
    account: AccountName


Command: TypeAlias = Kill | Release | DisableAccount | EnableAccount

RELEASE_PHRASE = "RELEASE THE KILL"


class CommandGiven(Struct, frozen=True, tag="command_given"):
    command: Command
    who: str
    origin: str                        # cli, page, api
    ts_given: Nanos


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


class AccountDisabled(Struct, frozen=True, tag="account_disabled"):
    account: AccountName
    why: str


class AccountEnabled(Struct, frozen=True, tag="account_enabled"):
    account: AccountName
