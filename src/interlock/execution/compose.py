"""A sized intent becomes the message that a venue will be asked to take. Pure; the gate judges what comes out.

An entry for a venue with brackets is one message: entry, stop, and the target unless the alert owns it. Everything else
is one leg; what a venue lacks is put together by `brackets`, one cleared order at a time.
"""

from decimal import Decimal

from interlock.errors import InputError
from interlock.model.ids import ClientOrderId, client_order_id
from interlock.model.instrument import Instrument
from interlock.model.order import Leg, Order, OrderType, TimeInForce
from interlock.model.signal import Intent, Purpose, Side
from interlock.model.verdict import SizedIntent

ROLES = {Purpose.ENTER: "entry", Purpose.PROTECT: "stop", Purpose.TARGET: "target", Purpose.REDUCE: "exit",
         Purpose.FLATTEN: "exit"}


def compose(sized: SizedIntent, instrument: Instrument, *, has_native_brackets: bool,
            venue_symbol: str | None = None) -> Order:
    """The order that this intent asks for. `instrument` is the one that sizing fixed.

    Raises InputError where the intent lacks what its purpose needs (an entry or a protection without a stop).
    """
    intent = sized.account_intent.intent
    if instrument.symbol != sized.sized.instrument:
        raise InputError(f"expected the definition of {sized.sized.instrument}, found {instrument.symbol}")
    legs: tuple[Leg, ...]
    if intent.purpose is Purpose.ENTER and has_native_brackets:
        legs = (_leg(sized, instrument, Purpose.ENTER), _leg(sized, instrument, Purpose.PROTECT))
        if intent.target is not None and not intent.is_target_owned:
            legs += (_leg(sized, instrument, Purpose.TARGET),)
    else:
        legs = (_leg(sized, instrument, intent.purpose),)
    return Order(account=sized.account_intent.account, instrument=instrument.symbol,
                 venue_symbol=venue_symbol or instrument.symbol, legs=legs, signal_id=intent.signal_id,
                 lane=intent.lane, strategy=intent.strategy, generation=intent.generation, replaces=intent.replaces)


def _leg(sized: SizedIntent, instrument: Instrument, purpose: Purpose) -> Leg:
    intent = sized.account_intent.intent
    is_child = intent.purpose is Purpose.ENTER and purpose is not Purpose.ENTER
    side = intent.side.opposite if is_child else intent.side
    name, stop, limit = _id(sized, purpose, is_child), None, None
    if purpose is Purpose.PROTECT:
        stop = _stop(intent, instrument, side)
    elif purpose is Purpose.TARGET and (is_child or intent.target is not None):
        limit = _target(intent, instrument, side)
    elif intent.limit is not None:
        limit = instrument.below(intent.limit) if side is Side.BUY else instrument.above(intent.limit)
    kind = OrderType.STOP if stop is not None else OrderType.LIMIT if limit is not None else OrderType.MARKET
    # What protects outlives the day; an entry or an exit that did not fill today is not wanted tomorrow.
    rests = purpose is Purpose.PROTECT or (purpose is Purpose.TARGET and limit is not None)
    return Leg(client_order_id=name, role=ROLES[purpose], purpose=purpose, side=side, quantity=sized.sized.quantity,
               type=kind, limit=limit, stop=stop, time_in_force=TimeInForce.GTC if rests else TimeInForce.DAY,
               is_reduce_only=purpose is not Purpose.ENTER)


def _id(sized: SizedIntent, purpose: Purpose, is_child: bool) -> ClientOrderId:
    intent = sized.account_intent.intent
    leg = ROLES[purpose] if is_child or not intent.leg else intent.leg
    return client_order_id(intent.signal_id, sized.account_intent.account, leg, intent.generation)


def _stop(intent: Intent, instrument: Instrument, side: Side) -> Decimal:
    """On the tick nearer to the market: the loss is never larger than planned."""
    if intent.stop is None:
        raise InputError(f"{intent.strategy}: a protective order needs a stop price")
    return instrument.above(intent.stop) if side is Side.SELL else instrument.below(intent.stop)


def _target(intent: Intent, instrument: Instrument, side: Side) -> Decimal:
    """On the tick nearer to the market: it fills no later than planned."""
    if intent.target is None:
        raise InputError(f"{intent.strategy}: a resting target needs a price")
    return instrument.below(intent.target) if side is Side.SELL else instrument.above(intent.target)
