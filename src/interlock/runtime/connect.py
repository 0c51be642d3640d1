"""Connecting to venues: what a desk is given of each, and how the configured ones come about. The one place to put others in.

A venue that lives in this process is moved by the engine clock; one behind a socket moves by itself.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Protocol, runtime_checkable

from interlock.brokers.paper.frames import DefinitionFrame
from interlock.brokers.paper.paper import Paper
from interlock.brokers.paper.remote import RemotePaper
from interlock.brokers.paper.venue import define
from interlock.config import build, secrets
from interlock.config.schema import Broker as BrokerSection
from interlock.config.schema import Config
from interlock.engine.setup import Setup
from interlock.errors import ConfigError
from interlock.model.ids import AccountName
from interlock.model.instrument import Instrument
from interlock.model.market import Bar, MarketState, Proof, Quote, Trade
from interlock.model.money import Nanos
from interlock.ports import Broker, Capabilities
from interlock.runtime.clock import WALL, Clock

MarketMessage = Quote | Trade | MarketState | Bar


@runtime_checkable
class Venue(Protocol):
    """One venue connection with the accounts it serves. SafeBroker is put before `broker`, whose reports are drained."""

    @property
    def accounts(self) -> tuple[AccountName, ...]: ...

    @property
    def broker(self) -> Broker: ...

    @property
    def is_simulator(self) -> bool:
        """Whether it is our own paper venue or a local simulator: no real account stands behind it."""
        ...

    async def open(self) -> None:
        """Make the first connection, once, before anything else. The broker's reports then begin with a LineChanged for each
        account: a venue that cannot be reached is a line that is down. Raises ConfigError for one of the other mode."""
        ...

    def ping(self, ts: Nanos) -> list[Proof]:
        """Called each second of wall time: signs of life that came since, per account."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class LocalVenue(Venue, Protocol):
    """A venue in this process, which the engine clock and the desk's own market move."""

    def on_market(self, message: MarketMessage) -> None: ...

    def recall(self, message: MarketMessage) -> None: ...

    def advance(self, ts: Nanos) -> None: ...

    def next_due(self) -> Nanos | None: ...


class Connector(Protocol):
    """Makes the venues of a configuration; connects none of them. `wake` is called when a report has arrived by itself."""

    def __call__(self, config: Config, setup: Setup, directory: Path | None, clock: Clock, wake: Callable[[], None]
                 ) -> Sequence[Venue]: ...


def connect_configured(config: Config, setup: Setup, directory: Path | None, clock: Clock, wake: Callable[[], None]
                       ) -> Sequence[Venue]:
    """The venues of `[brokers]`, each with its accounts; `directory` None keeps no book. Raises ConfigError."""
    table, venues = dict(setup.instruments), list[Venue]()
    for name, section in config.brokers.items():
        accounts = {AccountName(account): entry for account, entry in config.accounts.items() if entry.broker == name}
        if not accounts:
            continue
        if section.kind == "loopback":
            if directory is None:
                raise ConfigError(f"brokers.{name}: a replay reaches no venue outside; use a broker of kind \"paper\" for it")
            token = secrets.require(secrets.load(directory), section.token, f"brokers.{name}.token")
            venues.append(RemotePaper(
                table, tuple(accounts), host=section.host, port=section.port, token=token.reveal(),
                capabilities=capabilities(section), timeout=section.timeout_ms / 1000, wake=wake, defined=defined(config, setup),
                is_live_expected=config.desk.mode == "live"))
            continue
        balances: dict[str, Decimal] = {account: entry.balance for account, entry in accounts.items()}
        venues.append(Paper(
            table, balances, path=None if directory is None else directory / f"{name}-book.db",
            rules=build.matching_rules(section), plan=build.faults(section), capabilities=capabilities(section), clock=clock,
            definitions=definitions(section, table), defined=defined(config, setup), is_travelling=clock.kind == WALL))
    return venues


def capabilities(section: BrokerSection) -> Capabilities:
    return Capabilities(has_native_brackets=section.has_native_brackets, has_replace=section.has_replace,
                        visibility_delay=section.visibility_delay_ms * build.MILLISECOND)


def definitions(section: BrokerSection, table: dict[str, Instrument]) -> dict[str, DefinitionFrame]:
    """What the paper venue is configured to tell of an instrument otherwise than it trades it."""
    told = {}
    for symbol, entry in section.definitions.items():
        if symbol not in table:
            raise ConfigError(f"brokers: definitions.{symbol}: no instrument is called so")
        plain = define(symbol, table[symbol])
        told[symbol] = DefinitionFrame(
            symbol=symbol, tick=entry.tick or plain.tick, lot=entry.lot or plain.lot,
            multiplier=entry.multiplier or plain.multiplier, currency=entry.currency or plain.currency,
            expiry=entry.ts_of("expires"), roll=entry.ts_of("rolls"))
    return told


def defined(config: Config, setup: Setup) -> frozenset[str]:
    """Of which instruments an account's answer shall hold the definition: those that may be traded, and their micros."""
    named = {symbol for symbol, _ in setup.watched} | {seat.instrument.symbol for seat in setup.seats}
    for lane in config.lanes.values():
        named.update(row.instrument for row in lane.alerts)
    return frozenset(named | {setup.instruments[symbol].micro or symbol for symbol in named})
