"""An independent venue for the simulator: small matching, brackets, and a truth ledger in exact fractions.

It speaks the paper venue's language as bytes and shares no code with it: requests are read by a reader of its own, answers
and reports are written here. No process of the platform can reach its ledger; what happens in it is told to the history.
Every misbehaviour that a plan may ask of a broker is a method or a flag of one call.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import msgspec

from interlock.simulation.history import Event, Nanos, Terms, VenueFill, VenueOrder

ZERO = Fraction(0)
DAY: Nanos = 86_400_000_000_000
SHORT = 12
"""So much of an order's id is left by a venue that shortens it."""

Push = Callable[[str, str, bytes], None]
"""Takes one report: what it tells ("accepted", "fill" ...), the account, its bytes."""

Faults = dict[str, dict[str, Any]]
"""What one call shall do wrong: arguments by verb."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
NO_FAULTS: Faults = {}


def text(value: Fraction) -> str:
    """An exact decimal spelling. Prices and quantities here have one."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled = value * 10**12
    if scaled.denominator != 1:
        scaled = Fraction(round(scaled))
    sign, digits = ("-" if scaled < 0 else ""), str(abs(scaled.numerator)).rjust(13, "0")
    return sign + (digits[:-12] + "." + digits[-12:]).rstrip("0").rstrip(".")


class _Order:
    """One leg as the venue holds it."""

    __slots__ = ("account", "broker", "by", "cap", "children", "entered", "exited", "filled", "group", "id", "is_exit",
                 "is_reduce_only", "is_withheld", "kind", "number", "outcome", "parent", "part", "price", "quantity", "replaces",
                 "role", "side", "state", "symbol", "tif", "ts", "visible")

    def __init__(self, account: str, symbol: str, leg: dict[str, Any], number: int) -> None:
        self.account, self.symbol, self.id, self.number = account, symbol, str(leg["id"]), number
        self.broker = f"V{number:08d}"
        self.side = {"buy": 1, "sell": -1}[leg["side"]]
        self.quantity = self.cap = Fraction(leg["quantity"])
        self.kind, self.role, self.tif = str(leg["type"]), str(leg["purpose"]), str(leg["tif"])
        self.is_exit = str(leg["role"]) != "entry"
        price = leg.get("limit") if self.kind == "limit" else leg.get("stop")
        self.price = None if price is None else Fraction(price)
        self.is_reduce_only = bool(leg.get("reduce", False))
        self.filled = self.entered = self.exited = ZERO
        self.state = "live"                # waiting, live, taking, closed
        self.outcome: str | None = None
        self.parent = ""
        self.group = ""
        self.children: list[str] = []
        self.replaces = ""
        self.part: Fraction | None = None  # only so much fills at the next opportunity
        self.is_withheld = False           # its acknowledgement waits for its first fill
        self.by = "platform"
        self.ts = self.visible = 0

    @property
    def remaining(self) -> Fraction:
        return self.quantity - self.filled


class _Account:
    __slots__ = ("cash", "fills", "name", "number", "positions")

    def __init__(self, name: str, number: str, cash: Fraction) -> None:
        self.name, self.number, self.cash = name, number, cash
        self.positions: dict[str, tuple[Fraction, Fraction]] = {}      # quantity, average price
        self.fills: list[dict[str, Any]] = []


class _Market:
    __slots__ = ("ask", "ask_size", "bid", "bid_size", "is_halted", "is_open", "ts")

    def __init__(self) -> None:
        self.bid = self.ask = ZERO
        self.bid_size = self.ask_size = 0
        self.ts: Nanos = -1
        self.is_open, self.is_halted = True, False


class Venue:
    """One venue with its accounts. Time is handed in with every call and never runs backwards."""

    def __init__(self, terms: Terms, tell: Callable[[Event], None], push: Push, *, accounts: tuple[str, ...] | None = None,
                 name: str = "paper", visibility: Nanos = 0, keeps_reduce_only: bool = True) -> None:
        self.name = name
        self.now: Nanos = 0
        self.visibility = visibility
        self.keeps_reduce_only = keeps_reduce_only
        self._terms, self._tell, self._push = terms, tell, push
        self._accounts = {name: _Account(name, f"V-{name}", terms.accounts[name].cash)
                          for name in (accounts if accounts is not None else tuple(terms.accounts))}
        self._markets = {symbol: _Market() for symbol in terms.contracts}
        self._orders: dict[tuple[str, str], _Order] = {}
        self._open: dict[tuple[str, str], _Order] = {}
        self._withheld: list[tuple[str, str, bytes]] = []
        self._executions = 0
        self._numbers = 0
        self._pings: dict[str, int] = {}
        self._later: list[tuple[Nanos, int, Callable[[], None]]] = []
        self._repeat_execution = ""        # the next execution is told under this one's id
        self._multipliers: dict[str, Fraction] = {}        # what a wrong definition tells
        self.rejects_stops = 0             # how many stops are still to be refused
        self.is_dumb = False               # takes nothing in, answers nothing: a gateway that hangs
        self.environment = "paper_sim"     # what it calls itself

    # -- what the outside asks of its ledger (the simulator, never the platform)

    @property
    def accounts(self) -> tuple[str, ...]:
        return tuple(self._accounts)

    def number(self, account: str) -> str:
        """The account as the venue names it."""
        return self._accounts[account].number

    def renumber(self, account: str, number: str) -> None:
        """The login reaches another account than it did."""
        self._accounts[account].number = number

    def position(self, account: str, symbol: str) -> Fraction:
        return self._accounts[account].positions.get(symbol, (ZERO, ZERO))[0]

    def positions(self) -> dict[tuple[str, str], Fraction]:
        return {(name, symbol): held[0] for name, account in self._accounts.items() for symbol, held in account.positions.items()}

    def open_ids(self, account: str) -> tuple[str, ...]:
        return tuple(order.id for order in self._open.values() if order.account == account)

    def next_due(self) -> Nanos | None:
        return min((due for due, _, _ in self._later), default=None)

    # -- requests

    def handle(self, kind: str, body: bytes, ts: Nanos, faults: Faults = NO_FAULTS) -> bytes:
        """One request as bytes, its answer as bytes."""
        self.advance(ts)
        try:
            found = _decode(body)
            op = found["op"]
        except (msgspec.DecodeError, KeyError, TypeError) as error:
            return self._failed(f"unreadable: {error!r}")
        try:
            if op == "order":
                return self._place(kind, found, faults)
            if op == "cancel":
                return self._cancel(found["account"], found["id"], faults)
            if op == "lookup":
                return self._lookup(found["account"], found["id"])
            if op == "read":
                return self._read(found["account"], faults)
            if op == "ping":
                count = self._pings[found["account"]] = self._pings.get(found["account"], 0) + 1
                return self._answer("pong", account=found["account"], sequence=count)
        except (KeyError, ValueError, ZeroDivisionError) as error:
            return self._failed(f"unreadable: {error!r}")
        return self._failed(f"unknown request {op!r}")

    def _answer(self, kind: str, **fields: Any) -> bytes:
        return _encode({"is": kind, **fields, "ts": self.now})

    def _failed(self, reason: str) -> bytes:
        return self._answer("failed", reason=reason)

    def _place(self, kind: str, found: dict[str, Any], faults: Faults) -> bytes:
        account, symbol, legs = str(found["account"]), str(found["symbol"]), list(found["legs"])
        taken = self._failed("gateway error 502") if "broker.accept_then_error" in faults else self._answer("taken")
        if "broker.truncate_cid" in faults:
            legs = [leg | {"id": str(leg["id"])[:SHORT]} for leg in legs]
        known = [self._orders.get((account, str(leg["id"]))) for leg in legs]
        if any(known):
            for leg, order in zip(legs, known, strict=True):
                self._event("rejected", account, str(leg["id"]), reason="duplicate_client_order_id")
                if order is not None and "broker.dup_without_report" not in faults:
                    self._event("status", account, order.id, order=order.broker, filled=text(order.filled),
                                outcome=order.outcome, live=order.state != "waiting")
            return taken
        reason = self._refusal(kind, account, symbol, legs, str(found.get("replaces", "")))
        if "broker.reject" in faults:
            reason = str(faults["broker.reject"].get("reason", "insufficient margin"))
        if self.rejects_stops and legs[0]["type"] == "stop":
            self.rejects_stops -= 1
            reason = "stop price is through the market"
        orders = []
        for leg in legs:
            self._numbers += 1
            order = _Order(account, symbol, leg, self._numbers)
            order.ts = self.now
            order.visible = self.now + self.visibility + int(faults.get("broker.visibility_delay", {}).get("ns", 0))
            orders.append(order)
        parent = orders[0]
        for child in orders[1:]:
            child.parent, child.group, child.state, child.quantity = parent.id, parent.id, "waiting", ZERO
            parent.children.append(child.id)
        parent.replaces = str(found.get("replaces", ""))
        for order in orders:
            self._orders[account, order.id] = order
        if reason is not None:
            for order in orders:
                order.state, order.outcome = "closed", "rejected"
                self._note(order, "rejected", reason)
                self._event("rejected", account, order.id, reason=reason)
            return taken
        for order in orders:
            self._open[account, order.id] = order
            self._note(order, "accepted")
        parent.is_withheld = "broker.fill_before_ack" in faults
        if "broker.partial" in faults:
            share = Fraction(int(faults["broker.partial"].get("percent", 50)), 100)
            parent.part = Fraction(max(1, int(parent.quantity * share)))
        if "broker.overfill" in faults:
            parent.quantity += int(faults["broker.overfill"].get("lots", 1))
        if parent.replaces:
            self._replace(parent)
        else:
            for order in orders:
                self._tell_accepted(order, is_live=order is parent)
        if "broker.ack_then_reject" in faults:
            self._at(int(faults["broker.ack_then_reject"].get("ns", DAY)), lambda: self._end(parent, "rejected", "margin check"))
        else:
            self._match(parent)
        return taken

    def _refusal(self, kind: str, account: str, symbol: str, legs: list[Any], replaces: str) -> str | None:
        contract = self._terms.contracts.get(symbol)
        if account not in self._accounts:
            return f"unknown_account: {account}"
        if contract is None:
            return f"unknown_symbol: {symbol}"
        for leg in legs:
            quantity = Fraction(leg["quantity"])
            if quantity <= 0 or quantity % contract.lot:
                return f"bad_lot: {leg['quantity']}"
            for name in ("limit", "stop"):
                if leg.get(name) is not None and Fraction(leg[name]) % contract.tick:
                    return f"bad_tick: {leg[name]}"
        if (kind == "modify") != bool(replaces):
            return "bad_replace"
        if len(legs) > 1 and not self._terms.accounts[account].has_native_brackets:
            return "bad_legs: one order a message"
        if replaces:
            old = self._orders.get((account, replaces))
            if old is None or old.state == "closed" or old.symbol != symbol:
                return f"unknown_replaced_order: {replaces}"
        return None

    def _replace(self, new: _Order) -> None:
        old = self._open[new.account, new.replaces]
        new.parent, new.group, new.children = old.parent, old.group, old.children
        new.entered, new.exited = old.entered, old.exited
        for child in new.children:
            self._orders[new.account, child].parent = new.id
        parent = self._orders.get((new.account, old.parent))
        if parent is not None and old.id in parent.children:
            parent.children[parent.children.index(old.id)] = new.id
            new.quantity = parent.entered - parent.exited
            new.state = "live" if new.quantity > 0 else "waiting"
        old.state, old.outcome = "closed", "cancelled"
        del self._open[old.account, old.id]
        self._note(old, "replaced")
        self._tell_accepted(new, is_live=old.state != "waiting")
        self._event("cancelled", old.account, old.id, reason=f"replaced by {new.id}")

    def _cancel(self, account: str, order_id: str, faults: Faults) -> bytes:
        taken = self._answer("taken")
        order = self._orders.get((account, order_id))
        if "broker.reject_cancel" in faults:
            self._event("cancel_rejected", account, order_id, reason="too late to cancel")
        elif order is None:
            self._event("cancel_rejected", account, order_id, reason="unknown_order")
        elif order.state == "closed":
            self._event("cancel_rejected", account, order_id, reason=f"order_closed: {order.outcome}")
        elif "broker.fill_on_cancel" in faults and self._force(order):
            self._event("cancel_rejected", account, order_id, reason="order_closed: filled")
        else:
            rest, price = order.remaining, self._touch(order)
            self._end(order, "cancelled", "cancelled by its owner")
            if "broker.fill_after_cancel_ack" in faults and rest > 0 and price is not None:
                late = order
                self._at(int(faults["broker.fill_after_cancel_ack"].get("ns", DAY)), lambda: self._fill(late, rest, price))
        return taken

    def _lookup(self, account: str, order_id: str) -> bytes:
        order = self._orders.get((account, order_id))
        if order is None or self.now < order.visible:
            return self._answer("missing", account=account, id=order_id)
        return self._answer("found", account=account, id=order_id, order=order.broker, filled=text(order.filled),
                            outcome=order.outcome, live=order.state != "waiting")

    def _read(self, name: str, faults: Faults) -> bytes:
        account = self._accounts.get(name)
        if account is None:
            return self._failed(f"unknown_account: {name}")
        positions = [{"symbol": symbol, "quantity": text(quantity), "price": text(price)}
                     for symbol, (quantity, price) in account.positions.items() if quantity]
        orders = [{"id": order.id, "order": order.broker, "symbol": order.symbol, "side": "buy" if order.side > 0 else "sell",
                   "quantity": text(order.quantity if order.quantity else order.cap), "filled": text(order.filled),
                   "live": order.state != "waiting",
                   "exit": order.is_exit, "type": order.kind, "price": None if order.price is None else text(order.price)}
                  for order in self._open.values() if order.account == name and self.now >= order.visible]
        fills = [fill for fill in account.fills if fill["ts"] > self.now - DAY]
        if "broker.empty_read" in faults:
            positions, orders, fills = [], [], []
        if "broker.truncated_read" in faults:
            orders, fills, positions = orders[:-1], fills[:-1], positions[:-1]
        multiplier = Fraction(10) if "broker.wrong_definition" in faults else Fraction(1)
        definitions = [{"symbol": contract.symbol, "tick": text(contract.tick), "lot": text(contract.lot),
                        "multiplier": text(contract.multiplier * multiplier), "currency": "USD"}
                       for contract in self._terms.contracts.values()]
        return self._answer("account", account=name, number=account.number, cash=text(account.cash), currency="USD",
                            positions=positions, orders=orders, fills=fills, environment=self.environment,
                            definitions=definitions, simulator=True)

    # -- the market

    def quote(self, symbol: str, bid: Fraction, ask: Fraction, bid_size: int, ask_size: int, ts: Nanos) -> None:
        """The market moved: orders that it reaches trade."""
        self.advance(ts)
        market = self._markets[symbol]
        market.ts = ts
        market.bid, market.ask, market.bid_size, market.ask_size = bid, ask, bid_size, ask_size
        if bid > ask or bid <= 0:
            market.bid_size = market.ask_size = 0          # no price
        for order in [order for order in self._open.values() if order.symbol == symbol]:
            if order.state != "closed":
                self._match(order)

    def state(self, symbol: str, *, is_open: bool, is_halted: bool, ts: Nanos) -> None:
        """Halted, closed or open again. Day orders end with the session."""
        self.advance(ts)
        market = self._markets[symbol]
        was_open, market.is_open, market.is_halted = market.is_open, is_open, is_halted
        if was_open and not is_open:
            self.expire(symbol)

    def advance(self, ts: Nanos) -> None:
        """Do what is due up to `ts`."""
        while self._later:
            due = min(self._later, key=lambda each: each[:2])
            if due[0] > ts:
                break
            self._later.remove(due)
            self.now = max(self.now, due[0])
            due[2]()
        self.now = max(self.now, ts)

    def _at(self, delay: Nanos, act: Callable[[], None]) -> None:
        self._numbers += 1
        self._later.append((self.now + delay, self._numbers, act))

    def _touch(self, order: _Order) -> Fraction | None:
        """The price that the order would take now."""
        market = self._markets[order.symbol]
        if market.ts < 0 or not market.is_open or market.is_halted:
            return None
        price, size = (market.ask, market.ask_size) if order.side > 0 else (market.bid, market.bid_size)
        return price if size > 0 else None

    def _match(self, order: _Order) -> None:
        if order.state in ("waiting", "closed"):
            return
        price = self._touch(order)
        if price is None:
            return
        if order.kind == "limit":
            if order.price is None or not (price <= order.price if order.side > 0 else price >= order.price):
                return
            price = order.price
        elif order.kind == "stop" and order.state != "taking":
            if order.price is None or not (price >= order.price if order.side > 0 else price <= order.price):
                return
            order.state = "taking"
        quantity = order.remaining
        if order.part is not None:
            quantity, order.part = min(quantity, order.part), None
        self._fill(order, quantity, price)

    def _force(self, order: _Order) -> bool:
        """Fill what is left, whatever the order waits for; False where there is no price or it is not live."""
        price = self._touch(order)
        if price is None or order.state in ("waiting", "closed"):
            return False
        self._fill(order, order.remaining, price if order.kind != "limit" or order.price is None else order.price)
        return order.state == "closed"

    def _fill(self, order: _Order, quantity: Fraction, price: Fraction) -> None:
        held = self.position(order.account, order.symbol)
        if order.is_reduce_only and self.keeps_reduce_only:
            quantity = min(quantity, max(-held * order.side, ZERO))
            if quantity <= 0:
                self._end(order, "cancelled", "nothing to reduce")
                return
        if quantity <= 0:
            return
        order.filled += quantity
        self._execute(order.account, order.symbol, order.side, quantity, price, order.id, order.by)
        if order.is_withheld:
            order.is_withheld = False
            self._tell_accepted(order, is_live=True)
        parent = self._orders.get((order.account, order.parent)) if order.parent else None
        if order.remaining <= 0 and order.state != "closed":
            order.state, order.outcome = "closed", "filled"
            self._open.pop((order.account, order.id), None)
            self._note(order, "filled")
        if parent is not None:
            parent.exited += quantity
            self._resize(parent)
        elif order.children:
            order.entered += quantity
            self._resize(order)

    def _resize(self, parent: _Order) -> None:
        """Exits of a bracket are as large as what was entered and has not left."""
        is_done = parent.exited > 0 and parent.entered - parent.exited <= 0
        for name in parent.children:
            child = self._orders[parent.account, name]
            if child.state == "closed":
                continue
            if is_done:
                self._end(child, "cancelled", "one cancels the other")
                continue
            wanted = child.filled + parent.entered - parent.exited
            if wanted != child.quantity:
                was_waiting, child.quantity = child.state == "waiting", wanted
                if was_waiting:
                    child.state = "live"
                self._note(child, "live" if was_waiting else "resized")
                self._event("accepted", child.account, child.id, order=child.broker, quantity=text(child.quantity))
                if was_waiting:
                    self._match(child)
        if is_done and parent.state != "closed":
            self._end(parent, "cancelled", "its exit has filled")

    def _end(self, order: _Order, outcome: str, reason: str) -> None:
        if order.state == "closed":
            return
        order.state, order.outcome = "closed", outcome
        self._open.pop((order.account, order.id), None)
        self._note(order, outcome, reason)
        fields = {} if outcome == "expired" else {"reason": reason}
        self._event(outcome, order.account, order.id, **fields)
        if order.children and order.entered == 0:
            for name in order.children:
                self._end(self._orders[order.account, name], "cancelled", "its entry has ended")

    def _execute(self, account: str, symbol: str, side: int, quantity: Fraction, price: Fraction, order_id: str, by: str) -> None:
        contract, book = self._terms.contracts[symbol], self._accounts[account]
        self._executions += 1
        execution, fee = f"E{self._executions:08d}", contract.fee * quantity
        told, self._repeat_execution = self._repeat_execution or execution, ""
        held, average = book.positions.get(symbol, (ZERO, ZERO))
        after = held + side * quantity
        if held * side >= 0:
            average = (average * abs(held) + price * quantity) / abs(after)
        else:
            closed = min(quantity, abs(held)) * (1 if held > 0 else -1)
            book.cash += (price - average) * closed * contract.multiplier
            if after * held < 0:
                average = price
        book.cash -= fee
        book.positions[symbol] = after, average
        self._tell(VenueFill(ts=self.now, account=account, id=order_id, execution=execution, symbol=symbol, side=side,
                             quantity=quantity, price=price, fee=fee, by=by))
        fill = {"account": account, "id": order_id, "execution": told, "symbol": symbol, "side": "buy" if side > 0 else "sell",
                "quantity": text(quantity), "price": text(price), "fee": text(fee), "ts": self.now}
        book.fills.append(fill)
        self._push("fill", account, _encode({"event": "fill", **fill}))

    # -- what venues and people at the venue do

    def trade_by_hand(self, account: str, symbol: str, quantity: Fraction, ts: Nanos, *, by: str = "person") -> bool:
        """Somebody trades in the account outside the platform. False where the market has no price."""
        self.advance(ts)
        market = self._markets[symbol]
        price = market.ask if quantity > 0 else market.bid
        if market.ts < 0 or market.is_halted or not market.is_open or price <= 0 or not quantity:
            return False
        self._numbers += 1
        self._execute(account, symbol, 1 if quantity > 0 else -1, abs(quantity), price, f"hand{self._numbers:06d}", by)
        return True

    def liquidate(self, account: str, ts: Nanos) -> None:
        """The venue closes everything: orders first, then positions."""
        self.advance(ts)
        for order in [order for order in self._open.values() if order.account == account]:
            self._end(order, "cancelled", "liquidation")
        for symbol, (quantity, _) in tuple(self._accounts[account].positions.items()):
            if quantity:
                self.trade_by_hand(account, symbol, -quantity, ts, by="venue")

    def expire(self, symbol: str | None = None, *, every: bool = False) -> None:
        """The session ends: day orders expire; with `every` the venue wrongly takes all exits for day orders too."""
        for order in tuple(self._open.values()):
            if symbol in (None, order.symbol) and (order.tif == "day" or every):
                self._end(order, "expired", "session")

    def cancel_stop_by_hand(self, account: str, ts: Nanos) -> str | None:
        """A person cancels the first live stop of the account in the venue's own window; its id."""
        self.advance(ts)
        for order in tuple(self._open.values()):
            if order.account == account and order.is_exit and order.kind == "stop" and order.state == "live":
                order.by = "person"
                self._end(order, "cancelled", "cancelled by hand")
                return order.id
        return None

    def move_stop_by_hand(self, account: str, by: Fraction, ts: Nanos) -> str | None:
        """A person moves a stop in the venue's own window; its id."""
        self.advance(ts)
        for order in tuple(self._open.values()):
            if order.account == account and order.is_exit and order.kind == "stop" and order.state == "live" \
                    and order.price is not None and order.price + by > 0:
                order.price += by
                self._note(order, "resized")
                return order.id
        return None

    def shrink_stop(self, account: str, ts: Nanos) -> str | None:
        """The venue makes a live stop smaller than the position that it protects; its id."""
        self.advance(ts)
        for order in tuple(self._open.values()):
            if order.account == account and order.is_exit and order.kind == "stop" and order.state == "live" \
                    and order.remaining > 1:
                order.quantity -= 1
                self._note(order, "resized")
                self._event("accepted", account, order.id, order=order.broker, quantity=text(order.quantity))
                return order.id
        return None

    def replay(self, account: str, ts: Nanos) -> None:
        """All executions of the day are told once more, as after a reconnect."""
        self.advance(ts)
        for fill in [fill for fill in self._accounts[account].fills if fill["ts"] > ts - DAY]:
            self._push("fill", account, _encode({"event": "fill", **fill}))

    def repeat_execution_id(self) -> None:
        """The next execution is told under the id of the one before it."""
        if self._executions:
            self._repeat_execution = f"E{self._executions:08d}"

    def roll_back_ids(self, count: int) -> None:
        """The venue's own order numbers start again from an earlier one."""
        self._numbers = max(0, self._numbers - count)

    # -- telling

    def _tell_accepted(self, order: _Order, *, is_live: bool) -> None:
        if order.is_withheld:
            return
        fields: dict[str, Any] = {"order": order.broker}
        if not is_live:
            fields["live"] = False
        self._event("accepted", order.account, order.id, **fields)

    def _event(self, kind: str, account: str, order_id: str, **fields: Any) -> None:
        self._push(kind, account, _encode({"event": kind, "account": account, "id": order_id, **fields, "ts": self.now}))

    def _note(self, order: _Order, what: str, reason: str = "") -> None:
        self._tell(VenueOrder(ts=self.now, account=order.account, id=order.id, symbol=order.symbol, what=what, side=order.side,
                              quantity=order.quantity if order.quantity else order.cap, filled=order.filled, kind=order.kind,
                              price=order.price, role=order.role, group=order.group or order.id, parent=order.parent,
                              is_reduce_only=order.is_reduce_only and self.keeps_reduce_only, by=order.by, reason=reason))
