"""The paper broker put together: venue, wire and adapter in one process, as `runtime` moves them."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

from interlock.brokers.paper.adapter import PaperBroker
from interlock.brokers.paper.book import SqliteBook
from interlock.brokers.paper.frames import DefinitionFrame
from interlock.brokers.paper.plan import Plan
from interlock.brokers.paper.venue import PaperVenue
from interlock.brokers.paper.wire import Wire
from interlock.matching import Rules
from interlock.model.ids import AccountName
from interlock.model.instrument import Instrument
from interlock.model.money import Nanos
from interlock.ports import Capabilities, Clock

CAPABILITIES: Final = Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=0)


class Paper:
    """`broker` is the door; `on_market`, `advance`, `next_due` and `ping` are for whoever moves time.

    Args:
        path: the venue's own file; None keeps nothing.
        capabilities: what the venue offers; without native brackets or replacing, `encode` refuses them.
        definitions: what it tells of instruments otherwise than it trades them.
        defined: of which instruments a read holds the definition, beside those that the account holds; None: of all.
        is_travelling: whether the bytes of a request reach the venue a little after they have left (see Wire).
    """

    is_simulator = True

    def __init__(self, instruments: Mapping[str, Instrument], balances: Mapping[str, Decimal], *,
                 path: Path | str | None = None, rules: Rules | None = None, plan: Plan | None = None,
                 capabilities: Capabilities = CAPABILITIES, when_closed: Literal["queue", "reject"] = "queue",
                 clock: Clock | None = None, definitions: Mapping[str, DefinitionFrame] | None = None,
                 defined: Collection[str] | None = None, is_travelling: bool = False) -> None:
        self.accounts = tuple(AccountName(name) for name in balances)
        self.venue = PaperVenue(instruments, balances, book=None if path is None else SqliteBook(path), rules=rules,
                                plan=plan, when_closed=when_closed, visibility=capabilities.visibility_delay,
                                clock=clock, definitions=definitions)
        self.wire = Wire(self.venue, self.venue.schedule, plan, is_travelling=is_travelling)
        self.venue.listen(self.wire.push)
        self.broker = PaperBroker(self.wire, instruments, self.accounts, capabilities, defined)
        self.on_market = self.venue.on_market
        self.recall = self.venue.recall
        self.advance = self.venue.advance
        self.next_due = self.venue.next_due
        self.ping = self.broker.ping

    async def open(self) -> None:
        """A venue in this process is connected as soon as it is there; the reports begin with that."""
        self.broker.tell_line(True, "connected")

    def close(self) -> None:
        """Close the book. The broker's own `close` ends the connection."""
        self.venue.close()

    @property
    def now(self) -> Nanos:
        return self.venue.schedule.now
