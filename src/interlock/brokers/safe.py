"""SafeBroker: the last room before the wire. Nothing else calls a broker's `place` or `modify`.

It takes a clearance and believes nothing besides: not the engine, whose positions and quotes it does not see, and not
the codec, whose bytes it reads back. Whatever is missing, unreadable or broken refuses before a byte leaves.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol, runtime_checkable
from zoneinfo import ZoneInfo

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from interlock.brokers.egress import Egress
from interlock.brokers.exposure import AccountBook
from interlock.brokers.quotes import MarketInput, QuoteCache
from interlock.errors import MalformedMessage, NotCleared, NotSent, StorageError, Unsupported
from interlock.model.clearance import FORMAT, Clearance, Content, Epochs, legs_content, verify
from interlock.model.ids import AccountName, ClientOrderId
from interlock.model.instrument import Instrument
from interlock.model.limits import SafeLimits
from interlock.model.market import Bar, Provenance, Quality, Quote
from interlock.model.money import MINUTE, SECOND, Nanos
from interlock.model.order import PROFILES, Leg, Order, Profile
from interlock.model.report import AccountRead, LineChanged, OrderFound, OrderMissing, Report
from interlock.model.signal import Purpose, Side
from interlock.model.view import Limits
from interlock.ports import Broker, Capabilities, Confirmations, Encoded, EpochReader

LIFE_MAX: Final[Nanos] = 2 * SECOND
BEAT_AGE_MAX: Final[Nanos] = 10 * SECOND
"""How long ago the decision loop may have come round, on the clock that counts suspend."""
LIVE: Final = "live"
IDS_MAX: Final = 100_000
"""Client order ids remembered as written; the oldest are forgotten first."""

_FIELDS: Final = ("client_order_id", "role", "purpose", "side", "quantity", "type", "limit", "stop", "time_in_force",
                  "reduce_only")


class SafeRules(Struct, frozen=True, kw_only=True):
    """The numbers of the last room. Its collars lie just outside the gate's, so that a refusal here means a fault."""

    quote_age_max: Nanos = 2 * SECOND
    collar_share: Decimal = Decimal("0.02")
    wide_collar_share: Decimal = Decimal("0.25")
    window: Nanos = MINUTE             # of the market's path that an entry is held against
    window_share: Decimal = Decimal("0.05")


class AccountFacts(Struct, frozen=True, kw_only=True):
    """What is known of an account apart from the engine.

    `is_paper` is true for the built-in paper venue and local simulators only. `account_id` None takes whatever name the
    broker gives; `venue_symbols` None leaves the spelling to the codec. `mode` is the desk's: paper or live.
    """

    is_paper: bool
    account_id: str | None = None
    venue_symbols: Mapping[str, str] | None = None
    mode: str = "paper"


@runtime_checkable
class Draining(Protocol):
    """A broker whose reports can be taken without an event loop."""

    def drain(self) -> list[Report]: ...


class SafeBroker:
    """A broker that takes cleared orders only.

    `trip` is called once per account and day when its daily loss is reached, `halt` once when more has left or filled than
    was cleared; each is expected to latch the kill switch, for the account and for everything.
    """

    def __init__(self, broker: Broker, *, keys: Mapping[Profile, Ed25519PublicKey], state_id: str, epochs: EpochReader,
                 now: Callable[[], Nanos], instruments: Mapping[str, Instrument],
                 limits: Mapping[AccountName, Limits | SafeLimits], accounts: Mapping[AccountName, AccountFacts],
                 rules: SafeRules | None = None, trip: Callable[[AccountName, str], None] | None = None,
                 day_end: Callable[[Nanos], Nanos] | None = None, confirmations: Confirmations | None = None,
                 halt: Callable[[str], None] | None = None, beat_age: Callable[[], Nanos] | None = None,
                 own_lease: Callable[[], int] | None = None) -> None:
        self._broker = broker
        self._keys, self._state_id, self._epochs, self._now = dict(keys), state_id, epochs, now
        self._instruments, self._limits, self._facts = instruments, limits, accounts
        self._rules = rules or SafeRules()
        self._trip, self._day_end = trip, day_end or day_end_chicago
        self._halt, self._is_halted = halt, False
        self._beat_age = beat_age
        self._own_lease = own_lease        # the epoch that this process began; None: nobody else could write
        self._quotes = QuoteCache(instruments, self._rules.window)
        self._books = {name: AccountBook(instruments, broker.capabilities.visibility_delay) for name in accounts}
        self._sent: dict[AccountName, deque[Nanos]] = {name: deque() for name in accounts}
        self._next_day: dict[AccountName, Nanos] = {}
        self._tripped: dict[AccountName, Nanos] = {}
        self._confirmations = confirmations
        self._endpoints: dict[AccountName, str] = {}       # what the broker itself calls the environment that answered
        self._watched: dict[AccountName, Nanos] = dict.fromkeys(accounts, 0)
        self._nonces: dict[tuple[str, int], Nanos] = {}
        self._ids: dict[ClientOrderId, None] = {}
        self._permitted: dict[ClientOrderId, None] = {}    # stops that may be cancelled, so that a repeat may be too
        self._drain = broker.drain if isinstance(broker, Draining) else None
        self._heard: list[Report] = []                     # taken in before a write, not handed on yet
        self.egress = Egress()

    @property
    def capabilities(self) -> Capabilities:
        return self._broker.capabilities

    # -- orders

    async def place(self, order: Order, clearance: Clearance) -> None:
        """Write a cleared order (or, where it names what it replaces, its replacement) once.

        Raises NotCleared before any byte leaves, NotSent or OutcomeUnknown from the broker.
        """
        try:
            self._hear()
            encoded, legs, reduces = self._admit(order, clearance)
            self._charge(order, clearance.content, legs, reduces)
        except NotCleared:
            raise
        except Unsupported as error:
            raise NotCleared("safe.unsupported", str(error)) from error
        except MalformedMessage as error:
            raise NotCleared("safe.unreadable", f"the encoded order cannot be read back: {error}") from error
        except Exception as error:
            raise NotCleared("safe.check_failed", repr(error)) from error
        # The last thing that `_admit` did was to read the epochs. From there to the first suspension inside the
        # broker's own write nothing else can run, so no kill falls between them. An await here would open that gap.
        write = self._broker.place if order.replaces is None else self._broker.modify
        try:
            await write(encoded)
        except NotSent:
            self._books[order.account].never_left(order)
            for leg in order.legs:
                self._ids.pop(leg.client_order_id, None)
            raise

    async def cancel(self, account: AccountName, client_order_id: ClientOrderId, permit: str = "") -> None:
        """Ask for a cancel: never throttled, needs no clearance.

        The last protection of a position goes only with a permit: a person's, or that of an exit in the journal; and not at
        all once somebody else holds the lease, because what would follow it is refused. Raises NotCleared, NotSent or
        OutcomeUnknown from the broker.
        """
        book = self._books.get(account)
        if book is not None and self._own_lease is not None and book.is_last_protection(client_order_id):
            self._check_own_lease(self._own_lease())
        if permit:
            self._permitted[client_order_id] = None
        elif book is not None and client_order_id not in self._permitted and book.is_last_protection(client_order_id):
            raise NotCleared("safe.last_protection", f"{client_order_id} is the last stop of a position of {account}; "
                             "only a person or a journaled exit may cancel it")
        await self._broker.cancel(account, client_order_id)

    async def lookup(self, account: AccountName, client_order_id: ClientOrderId) -> OrderFound | OrderMissing:
        answer = await self._broker.lookup(account, client_order_id)
        self._observe(answer)
        return answer

    async def read(self, account: AccountName) -> AccountRead:
        book = self._books.get(account)
        if book is None:
            return await self._broker.read(account)
        meanwhile, read = book.read_begins(), None
        try:
            read = await self._broker.read(account)
            self._endpoints[account] = read.endpoint
        finally:
            book.read_ends(read, meanwhile)
        return read

    async def reports(self) -> AsyncIterator[Report]:
        async for report in self._broker.reports():
            self._observe(report)
            yield report

    def drain(self) -> list[Report]:
        """What has arrived, without an event loop. Raises Unsupported where the broker cannot."""
        if self._drain is None:
            raise Unsupported("this broker's reports need an event loop")
        self._hear()
        if not self._heard:
            return []
        reports, self._heard = self._heard, []
        return reports

    def _hear(self) -> None:
        """Take in what has arrived: the last room may not know less than the process has heard."""
        if self._drain is not None:
            for report in self._drain():
                self._observe(report)
                self._heard.append(report)

    async def reconnect(self) -> None:
        """A new connection; entries wait for a whole read over it. Raises NotSent while the line stays down."""
        await self._broker.reconnect()

    async def close(self) -> None:
        await self._broker.close()

    # -- what it sees for itself

    def on_market(self, message: MarketInput) -> None:
        """The market, as the feed delivers it."""
        self._quotes.on_market(message)
        if isinstance(message, Bar | Quote):
            for account, book in self._books.items():
                if book.holds(message.instrument):
                    self._watch(account, book)

    def _watch(self, account: AccountName, book: AccountBook) -> None:
        """Look at the day's loss of an account whose market moved, at most once a second."""
        now = self._now()
        if now - self._watched[account] >= SECOND:
            self._watched[account] = now
            self._is_loss_reached(account, book)

    def day_pnl(self, account: AccountName) -> Decimal | None:
        """The day's result by its own book; None where a price is missing."""
        return self._books[account].day_pnl(self._mark)

    def _observe(self, report: Report) -> None:
        book = self._books.get(report.account)
        if book is None:
            return
        if isinstance(report, LineChanged):
            if not report.is_up:
                book.lost()
            return
        if isinstance(report, OrderMissing):
            for client_order_id in book.missing(report.client_order_id, report.ts_event):
                self._ids.pop(client_order_id, None)
            return
        fill = book.apply(report)
        if fill is not None:
            self.egress.fill(fill.client_order_id, fill.quantity)
            self._check_egress()
            self._is_loss_reached(report.account, book)

    def _mark(self, symbol: str) -> Decimal | None:
        quote, instrument = self._quotes.quote(symbol), self._instruments.get(symbol)
        if quote is None or instrument is None:
            return None
        return instrument.price(quote.bid + quote.ask) / 2

    # -- the checks, in order

    def _admit(self, order: Order, clearance: Clearance) -> tuple[Encoded, tuple[tuple[str, ...], ...], bool]:
        now = self._now()
        self._check_clearance(order, clearance, now)
        content = clearance.content
        facts = self._facts.get(order.account)
        book = self._books.get(order.account)
        instrument = self._instruments.get(order.instrument)
        if facts is None or book is None or order.account not in self._limits:
            raise NotCleared("safe.account", f"{order.account} is no account of this broker")
        if instrument is None:
            raise NotCleared("safe.instrument", f"{order.instrument} is not defined")
        if facts.venue_symbols is not None and facts.venue_symbols.get(order.instrument) != order.venue_symbol:
            raise NotCleared("safe.venue_symbol", f"{order.instrument} is spelled "
                             f"{facts.venue_symbols.get(order.instrument)!r} here, found {order.venue_symbol!r}")
        encoded = self._broker.encode(order)
        legs = self._check_bytes(encoded, content)
        if not book.was_read:
            raise NotCleared("safe.account_unread", f"the broker has not told what {order.account} holds")
        if facts.account_id is not None and book.account_id != facts.account_id:
            raise NotCleared("safe.account_identity", f"expected account {facts.account_id}, the broker names "
                             f"{book.account_id}")
        self._check_environment(order.account, facts, book, content)
        for leg in order.legs:
            if leg.client_order_id in self._ids or book.is_live(leg.client_order_id):
                raise NotCleared("safe.already_written", f"{leg.client_order_id} was written and may still fill")
            self._check_grid(leg, instrument)
        reduces = content.profile != Profile.ENTER.value
        if reduces:
            self._check_reduces(order, book, instrument)
        else:
            self._check_increases(order, book, facts, instrument, now)
        self._check_epochs(content.epochs, reduces)
        return encoded, legs, reduces

    def _check_environment(self, account: AccountName, facts: AccountFacts, book: AccountBook, content: Content) -> None:
        """Paper and live do not mix, by the broker's own word; and in a live account that no person has confirmed since the
        start nothing is placed but the flatten of a person."""
        endpoint = self._endpoints.get(account)
        if endpoint != facts.mode:
            raise NotCleared("safe.environment", f"the desk is {facts.mode}, the broker of {account} answers from its {endpoint} "
                             "environment")
        if facts.mode == LIVE and content.profile != Profile.FLATTEN.value:
            number = None if self._confirmations is None else self._confirmations.number(account)
            if number is None or number != book.account_id:
                raise NotCleared("safe.unconfirmed", f"no person has confirmed {account} under the number {book.account_id} "
                                 "since the start")

    def _check_clearance(self, order: Order, clearance: Clearance, now: Nanos) -> None:
        if not isinstance(clearance, Clearance):
            raise NotCleared("clearance.absent", f"expected a clearance, found {clearance!r}")
        verify(clearance, self._keys)
        content = clearance.content
        if content.format != FORMAT:
            raise NotCleared("clearance.format", f"expected format {FORMAT}, found {content.format}")
        if content.state_id != self._state_id:
            raise NotCleared("clearance.state", f"signed for state directory {content.state_id}, "
                             f"this is {self._state_id}")
        if not content.issued <= now < content.expires or content.expires - content.issued > LIFE_MAX:
            raise NotCleared("clearance.age", f"good from {content.issued} to {content.expires}, now {now}")
        if content.nonce in self._nonces:
            raise NotCleared("clearance.used",
                             f"attempt {content.attempt} of {content.client_order_id} was used before")
        if PROFILES[order.purpose].value != content.profile:
            raise NotCleared("clearance.purpose", f"profile {content.profile} may not sign purpose "
                             f"{order.purpose.value}")
        for leg in order.legs[1:]:
            if leg.purpose not in (Purpose.PROTECT, Purpose.TARGET):
                raise NotCleared("clearance.purpose", f"a child of purpose {leg.purpose.value}")
        for what, signed, found in (
                ("account", content.account, order.account), ("venue symbol", content.venue_symbol, order.venue_symbol),
                ("instrument", content.instrument, order.instrument), ("legs", content.legs, legs_content(order)),
                ("generation", content.generation, order.generation),
                ("replaces", content.replaces, order.replaces or "")):
            if signed != found:
                raise NotCleared("clearance.content", f"{what}: signed {signed!r}, found {found!r}")

    def _check_bytes(self, encoded: Encoded, content: Content) -> tuple[tuple[str, ...], ...]:
        """Read back what would leave, with the codec's reader, and compare every signed field."""
        account, venue_symbol, legs, replaces = self._broker.read_back(encoded.body)
        for what, signed, found in (
                ("account", content.account, account), ("venue symbol", content.venue_symbol, venue_symbol),
                ("replaces", content.replaces, replaces), ("number of legs", len(content.legs), len(legs)),
                ("key", (content.account, content.client_order_id), (encoded.account, encoded.client_order_id))):
            if signed != found:
                raise NotCleared("safe.bytes_differ", f"{what}: signed {signed!r}, the bytes say {found!r}")
        for signed_leg, leg in zip(content.legs, legs, strict=True):
            expected = (*signed_leg[:-1], "1" if signed_leg[-1] else "")
            if expected != leg:
                name = next((name for name, a, b in zip(_FIELDS, expected, leg, strict=False) if a != b), "fields")
                raise NotCleared("safe.bytes_differ", f"{name} of {signed_leg[0]}: signed {expected!r}, the bytes say "
                                 f"{leg!r}")
        return legs

    @staticmethod
    def _check_grid(leg: Leg, instrument: Instrument) -> None:
        if not instrument.is_on_lot(leg.quantity):
            raise NotCleared("safe.off_lot", f"{leg.quantity} is no positive multiple of the lot {instrument.lot}")
        for price in (leg.limit, leg.stop):
            if price is not None and not instrument.is_on_tick(price):
                raise NotCleared("safe.off_tick", f"{price} is no multiple of the tick {instrument.tick}")

    def _check_reduces(self, order: Order, book: AccountBook, instrument: Instrument) -> None:
        """Reduces by the broker's own word, and within the wide collar; nothing else may refuse it."""
        position = book.position(instrument.symbol)
        reference = self._mark(instrument.symbol) or book.average(instrument.symbol)
        for leg in order.legs:
            if not (leg.quantity <= -position * leg.side.sign):
                raise NotCleared("safe.not_reducing",
                                 f"a {leg.side.value} of {leg.quantity} does not only reduce {position}")
            if reference is not None:      # without one the gate's collar has to do: a stop is better placed than not
                self._check_collar(leg, reference, self._rules.wide_collar_share)

    def _check_increases(self, order: Order, book: AccountBook, facts: AccountFacts, instrument: Instrument,
                         now: Nanos) -> None:
        """Everything that can add exposure: limits, fresh and open market, narrow collar, provenance."""
        symbol, parent = instrument.symbol, order.parent
        if self._beat_age is not None and not 0 <= (age := self._beat_age()) <= BEAT_AGE_MAX:
            raise NotCleared("safe.heartbeat", f"the decision loop came round last {age / SECOND:.1f} s ago, "
                             f"{BEAT_AGE_MAX / SECOND:.0f} s allowed")
        if self.egress.mismatch is not None:
            raise NotCleared("safe.egress_mismatch", f"orders out exceed clearances in: {self.egress.mismatch}")
        if not book.is_read:
            raise NotCleared("safe.account_unread", f"{order.account} was not read since the line came back")
        for leg in order.legs[1:]:
            if leg.side is parent.side or not leg.quantity <= parent.quantity:
                raise NotCleared("safe.bracket_shape", f"{leg.role}: {leg.side.value} {leg.quantity} beside a "
                                 f"{parent.side.value} of {parent.quantity}")
        quote = self._fresh_quote(symbol, now)
        if quote.provenance is not Provenance.LIVE and not facts.is_paper:
            raise NotCleared("safe.price_not_live", f"a {quote.provenance.name.lower()} price moves no real account")
        mid = instrument.price(quote.bid + quote.ask) / 2
        self._check_collar(parent, mid, self._rules.collar_share)
        for leg in order.legs[1:]:
            self._check_collar(leg, mid, self._rules.wide_collar_share)
        self._check_definition(book, instrument, now)
        taken = instrument.price(quote.ask if parent.side is Side.BUY else quote.bid)
        price = taken if parent.limit is None else max(taken, parent.limit)
        self._check_window(parent, taken, instrument, now)
        limits = self._limits[order.account]
        if isinstance(limits, SafeLimits):
            limits = limits.of(instrument, price)
        if symbol not in limits.symbols and not (facts.is_paper and not limits.symbols):
            raise NotCleared("safe.symbol", f"{symbol} is not on the list of {order.account}")
        notional = parent.quantity * price * instrument.multiplier
        if not notional <= limits.notional_per_order:
            raise NotCleared("safe.notional", f"notional {notional}, {limits.notional_per_order} allowed per order")
        worst = book.worst(symbol, parent.side, parent.quantity)
        if not worst <= limits.position_per_symbol:
            raise NotCleared("safe.position", f"{symbol} could reach {worst}, {limits.position_per_symbol} allowed")
        if not len(self._recent(order.account, now)) < limits.orders_per_minute:
            raise NotCleared("safe.order_rate", f"{limits.orders_per_minute} orders in the last minute")
        if self._is_loss_reached(order.account, book):
            raise NotCleared("safe.daily_loss", f"the day's result is {self.day_pnl(order.account)}, the limit "
                             f"{limits.daily_loss}; not known counts as reached")

    @staticmethod
    def _check_definition(book: AccountBook, instrument: Instrument, now: Nanos) -> None:
        """What the broker itself said the instrument is, against what the order was computed with."""
        told = book.definition(instrument.symbol)
        if told is None:
            raise NotCleared("safe.definition_unknown", f"the broker has not told what {instrument.symbol} is")
        for name, ours, theirs in (("tick", instrument.tick, told.tick), ("lot", instrument.lot, told.lot),
                                   ("multiplier", instrument.multiplier, told.multiplier),
                                   ("currency", instrument.currency, told.currency)):
            if ours != theirs:
                raise NotCleared("safe.definition", f"{name} of {instrument.symbol} is {theirs} by the broker's word, {ours} by "
                                 "ours")
        for ends in (told.ts_expiry, told.ts_roll):
            if ends is not None and now >= ends:
                raise NotCleared("safe.expired", f"{instrument.symbol} has expired or is being rolled since {ends}")

    def _check_window(self, leg: Leg, taken: Decimal, instrument: Instrument, now: Nanos) -> None:
        """Where the entry would fill, against where the market has been."""
        reach = self._quotes.reach(instrument.symbol, now)
        if reach is None:
            raise NotCleared("safe.no_quote", f"no quote of {instrument.symbol} has come by")
        low, high = instrument.price(reach[0]) / 2, instrument.price(reach[1]) / 2
        price = taken if leg.limit is None else max(taken, leg.limit) if leg.side is Side.BUY else min(taken, leg.limit)
        for end in (low, high):
            if not abs(price - end) <= self._rules.window_share * end:
                raise NotCleared("safe.window", f"{leg.role} at {price} is more than {self._rules.window_share} away from {end}, "
                                 f"where the market was within {self._rules.window} ns")

    def _fresh_quote(self, symbol: str, now: Nanos) -> Quote:
        quote = self._quotes.quote(symbol)
        if quote is None:
            raise NotCleared("safe.no_quote", f"no quote of {symbol} has come by")
        if quote.fresh_until:
            is_fresh = quote.ts_recv <= now <= quote.fresh_until
        else:
            is_fresh = 0 <= now - quote.ts_recv <= self._rules.quote_age_max
        is_good = quote.quality is Quality.OK or (
            quote.quality is Quality.SYNTH and quote.provenance is not Provenance.LIVE)
        if not is_fresh or not is_good:
            raise NotCleared("safe.quote_old", f"the quote of {symbol} is {now - quote.ts_recv} ns old, "
                             f"{quote.quality.name}")
        if not 0 < quote.bid <= quote.ask:
            raise NotCleared("safe.quote_crossed", f"{symbol}: bid {quote.bid}, ask {quote.ask}")
        if self._quotes.is_shut(symbol):
            raise NotCleared("safe.market_closed", f"the market of {symbol} is closed or halted")
        return quote

    @staticmethod
    def _check_collar(leg: Leg, reference: Decimal, share: Decimal) -> None:
        for price in (leg.limit, leg.stop):
            if price is not None and not abs(price - reference) <= share * reference:
                raise NotCleared("safe.collar", f"{leg.role} at {price} is more than {share} away from {reference}")

    def _check_epochs(self, signed: Epochs, reduces: bool) -> None:
        """Read last, right before the write. What only reduces asks for the lease alone: a kill stops no stop."""
        try:
            current = self._epochs.read()
        except StorageError as error:
            raise NotCleared("safe.epochs_unreadable", f"the epochs cannot be read: {error}") from error
        for name, was, now, binds in (("lease", signed.lease, current.lease, True),
                                      ("kill", signed.kill, current.kill, not reduces),
                                      ("config", signed.config, current.config, not reduces)):
            if binds and was != now:
                raise NotCleared(f"safe.{name}_moved", f"signed under {name} epoch {was}, it is {now}")

    def _check_own_lease(self, own: int) -> None:
        try:
            current = self._epochs.read().lease
        except StorageError as error:
            raise NotCleared("safe.epochs_unreadable", f"the epochs cannot be read: {error}") from error
        if current != own:
            raise NotCleared("safe.lease_moved", f"this process writes under lease epoch {own}, it is {current}")

    # -- the accounts of its own

    def _charge(self, order: Order, content: Content, legs: tuple[tuple[str, ...], ...], reduces: bool) -> None:
        now = self._now()
        while self._nonces and self._nonces[oldest := next(iter(self._nonces))] <= now:
            del self._nonces[oldest]
        self._nonces[content.nonce] = content.expires
        self.egress.accept(content)
        self.egress.write(legs)
        self._check_egress()
        if self.egress.mismatch is not None and not reduces:
            raise NotCleared("safe.egress_mismatch", f"orders out exceed clearances in: {self.egress.mismatch}")
        self._recent(order.account, now).append(now)
        for leg in order.legs:
            self._ids[leg.client_order_id] = None
        while len(self._ids) > IDS_MAX:
            del self._ids[next(iter(self._ids))]
        self._books[order.account].sent(order, now)

    def _check_egress(self) -> None:
        """More out than in stops everything, once: what exactly is wrong is for a person to find out."""
        if self.egress.mismatch is not None and not self._is_halted:
            self._is_halted = True
            if self._halt is not None:
                self._halt(f"orders out exceed clearances in: {self.egress.mismatch}")

    def _recent(self, account: AccountName, now: Nanos) -> deque[Nanos]:
        sent = self._sent[account]
        while sent and now - sent[0] >= MINUTE:
            sent.popleft()
        return sent

    def _is_loss_reached(self, account: AccountName, book: AccountBook) -> bool:
        """Whether the day's loss is at its limit, or not known. Trips the kill switch once a day when it is reached."""
        now = self._now()
        end = self._next_day.get(account)
        if end is None or now >= end:
            if end is not None:
                book.begin_day(self._mark)
            self._next_day[account] = end = self._day_end(now)
        result = book.day_pnl(self._mark)
        if result is None:
            return True
        limit = self._limits[account].daily_loss
        if result > -limit:
            return False
        if self._trip is not None and self._tripped.get(account) != end:
            self._tripped[account] = end
            self._trip(account, f"day's result {result}, SafeBroker's limit {limit}")
        return True


_CHICAGO: Final = ZoneInfo("America/Chicago")


def day_end_chicago(now: Nanos) -> Nanos:
    """When the trading day of `now` ends: the next 17:00 in Chicago, where the futures day turns.

    >>> day_end_chicago(1_700_000_000_000_000_000) // 10**9    # 2023-11-14 16:13:20 there
    1700002800
    """
    here = datetime.fromtimestamp(now // SECOND, UTC).astimezone(_CHICAGO)
    end = here.replace(hour=17, minute=0, second=0, microsecond=0)
    if end <= here:
        end = (end + timedelta(days=1)).replace(hour=17)
    return int(end.astimezone(UTC).timestamp()) * SECOND
