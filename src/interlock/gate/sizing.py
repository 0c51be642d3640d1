"""How much: a pure function of the intent and the view, asked before the checks and recomputed by phase 5.

    future   per = (ceil(|entry - stop| / tick) + slip ticks) * tick value + 2 * fee
    share    per = |entry - stop| + slip + 2 * fee
    crypto   per = |entry - stop| + fee rate * (entry + stop) + slip        (linear)
    quantity = floor(budget * multiplier / per), in whole lots

The entry price is the quote that a market order would meet now, never the price an alert names. Every floor is an
integer step. The smaller of this result and SafeBroker's published limits is taken, so that a refusal over there always
means a fault.
"""

from decimal import ROUND_CEILING, Decimal
from typing import Final

from msgspec import Struct

from interlock.gate.check import is_number, opposite_quote
from interlock.gate.record import RecordRules, stand
from interlock.model.instrument import Instrument, Kind
from interlock.model.money import plain
from interlock.model.signal import AccountIntent, Intent, Purpose, Side
from interlock.model.verdict import Sized
from interlock.model.view import GateView, Mark

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
HALF: Final = Decimal("0.5")
TIERS: Final = (ONE, Decimal("0.75"), HALF, ZERO, ZERO)
"""Multiplier per health tier; tiers 3 and 4 open nothing."""

_TOO_SMALL: Final = ("risk_budget", "position_limit", "notional_limit")


class SizingRules(Struct, frozen=True, kw_only=True):
    """The numbers of sizing. Money is in account currency."""

    risk_per_trade: Decimal = Decimal(120)
    slippage_ticks_future: int = 1
    slippage_ticks_share: int = 1
    slippage_ticks_crypto: int = 100
    crypto_leverage_max: Decimal = Decimal(2)
    crypto_notional_min: Decimal = Decimal(10)
    notional_reserve: Decimal = Decimal("0.01")   # of SafeBroker's limit, for what the price moves until the write
    record: RecordRules = RecordRules()


def size(asked: AccountIntent, view: GateView, rules: SizingRules) -> Sized:
    """Fix instrument and quantity; quantity zero, with a code, where nothing fits or something is in doubt."""
    intent = asked.intent
    if asked.account != view.account.account or intent.instrument != view.instrument.symbol:
        return _nothing(intent.instrument, "view_mismatch", "the view is of another account or instrument")
    if intent.purpose is not Purpose.ENTER:
        return _exit(intent, view)
    if intent.lane != view.lane or intent.strategy != view.strategy or intent.source is not view.source:
        return _nothing(intent.instrument, "view_mismatch", "the view is of another lane, strategy or source")
    sized = _entry(intent, view, view.instrument, view.mark, rules)
    if sized.code in _TOO_SMALL and view.micro is not None and view.micro.symbol == view.instrument.micro:
        return _entry(intent, view, view.micro, view.micro_mark, rules)
    return sized


def entry_price(intent: Intent, mark: Mark) -> Decimal:
    """The worst price at which the entry can be expected to fill: the opposite quote, or a limit beyond it."""
    quote = opposite_quote(intent.side, mark)
    if intent.limit is None:
        return quote
    return max(quote, intent.limit) if intent.side is Side.BUY else min(quote, intent.limit)


def risk_per_unit(instrument: Instrument, entry: Decimal, stop: Decimal, rules: SizingRules) -> Decimal:
    """Planned loss of one contract, share or coin at its stop, fees and slippage included."""
    distance = abs(entry - stop)
    tick, kind = instrument.tick, instrument.kind
    if kind is Kind.FUTURE:
        ticks = (distance / tick).to_integral_value(ROUND_CEILING)
        return (ticks + rules.slippage_ticks_future) * tick * instrument.multiplier + 2 * instrument.fee
    slip_ticks = rules.slippage_ticks_share if kind is Kind.SHARE else rules.slippage_ticks_crypto
    moved = distance + slip_ticks * tick + instrument.fee_rate * (entry + stop)
    return moved * instrument.multiplier + 2 * instrument.fee


def _entry(intent: Intent, view: GateView, instrument: Instrument, mark: Mark | None, rules: SizingRules) -> Sized:
    symbol, account, stop = instrument.symbol, view.account, intent.stop
    if mark is None or mark.instrument != symbol:
        return _nothing(symbol, "input_missing.mark", f"no quote for {symbol}")
    if stop is None or not stop.is_finite():
        return _nothing(symbol, "input_missing.stop", "the entry has no stop")
    if account.currency != instrument.currency:
        return _nothing(symbol, "no_rate", f"no rate from {instrument.currency} to {account.currency}")
    if not 0 <= view.tier < len(TIERS):
        return _nothing(symbol, "tier", f"tier {view.tier} is none of 0 to {len(TIERS) - 1}")
    tier = TIERS[view.tier]
    if not tier:
        return _nothing(symbol, "tier", f"tier {view.tier} opens nothing: {', '.join(view.tier_reasons)}")
    entry = entry_price(intent, mark)
    if not (entry.is_finite() and entry > 0 and stop > 0):
        return _nothing(symbol, "input_missing.mark", f"{entry} is no price to size from")
    if not (stop < entry if intent.side is Side.BUY else stop > entry):
        return _nothing(symbol, "stop_side", f"a {intent.side.value} at {plain(entry)} needs its stop on the losing "
                        f"side, found {plain(stop)}")
    per = risk_per_unit(instrument, entry, stop, rules)
    lot = instrument.lot
    step = per * lot
    if not step > 0:
        return _nothing(symbol, "risk_budget", f"planned loss per lot {step} is not positive")
    budget = rules.risk_per_trade * tier
    lots = budget // step
    why = "risk budget"
    if stand(view.record, rules.record).is_half_size:
        # A halving flag leaves one lot while the whole budget carries it; only a tier may take the last one.
        lots = max(budget * HALF // step, min(lots, ONE))
        why = "risk budget, half size"
    if lots <= 0:
        return _nothing(symbol, "risk_budget", f"one lot risks {plain(step)}, the budget is {plain(budget)}", per)
    held = _held(view, symbol)
    if held is None:
        return _nothing(symbol, "input_missing.broker_position", "the broker has not told its position", per)
    room = (view.limits.position_per_symbol - held) // lot
    if room < lots:
        lots, why = room, "SafeBroker's position per symbol"
        if lots <= 0:
            return _nothing(symbol, "position_limit", f"{plain(held)} held or pending of "
                            f"{plain(view.limits.position_per_symbol)} allowed", per)
    value = entry * instrument.multiplier * lot
    room = view.limits.notional_per_order * (1 - rules.notional_reserve) // value
    if room < lots:
        lots, why = room, "SafeBroker's notional per order"
        if lots <= 0:
            return _nothing(symbol, "notional_limit", f"one lot is worth {plain(value)}, "
                            f"{plain(view.limits.notional_per_order)} allowed per order", per)
    if instrument.kind is Kind.CRYPTO:
        capped = _crypto_lots(intent, view, instrument, lots, value, rules)
        if isinstance(capped, Sized):
            return capped
        if capped < lots:
            lots, why = capped, "funds"
    quantity = lots * lot
    return Sized(instrument=symbol, quantity=quantity, risk=per * quantity, risk_per_unit=per, why=why)


def _crypto_lots(intent: Intent, view: GateView, instrument: Instrument, lots: Decimal, value: Decimal,
                 rules: SizingRules) -> Decimal | Sized:
    """What the account can pay for: its balance on spot, its equity times the leverage cap otherwise."""
    symbol = instrument.symbol
    if instrument.is_spot and intent.side is Side.SELL:
        return _nothing(symbol, "spot_short", f"{symbol} is spot and cannot be sold short")
    funds = view.account.balance if instrument.is_spot else view.account.equity
    if not is_number(funds):
        return _nothing(symbol, "input_missing.funds", "balance or equity is not known")
    if not instrument.is_spot:
        funds *= rules.crypto_leverage_max
    lots = min(lots, funds // (value * (1 + instrument.fee_rate)))
    if lots <= 0 or lots * value < rules.crypto_notional_min:
        return _nothing(symbol, "notional_min", f"{plain(lots * value)} is below the least order of "
                        f"{plain(rules.crypto_notional_min)}")
    return lots


def _held(view: GateView, symbol: str) -> Decimal | None:
    """Worst case already out: what any of the books says is held, and every pending order on top."""
    account = view.account
    held = ZERO
    for position in view.held:
        if position.account == account.account and position.instrument == symbol:
            held += abs(position.quantity)
    if symbol == view.instrument.symbol:
        if not is_number(account.broker_position):
            return None
        held = max(held, abs(account.position), abs(account.broker_position))
    for pending in view.pending:
        if pending.account == account.account and pending.instrument == symbol:
            held += abs(pending.remaining)
    return held


def _exit(intent: Intent, view: GateView) -> Sized:
    """The smaller of our position and the broker's, where both have the sign that this exit reduces.

    A flatten takes the broker's alone: a person has asked for what is really there to be closed, whatever our book says.
    """
    symbol, ours, theirs = view.instrument.symbol, view.account.position, view.account.broker_position
    if not is_number(theirs):
        return _nothing(symbol, "input_missing.broker_position", "the broker has not told its position")
    open_quantity = reducible(intent, ours, theirs)
    if not open_quantity > 0:
        return _nothing(symbol, "nothing_to_exit",
                        f"a {intent.side.value} reduces nothing: ours {plain(ours)}, the broker's {plain(theirs)}")
    quantity = open_quantity if intent.quantity is None else min(intent.quantity, open_quantity)
    quantity = quantity // view.instrument.lot * view.instrument.lot
    if not quantity > 0:
        return _nothing(symbol, "nothing_to_exit", f"{intent.quantity} is no whole lot of {view.instrument.lot}")
    return Sized(instrument=symbol, quantity=quantity, risk=ZERO, risk_per_unit=ZERO, why="position")


def reducible(intent: Intent, ours: Decimal, theirs: Decimal) -> Decimal:
    """How much an exit of this side and purpose may close; not positive where there is nothing to close."""
    sign = -intent.side.sign
    return theirs * sign if intent.purpose is Purpose.FLATTEN else min(ours * sign, theirs * sign)


def _nothing(symbol: str, code: str, why: str, per: Decimal = ZERO) -> Sized:
    return Sized(instrument=symbol, quantity=ZERO, risk=ZERO, risk_per_unit=per, why=why, code=code)
