"""Getting out: cancel whatever else could fill on the way, wait for definite answers, then reduce by what is left.

The order of these steps is what keeps an exit from crossing zero: at the moment of the reducing order nothing else on
its side can be live. Entries are cancelled too when all is to go, but not waited for where they only add to what is
reduced; an entry on the exit's own side (the position has turned against it) is waited for like any other.
"""

from decimal import Decimal

from msgspec.structs import replace

from interlock.execution.exposure import ZERO, position_key
from interlock.execution.state import TRIES_MAX, Outputs, Situation, exit_side
from interlock.model.money import Nanos
from interlock.model.record import CancelRequested, ExitBegun, ExitEnded, IntentAbandoned
from interlock.model.signal import AccountIntent, Purpose


def begin(situation: Situation, asked: AccountIntent, ts: Nanos) -> Outputs:
    """Start the exit that an intent asks for, in every instrument by which its strategy holds the position."""
    intent = asked.intent
    keys = _held(situation, asked)
    if not keys:
        yield IntentAbandoned(intent.signal_id, asked.account, "exit.nothing_held",
                              f"{asked.account}: {intent.strategy} holds no {intent.instrument} and has no entry out")
    for key in keys:
        under_way = situation.folded.exits.get(key)
        if under_way is not None and (under_way.is_whole or intent.quantity is not None):
            yield IntentAbandoned(intent.signal_id, asked.account, "exit.under_way",
                                  f"{key} is already on its way out, for {under_way.asked.intent.signal_id}")
            continue
        yield ExitBegun(asked.account, key.partition("|")[2], asked)
        yield from advance(situation, key, ts)


def advance(situation: Situation, key: str, ts: Nanos) -> Outputs:
    """The next step of an exit under way, if it is due."""
    out = situation.folded.exits.get(key)
    if out is None or out.asked.intent.purpose is Purpose.FLATTEN:
        return                                            # a person's flatten goes by the broker's word, not by ours
    account, _, instrument = key.partition("|")
    intent = out.asked.intent
    may_fill = may_enter = False
    at = situation.position(key)
    for record in situation.orders.open_at(key):
        name, is_entry = record.leg.client_order_id, record.leg.purpose is Purpose.ENTER
        is_against = is_entry and at * record.leg.side.sign < ZERO
        if is_entry and not out.is_whole and not is_against:
            continue
        if name not in out.orders and not situation.is_cancelling(record):
            yield CancelRequested(record.account, name, f"exit {intent.signal_id}", "exit")
        may_fill, may_enter = may_fill or not is_entry or is_against, may_enter or is_entry
    if may_fill or situation.orders.owed(key):            # what has filled and is not booked yet may have been all of it
        return
    left = _left(out.done, intent.quantity, at)
    if left <= ZERO:
        if not may_enter:                                 # else a late fill would stay behind
            yield ExitEnded(out.asked.account, instrument, True, "flat" if not at else "reduced as asked")
    elif out.tries >= TRIES_MAX:
        yield from situation.alarm(f"exit.{account}.{instrument}", f"{account}: {instrument} {at} does not get out: "
                                   f"{out.tries} orders have come to nothing")
        yield ExitEnded(out.asked.account, instrument, False, f"{out.tries} orders came to nothing")
    elif ts >= out.ts_retry and not situation.is_pending(key, intent.purpose):
        leg = intent.leg or "exit"
        yield AccountIntent(replace(
            intent, instrument=instrument, side=exit_side(at), quantity=left, ts_decided=ts, leg=leg,
            generation=situation.generation(intent.signal_id, out.asked.account, leg)), out.asked.account)


def _left(done: Decimal, quantity: Decimal | None, at: Decimal) -> Decimal:
    return abs(at) if quantity is None else min(quantity - done, abs(at))


def _held(situation: Situation, asked: AccountIntent) -> list[str]:
    """Keys of the positions and open entries that the intent means."""
    intent, found = asked.intent, dict[str, None]()
    for key in situation.folded.current:
        plan = situation.plan(key)
        if (plan is not None and situation.position(key) and plan.account == asked.account
                and (plan.lane, plan.strategy) == (intent.lane, intent.strategy)
                and intent.instrument in (plan.instrument, plan.asked)):
            found[key] = None
    for record in situation.orders.open_orders(asked.account):
        plan = situation.folded.plans.get(f"{record.account}|{record.signal_id}")
        if (plan is not None and record.leg.purpose is Purpose.ENTER
                and (record.lane, record.strategy) == (intent.lane, intent.strategy)
                and intent.instrument in (record.instrument, plan.asked)):
            found[position_key(record.account, record.instrument)] = None
    return list(found)
