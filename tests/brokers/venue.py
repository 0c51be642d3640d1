"""A small real broker: JSON on a wire that counts its bytes, and a book that fills what it is told to fill."""

import asyncio
from decimal import Decimal

import msgspec

from interlock.errors import MalformedMessage, NotSent, OutcomeUnknown
from interlock.model.clearance import legs_content
from interlock.model.ids import ExecutionId
from interlock.model.instrument import INSTRUMENTS
from interlock.model.report import AccountRead, BrokerPosition, OrderFilled, OrderMissing
from interlock.model.view import Definition
from interlock.ports import Capabilities, Encoded


def define(symbol, **changes):
    """An instrument as the venue tells it: as it is, unless it is told otherwise."""
    ours = INSTRUMENTS[symbol]
    return Definition(**{"instrument": symbol, "tick": ours.tick, "lot": ours.lot, "multiplier": ours.multiplier,
                         "currency": ours.currency, **changes})


class SmallBroker:
    """`lies` alters the message after encoding, as a faulty codec would; `outage` is raised by the next write."""

    def __init__(self, clock):
        self.wire, self.clock = [], clock
        self.queue = []
        self.positions = {}
        self.lies = None
        self.outage = None
        self.cancelled = []
        self.account_id = "P-1"
        self.executions = 0
        self.definitions = {name: define(name) for name in INSTRUMENTS}
        self.endpoint = "paper"

    @property
    def bytes(self):
        return sum(map(len, self.wire))

    @property
    def capabilities(self):
        return Capabilities(has_native_brackets=True, has_replace=True, visibility_delay=1_000_000_000)

    def encode(self, order):
        message = {"account": order.account, "symbol": order.venue_symbol, "replaces": order.replaces or "",
                   "legs": [list(leg) for leg in legs_content(order)]}
        if self.lies is not None:
            self.lies(message)
        return Encoded(order.account, order.client_order_id, msgspec.json.encode(message))

    def read_back(self, body):
        try:
            message = msgspec.json.decode(body)
            legs = tuple((*leg[:-1], "1" if leg[-1] else "") for leg in message["legs"])
            return message["account"], message["symbol"], legs, message["replaces"]
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            raise MalformedMessage(f"small: {error}") from None

    async def place(self, order):
        await self._write(b"NEW ", order)

    async def modify(self, order):
        await self._write(b"MOD ", order)

    async def _write(self, verb, order):
        if isinstance(self.outage, NotSent):
            raise self.outage
        self.wire.append(verb + order.body)
        await asyncio.sleep(0)
        if isinstance(self.outage, OutcomeUnknown):
            raise self.outage

    async def cancel(self, account, client_order_id):
        self.cancelled.append(client_order_id)

    async def lookup(self, account, client_order_id):
        return OrderMissing(account, client_order_id, self.clock())

    async def read(self, account):
        return AccountRead(account, self.account_id, Decimal(50_000), "USD",
                           tuple(BrokerPosition(name, quantity, Decimal("18000")) for name, quantity in
                                 self.positions.items()), (), (), self.clock(), 1, definitions=tuple(self.definitions.values()),
                           endpoint=self.endpoint)

    def drain(self):
        queue, self.queue = self.queue, []
        return queue

    async def reports(self):
        for report in self.drain():
            yield report

    async def reconnect(self):
        pass

    async def close(self):
        self.queue.clear()

    def fills(self, leg, instrument, price, quantity=None, account="paper-1", execution=None):
        """The venue fills a leg and tells so."""
        self.executions += 1
        quantity = leg.quantity if quantity is None else quantity
        self.positions[instrument] = self.positions.get(instrument, Decimal(0)) + quantity * leg.side.sign
        self.queue.append(OrderFilled(
            account, leg.client_order_id, ExecutionId(execution or f"e{self.executions}"), instrument, leg.side,
            quantity, Decimal(price), Decimal(0), self.clock()))
