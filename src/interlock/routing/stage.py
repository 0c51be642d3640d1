"""Which accounts an intent goes to. Every account of the lane gets an answer: the intent, or a receipt with the reason.

The gates here are about getting in. An exit meets none of them: it goes to every account of its lane and to every other
account that holds the strategy's position; execution then finds out whether there is anything to close.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec import Struct

from interlock.errors import ConfigError
from interlock.model.command import AccountDisabled, AccountEnabled
from interlock.model.ids import AccountName, LaneName
from interlock.model.instrument import INSTRUMENTS, Instrument, Kind
from interlock.model.money import Nanos
from interlock.model.signal import AccountIntent, Intent, Purpose, RouteRefused


class GroupGate(Struct, frozen=True, kw_only=True):
    """A set of accounts that can be closed to entries together. `symbols` empty: all."""

    name: str
    is_open: bool = True
    symbols: tuple[str, ...] = ()


class AccountRoute(Struct, frozen=True, kw_only=True):
    """One target account. `symbols` empty: all that its lane trades."""

    account: AccountName
    symbols: tuple[str, ...] = ()
    groups: tuple[GroupGate, ...] = ()


class LaneRoute(Struct, frozen=True, kw_only=True):
    """One lane: its accounts in the order of the fan-out. `symbols` is narrower than the accounts'; empty: all."""

    lane: LaneName
    accounts: tuple[AccountRoute, ...]
    kinds: tuple[Kind, ...] = tuple(Kind)
    symbols: tuple[str, ...] = ()


class Routing:
    """Lanes, accounts and groups as configured, and the accounts that were disabled while running."""

    def __init__(self, lanes: Sequence[LaneRoute], instruments: Mapping[str, Instrument] = INSTRUMENTS) -> None:
        self._lanes = {lane.lane: lane for lane in lanes}
        if len(self._lanes) != len(lanes):
            raise ConfigError(f"lanes: expected each name once, found {', '.join(lane.lane for lane in lanes)}")
        self._instruments = instruments
        self.disabled: dict[AccountName, str] = {}

    def route(self, intent: Intent, disabled: Mapping[AccountName, str] | Mapping[str, str],
              holders: Iterable[AccountName] = ()) -> Iterator[AccountIntent | RouteRefused]:
        """One answer per account, in the order of the lane.

        `holders` are the accounts that hold a position of the intent's strategy: an exit reaches them even where the
        lane no longer names them.
        """
        lane = self._lanes.get(intent.lane)
        if intent.purpose is not Purpose.ENTER:
            named = () if lane is None else tuple(route.account for route in lane.accounts)
            for account in dict.fromkeys((*named, *holders)):
                yield AccountIntent(intent, account)
            return
        refused = self._lane_refusal(lane, intent)
        if lane is None or refused is not None:
            code, reason = refused or ("route.lane_unknown", f"no lane {intent.lane}")
            yield RouteRefused(intent.signal_id, intent.lane, None, code, reason)
            return
        for route in lane.accounts:
            refused = _account_refusal(route, intent.instrument, disabled)
            if refused is None:
                yield AccountIntent(intent, route.account)
            else:
                yield RouteRefused(intent.signal_id, intent.lane, route.account, *refused)

    def apply(self, payload: object, _ts: Nanos) -> None:
        """Fold one journaled payload; only accounts going off and on matter here."""
        match payload:
            case AccountDisabled():
                self.disabled[payload.account] = payload.why
            case AccountEnabled():
                self.disabled.pop(payload.account, None)

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.disabled)

    def restore(self, body: bytes) -> None:
        self.disabled = msgspec.msgpack.decode(body, type=dict[AccountName, str])

    def _lane_refusal(self, lane: LaneRoute | None, intent: Intent) -> tuple[str, str] | None:
        if lane is None:
            return "route.lane_unknown", f"no lane {intent.lane}"
        symbol = intent.instrument
        instrument = self._instruments.get(symbol)
        if instrument is None or instrument.kind not in lane.kinds:
            kind = "an unknown instrument" if instrument is None else f"a {instrument.kind.value}"
            return "route.lane_kind", f"{symbol} is {kind}; lane {lane.lane} trades {_kinds(lane)}"
        if lane.symbols and symbol not in lane.symbols:
            return "route.lane_symbol", f"{symbol} is none of lane {lane.lane}'s symbols {', '.join(lane.symbols)}"
        if not lane.accounts:
            return "route.no_account", f"lane {lane.lane} has no account"
        return None


def _account_refusal(route: AccountRoute, symbol: str,
                     disabled: Mapping[AccountName, str] | Mapping[str, str]) -> tuple[str, str] | None:
    if route.account in disabled:
        return "route.account_disabled", f"account {route.account} is disabled: {disabled[route.account]}"
    if route.symbols and symbol not in route.symbols:
        return ("route.account_symbol",
                f"{symbol} is none of account {route.account}'s symbols {', '.join(route.symbols)}")
    for group in route.groups:
        if not group.is_open:
            return "route.group_closed", f"group {group.name} of account {route.account} is switched off"
        if group.symbols and symbol not in group.symbols:
            return "route.group_symbol", f"{symbol} is none of group {group.name}'s symbols {', '.join(group.symbols)}"
    return None


def _kinds(lane: LaneRoute) -> str:
    return ", ".join(kind.value for kind in lane.kinds)
