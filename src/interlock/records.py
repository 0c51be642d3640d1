"""A state directory opened from Python, read-only, beside a running engine or without one: typed entries, and what they
add up to.

>>> from interlock.records import Records                                    # doctest: +SKIP
>>> with Records.open("~/interlock") as records:
...     refused = [verdict for verdict in records.verdicts() if not verdict.is_cleared]
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cache
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, get_args

import msgspec

from interlock.brokers.codes import CODES as BROKER_CODES
from interlock.config import build
from interlock.config.load import from_canonical
from interlock.config.schema import Config
from interlock.engine.codes import CODES as ENGINE_CODES
from interlock.engine.step import Begun, Engine, Kept, unpack
from interlock.errors import ConfigError, InputError, JournalDamaged, StorageError
from interlock.execution.codes import EXECUTION
from interlock.execution.exposure import position_key
from interlock.gate.codes import CODES as GATE_CODES
from interlock.gate.reevaluate import reevaluate
from interlock.intake.stage import Intake
from interlock.model.account import ClosedTrade, Position, Truth, lane_truth
from interlock.model.codes import INTAKE, PAGE, RESCUE, Code
from interlock.model.codes import catalogue as compose_catalogue
from interlock.model.entry import Entry, Payload, Raw
from interlock.model.ids import AccountName
from interlock.model.money import plain
from interlock.model.order import PROFILES, Closed, OrderRecord
from interlock.model.record import Attempt, CancelRequested, ConfigRead, Header, IntentAbandoned, Started
from interlock.model.report import OrderAccepted, OrderCancelled, OrderFilled, OrderRejected, WriteRefused, WriteUnknown
from interlock.model.signal import AlertAccepted, AlertDuplicate, AlertRefused, Intent, Purpose, RouteRefused, Side
from interlock.model.verdict import Allow, Cleared, Refuse, Verdict
from interlock.routing.codes import ROUTING
from interlock.storage.sqlite.store import SqliteStore

JOURNAL: Final = "journal.db"


def journal_path(directory: Path) -> Path:
    """Where the journal of a state directory stands. Raises StorageError when nothing has run there yet."""
    path = directory / JOURNAL
    if not path.exists():
        raise StorageError(f"{directory} has no journal yet; `interlock run --state {directory}` begins one")
    return path


@cache
def build_digest() -> str:
    """SHA-256 over the source of this build, file by file: what a verdict's build is compared with."""
    digest = hashlib.sha256()
    root = Path(str(resources.files("interlock")))
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def catalogue() -> list[Code]:
    """Every reason code, room by room."""
    return list(compose_catalogue(INTAKE, PAGE, RESCUE, ROUTING, GATE_CODES, BROKER_CODES, EXECUTION, ENGINE_CODES).values())


class Records:
    """One journal, opened for reading. What is asked is folded from the last snapshot on."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._engine: Engine | None = None
        self._configs: dict[str, Config] = {}

    @classmethod
    def open(cls, directory: Path | str) -> Self:
        """Raises StorageError when there is no journal or it cannot be read, JournalDamaged when it is damaged."""
        return cls(SqliteStore(journal_path(Path(directory).expanduser()), read_only=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._store.close()

    # -- entries

    def entries(self, from_seq: int = 1) -> Iterator[Entry]:
        """Every entry from `from_seq` on, checked and decoded."""
        for raw in self._store.raw(from_seq):
            yield raw.decode()

    def verdicts(self) -> Iterator[Verdict]:
        """Every judgement, oldest first."""
        for entry in self.entries():
            if isinstance(entry.payload, Verdict):
                yield entry.payload

    def tail(self, last: int, kind: str | None = None) -> list[dict[str, Any]]:
        """The last entries (of one kind) as plain values, oldest first. Raises InputError for a kind that there is not."""
        kinds = sorted(str(each.__struct_config__.tag) for each in get_args(Payload))
        if kind is not None and kind not in kinds:
            raise InputError(f"no entry is of kind {kind!r}; there are {', '.join(kinds)}")
        seq = self._store.head()[0]
        found: deque[dict[str, Any]] = deque(maxlen=last)
        for entry in self.entries(1 if kind else max(1, seq - last + 1)):
            if kind is None or entry.kind == kind:
                found.append({"seq": entry.seq, "ts": entry.ts, "kind": entry.kind, "cause": entry.cause,
                              "hash": entry.hash.hex(), "payload": msgspec.to_builtins(entry.payload)})
        return list(found)

    @property
    def header(self) -> Header:
        entry = next(self.entries(), None)
        if entry is None or not isinstance(entry.payload, Header):
            raise JournalDamaged("entry 1: expected the journal's header")
        return entry.payload

    def config(self, digest: str | None = None) -> Config:
        """The configuration with that digest, or the one in force. Raises ConfigError when the journal has none."""
        if digest is None:
            snapshot = self._snapshot()
            begun, first = (Begun(), 1) if snapshot is None else (snapshot[1].begun, snapshot[0] + 1)
            for raw in self._config_entries(first):
                begun.apply(raw.decode().payload)
            if begun.config is None:
                raise ConfigError("the journal holds no configuration")
            return from_canonical(begun.config.text)
        if digest not in self._configs:
            for raw in self._config_entries(1):
                payload = raw.decode().payload
                if isinstance(payload, ConfigRead):
                    self._configs[payload.digest] = from_canonical(payload.text)
        try:
            return self._configs[digest]
        except KeyError:
            raise ConfigError(f"the journal holds no configuration {digest[:12]}") from None

    def _config_entries(self, first: int) -> Iterator[Raw]:
        return (raw for raw in self._store.raw(first) if b"config_read" in raw.payload[:24])

    # -- what they add up to

    @property
    def engine(self) -> Engine:
        """The core's state, folded from the record. It has no signer: it can be read, and can clear nothing."""
        if self._engine is None:
            header, config = self.header, self.config()
            engine = Engine(build.setup(config, digest="", epoch=0, state_id=header.state_id, clock=header.clock,
                                        is_simulated=True, fed=()), None)
            snapshot = self._snapshot()
            if snapshot is not None:
                engine.restore(snapshot[1])
            for entry in self.entries(1 if snapshot is None else snapshot[0] + 1):
                engine.apply(entry.payload, entry.ts)
            self._engine = engine
        return self._engine

    @property
    def intake(self) -> Intake:
        """The intake's state: fires and what repeats are recognised by."""
        stage = build.intake_stage(self.config(), {})
        snapshot = self._snapshot()
        if snapshot is not None:
            stage.restore(snapshot[1].intake)
        for entry in self.entries(1 if snapshot is None else snapshot[0] + 1):
            stage.apply(entry.payload, entry.ts)
        return stage

    def _snapshot(self) -> tuple[int, Kept] | None:
        """The seq and parts of the last snapshot; None where there is none that this build can read."""
        found = self._store.latest_snapshot()
        kept = None if found is None else unpack(found.body)
        return None if found is None or kept is None else (found.seq, kept)

    def orders(self) -> list[dict[str, Any]]:
        """Every order, oldest first, in the words of the command line."""
        return [order_row(record) for record in self.engine.execution.orders.records()]

    def positions(self) -> list[dict[str, Any]]:
        """Every open position with the stops that are live for it at the venue."""
        return position_rows(self.engine)

    def trades(self) -> list[dict[str, Any]]:
        """Every closed round trip, oldest first."""
        return [trade_row(entry.payload) for entry in self.entries() if isinstance(entry.payload, ClosedTrade)]

    def explain(self, identity: str) -> dict[str, Any]:
        """The story of a signal, a client order or an entry, with every verdict re-evaluated bit for bit."""
        signals, seqs = self._find(identity)
        story: list[str] = []
        verdicts: list[dict[str, Any]] = []
        orders: set[str] = set()
        build_then = ""
        for raw in self._store.raw():
            # Looked at as bytes first: decoding a long record whole would be most of the work.
            if not raw.is_host and raw.seq not in seqs and not any(name.encode() in raw.payload for name in (*signals, *orders)):
                continue
            entry = raw.decode()
            payload = entry.payload
            if isinstance(payload, Started):
                build_then = payload.build
            if isinstance(payload, Attempt) and payload.order.signal_id in signals:
                orders.update(leg.client_order_id for leg in payload.order.legs)
            if getattr(payload, "signal_id", None) not in signals and entry.seq not in seqs \
                    and getattr(payload, "client_order_id", None) not in orders:
                continue
            if isinstance(payload, Verdict):
                verdicts.append(self._explained(entry.seq, payload, build_then))
            else:
                story.append(f"{entry.seq} {entry.kind}: {_told(payload)}")
        return {"id": identity, "build": build_digest(), "story": story, "verdicts": verdicts}

    def _find(self, identity: str) -> tuple[set[str], set[int]]:
        if identity.isdigit() and len(identity) < 18:
            seq = int(identity)
            for entry in self.entries(seq) if 0 < seq <= self._store.head()[0] else ():
                found = getattr(entry.payload, "signal_id", None)
                order = getattr(entry.payload, "client_order_id", None)
                return ({found} if found else self._find(order)[0] if order else set()), {seq}
            raise InputError(f"the journal has no entry {seq}; the last one is {self._store.head()[0]}")
        for entry in self.entries():
            if isinstance(entry.payload, Attempt) and any(leg.client_order_id == identity for leg in entry.payload.order.legs):
                return {entry.payload.order.signal_id}, set()
        return {identity}, set()

    def _explained(self, seq: int, verdict: Verdict, build_then: str) -> dict[str, Any]:
        registry = build.setup(self.config(verdict.config), digest="", epoch=0, state_id="", clock="wall",
                               is_simulated=True, fed=()).registry
        checks = registry.checks(PROFILES[verdict.asked.intent.purpose], verdict.asked.intent.source)
        changed = reevaluate(verdict, checks, registry.rules)
        result, intent = verdict.result, verdict.asked.intent
        return {
            "seq": seq, "signal_id": verdict.signal_id, "account": verdict.account, "profile": verdict.profile.value,
            "instrument": result.sized.instrument, "side": intent.side.value, "quantity": plain(result.sized.quantity),
            "result": "cleared" if isinstance(result, Cleared) else "refused",
            "code": None if isinstance(result, Cleared) else result.code,
            "reason": None if isinstance(result, Cleared) else result.reason,
            "checks": [check_row(answer.check, answer.verdict) for answer in verdict.answers],
            "view": msgspec.to_builtins(verdict.view), "config": verdict.config,
            "build": build_then, "is_same_build": build_then == build_digest(),
            "differences": [{"check": change.check, "recorded": change.recorded, "now": change.now} for change in changed],
        }


# -- rows, as the command line and the page have them


def order_row(record: OrderRecord) -> dict[str, Any]:
    state = record.state
    return {"client_order_id": record.leg.client_order_id, "signal_id": record.signal_id, "account": record.account,
            "instrument": record.instrument, "side": record.leg.side.value, "quantity": plain(record.leg.quantity),
            "filled": plain(record.filled), "state": state.__struct_config__.tag,
            "outcome": state.outcome.value if isinstance(state, Closed) else None, "purpose": record.leg.purpose.value,
            "type": record.leg.type.value, "limit": _price(record.leg.limit), "stop": _price(record.leg.stop),
            "average_price": _price(record.average_price), "lane": record.lane, "strategy": record.strategy,
            "generation": record.generation, "ts_created": record.ts_created}


def protected(engine: Engine, position: Position) -> Decimal:
    """The quantity of stops that the venue has confirmed live for a position."""
    side = Side.SELL if position.quantity > 0 else Side.BUY
    key = position_key(position.account, position.instrument)
    return engine.execution.orders.covering(key, Purpose.PROTECT, side)[0]


def position_rows(engine: Engine) -> list[dict[str, Any]]:
    return [{"account": position.account, "instrument": position.instrument, "quantity": plain(position.quantity),
             "protected": plain(protected(engine, position)), "average_price": plain(position.average_price),
             "stop": _price(position.stop), "target": _price(position.target), "strategy": position.strategy,
             "lane": position.lane, "signal_id": position.signal_id} for position in engine.ledger.positions()]


def trade_row(trade: ClosedTrade) -> dict[str, Any]:
    return {"account": trade.account, "instrument": trade.instrument, "lane": trade.lane, "strategy": trade.strategy,
            "signal_id": trade.signal_id, "side": trade.side.value, "quantity": plain(trade.quantity),
            "entry_price": plain(trade.entry_price), "exit_price": plain(trade.exit_price), "gross": plain(trade.gross),
            "commission": plain(trade.commission), "net": plain(trade.net), "risk": plain(trade.risk),
            "r_multiple": plain(round(trade.r_multiple, 4)), "is_stop_out": trade.is_stop_out, "opened": trade.ts_opened,
            "closed": trade.ts_closed}


def check_row(check: str, answer: Any) -> dict[str, Any]:
    """One check's answer in words: allow, refuse, not_applicable, not_required or not_evaluated."""
    return {"check": check, "answer": answer.__struct_config__.tag, "code": answer.code if isinstance(answer, Refuse) else None,
            "reason": None if isinstance(answer, Allow) else answer.reason,
            "numbers": answer.numbers if isinstance(answer, Allow | Refuse) else {}}


def status_rows(config: Config, engine: Engine, fires: dict[Any, Any], *, truths: Mapping[AccountName, tuple[str, str]]
                ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Lanes and accounts as `status` tells them; `truths` are label and evidence by account."""
    mode, disabled = config.desk.mode, engine.latches.disabled
    lanes = []
    for name, lane in config.lanes.items():
        left = fires.get(name, {})
        alerts = dict.fromkeys(row.strategy for row in lane.alerts)
        labels = [truths.get(AccountName(each), (Truth.UNKNOWN.value, ""))[0] for each in lane.accounts]
        tier, reasons = engine.health.shown(lane=name)
        lanes.append({"name": name, "mode": mode, "truth": lane_truth(labels), "tier": tier, "tier_reasons": list(reasons),
                      "accounts": list(lane.accounts), "strategies": [
            *({"name": strategy, "kind": entry.kind, "fires_left": None} for strategy, entry in lane.strategies.items()),
            *({"name": strategy, "kind": "alerts", "fires_left": left.get(strategy)} for strategy in alerts)]})
    accounts: list[dict[str, Any]] = []
    for account in map(AccountName, config.accounts):
        line = engine.latches.lines[account]
        label, evidence = truths.get(account, (Truth.UNKNOWN.value, "no engine is running"))
        balance: Decimal | None = engine.ledger.balance(account)
        why = disabled.get(account) or engine.latches.frozen_by(account)
        tier, reasons = engine.health.shown(account=account)
        accounts.append({"name": account, "account_id": line.account_id, "mode": mode, "truth": label, "evidence": evidence,
                         "tier": tier, "tier_reasons": list(reasons),
                         "enabled": account not in disabled, "why": why, "balance": None if balance is None else plain(balance)})
    return lanes, accounts


def _price(value: Decimal | None) -> str | None:
    return None if value is None else plain(value)


def _told(payload: Any) -> str:
    match payload:
        case AlertAccepted():
            return f"{payload.alert.action.value} {payload.instrument} by {payload.alert.strategy}"
        case AlertRefused() | AlertDuplicate():
            return f"{payload.code}: {payload.reason}"
        case Intent():
            return f"{payload.purpose.value} {payload.side.value} {payload.instrument}, stop {payload.stop}: {payload.why}"
        case Attempt():
            order = payload.order
            legs = "; ".join(f"{leg.purpose.value} {leg.side.value} {plain(leg.quantity)} {leg.type.value}"
                             + (f" {plain(price)}" if (price := leg.limit or leg.stop) else "") for leg in order.legs)
            return f"{order.account} {order.client_order_id}: {order.instrument} {legs}"
        case OrderFilled():
            return (f"{payload.account} {payload.client_order_id}: filled, {payload.side.value} {plain(payload.quantity)} "
                    f"{payload.instrument} at {plain(payload.price)}")
        case OrderAccepted() | OrderCancelled() | OrderRejected() | WriteRefused() | WriteUnknown() | CancelRequested():
            why = getattr(payload, "reason", "") or getattr(payload, "why", "")
            return f"{payload.account} {payload.client_order_id}" + (f": {why}" if why else "")
        case ClosedTrade():
            return (f"{payload.account} {payload.instrument}: {payload.side.value} {plain(payload.quantity)} from "
                    f"{plain(payload.entry_price)} to {plain(payload.exit_price)}, net {plain(payload.net)}")
        case IntentAbandoned():
            return f"{payload.account or 'every account'}: [{payload.code}] {payload.why}"
        case RouteRefused():
            return f"{payload.account or payload.lane}: [{payload.code}] {payload.reason}"
        case _:
            text = str(msgspec.to_builtins(payload))
            return text if len(text) <= 200 else text[:197] + "..."
