"""An accepted alert becomes an intent, or ends here with its reason. The alert's price is a reference and no more."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from interlock.errors import InputError
from interlock.model.ids import AccountName
from interlock.model.instrument import Instrument
from interlock.model.market import Quality
from interlock.model.money import Nanos, plain
from interlock.model.record import IntentAbandoned
from interlock.model.signal import AccountIntent, AlertAccepted, AlertAction, Intent, Purpose, Side, Source
from interlock.model.view import Feature

Converted: TypeAlias = tuple[Intent | AccountIntent, ...] | IntentAbandoned
"""Intents for every account of the lane; intents for one account where each must do something else."""

_SIDES = {AlertAction.BUY: Side.BUY, AlertAction.SELL: Side.SELL}


class ExitProfile(Struct, frozen=True, kw_only=True):
    """Who ends a trade that an alert began.

    "bracket": stop and target rest at the venue as sent. "alert": the alerts decide when to take profit, and only the
    catastrophe stop rests. `stop_atrs` makes a stop for an alert that brings none; None: it must bring one.
    """

    name: str = "bracket"
    stop_atrs: Decimal | None = None

    def __post_init__(self) -> None:
        if self.name not in ("bracket", "alert"):
            raise InputError(f"exit profile: expected bracket or alert, found {self.name!r}")
        if self.stop_atrs is not None and not self.stop_atrs > 0:
            raise InputError(f"exit profile: stop_atrs must be above 0, found {self.stop_atrs}")


STOP_ATRS = Decimal("1.5")
"""The shipped multiple of a profile that computes its stops."""


def convert(accepted: AlertAccepted, now: Nanos, profile: ExitProfile, instrument: Instrument,
            held: Mapping[AccountName, Decimal], mid: Decimal | None, atr: Feature | None) -> Converted:
    """What an alert asks for, given what its strategy holds of the instrument in each account (signed).

    `mid` is the market now and `atr` the average true range in price units; either may be unknown. What an account holds,
    and on which side of the market stop and target lie, is the gate's to judge, account by account. A target position on
    the other side closes at most; the rest needs a second alert once flat.
    """
    asked = _Asked(accepted, now, profile, instrument, mid, atr)
    open_ones = {account: quantity for account, quantity in held.items() if quantity}
    match accepted.alert.action:
        case AlertAction.BUY | AlertAction.SELL:
            side = _SIDES[accepted.alert.action]
            return asked.enter(side)
        case AlertAction.CLOSE:
            return asked.close(open_ones, open_ones, "alert closes")
        case AlertAction.TARGET:
            return _to_target(asked, open_ones)


def _to_target(asked: "_Asked", open_ones: Mapping[AccountName, Decimal]) -> Converted:
    wanted = asked.accepted.alert.position
    if wanted is None:
        return asked.abandon("alert_position_missing", "action target: expected a position, found none")
    if wanted == 0:
        return asked.close(open_ones, open_ones, "target 0 closes")
    side = Side.BUY if wanted > 0 else Side.SELL
    if not open_ones:
        return asked.enter(side)
    against = {account: quantity for account, quantity in open_ones.items() if quantity * side.sign < 0}
    if against:
        return asked.close(against, open_ones, f"target {plain(wanted)} is on the other side: closes only, a reversal "
                           "needs a second alert once flat")
    excess = {account: (abs(quantity) - abs(wanted)) // asked.instrument.lot * asked.instrument.lot
              for account, quantity in open_ones.items()}
    why = f"target {plain(wanted)} reduces"
    intents = tuple(AccountIntent(asked.exit(side.opposite, quantity, why), account)
                    for account, quantity in excess.items() if quantity > 0)
    if not intents:
        most = plain(max(open_ones.values(), key=abs))
        return asked.abandon("target_not_smaller", f"holds: target {plain(wanted)} is no smaller than the {most} held, "
                             "and an open position is not added to")
    return intents


class _Asked(Struct, frozen=True):
    """One alert with all that its conversion looks at."""

    accepted: AlertAccepted
    now: Nanos
    profile: ExitProfile
    instrument: Instrument
    mid: Decimal | None
    atr: Feature | None

    @property
    def reference(self) -> Decimal | None:
        price = self.accepted.alert.price
        return self.mid if price is None else price

    def abandon(self, code: str, why: str) -> IntentAbandoned:
        return IntentAbandoned(self.accepted.signal_id, None, code, why)

    def exit(self, side: Side, quantity: Decimal | None, why: str) -> Intent:
        accepted = self.accepted
        return Intent(signal_id=accepted.signal_id, lane=accepted.lane, strategy=accepted.alert.strategy,
                      source=Source.ALERTS, instrument=accepted.instrument, side=side, purpose=Purpose.REDUCE, why=why,
                      ts_decided=self.now, quantity=quantity, reference=self.reference)

    def close(self, leaving: Mapping[AccountName, Decimal], open_ones: Mapping[AccountName, Decimal],
              why: str) -> Converted:
        """Leave all of it in the accounts `leaving`: one intent where these are all and on one side."""
        sides = {account: Side.BUY if quantity > 0 else Side.SELL for account, quantity in leaving.items()}
        if not sides:
            accepted = self.accepted
            return self.abandon("nothing_to_close", f"{accepted.alert.strategy} holds no {accepted.instrument}")
        first = next(iter(sides.values()))
        if len(leaving) == len(open_ones) and all(side is first for side in sides.values()):
            return (self.exit(first.opposite, None, why),)
        return tuple(AccountIntent(self.exit(side.opposite, None, why), account) for account, side in sides.items())

    def enter(self, side: Side) -> Converted:
        accepted, alert = self.accepted, self.accepted.alert
        reference = self.reference
        if reference is None:
            return self.abandon("input_missing.mark", f"no price to set the stop of {accepted.instrument} against")
        stop = self._stop(side, reference)
        if isinstance(stop, IntentAbandoned):
            return stop
        target = None if alert.target is None else self._to_tick(side, alert.target)
        is_owned = self.profile.name == "alert"
        return (Intent(signal_id=accepted.signal_id, lane=accepted.lane, strategy=alert.strategy, source=Source.ALERTS,
                       instrument=accepted.instrument, side=side, purpose=Purpose.ENTER,
                       why=f"alert {alert.action.value}", ts_decided=self.now, stop=stop,
                       target=None if is_owned else target, reference=reference, is_target_owned=is_owned),)

    def _stop(self, side: Side, reference: Decimal) -> Decimal | IntentAbandoned:
        if self.accepted.alert.stop is not None:
            return self._to_tick(side, self.accepted.alert.stop)
        if self.profile.stop_atrs is None:
            return self.abandon("stop_missing", f"{side.value}: the alert has no stop, and its exits compute none")
        atr = self.atr
        if atr is None or atr.value is None or atr.quality > Quality.SYNTH:
            return self.abandon("input_missing.atr", "no average true range to compute the stop from")
        start = reference if self.mid is None else self.mid
        return self._to_tick(side, start - side.sign * self.profile.stop_atrs * Decimal(repr(atr.value)))

    def _to_tick(self, side: Side, price: Decimal) -> Decimal:
        """Away from the market for a stop, towards it for a target: both are down for a buy and up for a sell."""
        return self.instrument.below(price) if side is Side.BUY else self.instrument.above(price)
