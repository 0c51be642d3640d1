"""What stands in the way until somebody or something lifts it: kills, frozen accounts, lines that are down."""

import msgspec
from msgspec import Struct

from interlock.model.command import AccountDisabled, AccountEnabled, Enabled, Killed, Reconnecting, Released
from interlock.model.entry import Payload
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.money import Nanos
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    RecordVerified,
    Started,
    StrategyDisabled,
    StrategyEnabled,
)
from interlock.model.report import AccountRead, LineChanged, ReadFailed


class Line(Struct):
    """What one account's broker connection has proved."""

    is_up: bool = False
    connection: int = 0
    ts_proof: Nanos | None = None
    account_id: str | None = None
    environment: str | None = None
    reason: str = ""                   # of the last change
    is_lost: bool = False              # it was up in this process and went down; a person has not said otherwise yet
    is_connecting: bool = False        # a person asked for a new connection, and nothing has been heard since


class _State(Struct):
    killed: dict[str, str]
    kill_epoch: int
    disabled: dict[AccountName, str]
    frozen: dict[AccountName, dict[str, str]]
    lines: dict[AccountName, Line]
    kill_epochs: dict[str, int] = {}
    strategies: list[tuple[LaneName, StrategyName, str, str]] = []


def _reach(lane: str | None, account: str | None) -> str:
    return f"{lane or ''}|{account or ''}"


class Latches:
    """Folded from the journal alone, so that every one of them survives a restart."""

    def __init__(self, accounts: tuple[AccountName, ...]) -> None:
        self._accounts = accounts
        self.kill_epoch = 0
        self.disabled: dict[AccountName, str] = {}
        self.lines = {account: Line() for account in accounts}
        self._killed: dict[str, str] = {}
        self._kill_epochs: dict[str, int] = {}         # when each was last given
        self._strategies: dict[tuple[LaneName, StrategyName], tuple[str, str]] = {}    # that are off: code and why
        self._frozen: dict[AccountName, dict[str, str]] = {account: {} for account in accounts}

    def apply(self, payload: Payload, ts: Nanos) -> None:
        match payload:
            case Killed():
                reach = _reach(payload.lane, payload.account)
                self._killed[reach], self._kill_epochs[reach] = payload.why, payload.epoch
                self.kill_epoch = payload.epoch
            case Released():
                reach = _reach(payload.lane, payload.account)
                self._killed.pop(reach, None)
                self._kill_epochs.pop(reach, None)
                self.kill_epoch = payload.epoch
            case StrategyDisabled():
                self._strategies.setdefault((payload.lane, payload.strategy), (payload.code, payload.why))
            case StrategyEnabled():
                self._strategies.pop((payload.lane, payload.strategy), None)
            case Reconnecting():
                self.lines.setdefault(payload.account, Line()).is_connecting = True
            case Enabled() if payload.latch.startswith("offline."):
                line = self.lines.get(AccountName(payload.latch.removeprefix("offline.")))
                if line is not None:
                    line.is_lost = False
            case ReadFailed():
                self.lines.setdefault(payload.account, Line()).is_connecting = False
            case AccountDisabled():
                self.disabled[payload.account] = payload.why
            case AccountEnabled():
                self.disabled.pop(payload.account, None)
            case AccountFrozen():
                self._frozen.setdefault(payload.account, {})[payload.code] = payload.why
            case AccountThawed():
                self._frozen.get(payload.account, {}).pop(payload.code, None)
            case Started():
                # A new process has proved nothing yet: no line is up and no entry leaves before a whole read.
                for account, line in self.lines.items():
                    line.is_up, line.ts_proof, line.is_connecting = False, None, False
                    reasons = self._frozen.setdefault(account, {})
                    for code in ("start_gate", "unverified"):      # of an earlier process
                        reasons.pop(code, None)
                    if account in self._accounts:
                        reasons["start_gate"] = "no whole read of the account since the start"
                        if payload.unverified:
                            reasons["unverified"] = "the older part of the record is still being checked"
            case RecordVerified():
                for reasons in self._frozen.values():
                    reasons.pop("unverified", None)
            case LineChanged():
                line = self.lines.setdefault(payload.account, Line())
                line.is_lost = line.is_lost or (line.is_up and not payload.is_up)
                line.reason, line.is_connecting = payload.reason, False
                line.is_up, line.connection, line.ts_proof = payload.is_up, payload.connection, ts if payload.is_up else None
                self._frozen.setdefault(payload.account, {})["start_gate"] = "no whole read of the account on this connection"
            case AccountRead():
                line = self.lines.setdefault(payload.account, Line())
                line.account_id, line.environment = payload.account_id, payload.environment
                line.is_connecting = False
                if line.is_up and payload.connection == line.connection:
                    line.ts_proof = ts
                    self._frozen.get(payload.account, {}).pop("start_gate", None)
            case _:
                pass

    def on_proof(self, account: AccountName, ts: Nanos) -> None:
        line = self.lines.get(account)
        if line is not None and line.is_up and (line.ts_proof is None or ts > line.ts_proof):
            line.ts_proof = ts         # never back: a fold meets a proof after the read that came behind it

    def killed_by(self, lane: str, account: str) -> str | None:
        """The latch that reaches this lane and account; None: none does."""
        for reach in ("|", f"{lane}|", f"|{account}", f"{lane}|{account}"):
            if reach in self._killed:
                return f"killed ({_spell(reach)}): {self._killed[reach]}"
        return None

    def is_killed(self, lane: str | None, account: str | None) -> bool:
        return _reach(lane, account) in self._killed

    def is_up(self, account: AccountName) -> bool:
        line = self.lines.get(account)
        return line is not None and line.is_up

    @property
    def latched(self) -> dict[tuple[str | None, str | None], tuple[str, int]]:
        """What is killed, by lane and account: why, and the epoch of the last kill of that reach."""
        return {(lane or None, account or None): (why, self._kill_epochs.get(reach, 0))
                for reach, why in self._killed.items() for lane, _, account in (reach.partition("|"),)}

    @property
    def strategies_off(self) -> dict[tuple[LaneName, StrategyName], tuple[str, str]]:
        """Strategies that are off until a person enables them, each with the code and the reason."""
        return dict(self._strategies)

    def strategy_off(self, lane: str, strategy: str) -> str | None:
        """Why a strategy may enter nothing, of whatever kind it is; None: it may."""
        found = self._strategies.get((LaneName(lane), StrategyName(strategy)))
        return None if found is None else found[1]

    @property
    def kills(self) -> dict[str, str]:
        """What is killed, spelled out, and why."""
        return {_spell(reach): why for reach, why in self._killed.items()}

    def frozen_by(self, account: AccountName) -> str | None:
        reasons = self._frozen.get(account)
        return "; ".join(f"{code}: {why}" for code, why in sorted(reasons.items())) if reasons else None

    def freezes(self, account: AccountName) -> dict[str, str]:
        """Why entries of the account stand, by code."""
        return dict(self._frozen.get(account, {}))

    def is_frozen_for(self, account: AccountName, code: str) -> bool:
        return code in self._frozen.get(account, {})

    def snapshot(self) -> bytes:
        strategies = [(lane, name, code, why) for (lane, name), (code, why) in self._strategies.items()]
        return msgspec.msgpack.encode(_State(self._killed, self.kill_epoch, self.disabled, self._frozen, self.lines,
                                             self._kill_epochs, strategies))

    def restore(self, body: bytes) -> None:
        state = msgspec.msgpack.decode(body, type=_State)
        self._killed, self.kill_epoch, self.disabled = state.killed, state.kill_epoch, state.disabled
        # One that is configured no more keeps what stops it, until it is configured again.
        self._frozen = {**{account: {} for account in self._accounts}, **state.frozen}
        self.lines = {**{account: Line() for account in self._accounts}, **state.lines}
        self._kill_epochs = state.kill_epochs
        self._strategies = {(lane, name): (code, why) for lane, name, code, why in state.strategies}


def _spell(reach: str) -> str:
    lane, _, account = reach.partition("|")
    return " ".join(part for part in (f"lane {lane}" if lane else "", f"account {account}" if account else "") if part) \
        or "everything"
