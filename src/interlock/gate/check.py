"""What a check is, and the few words all checks share."""

from decimal import Decimal
from typing import Protocol, TypeGuard

from interlock.errors import InvariantBroken
from interlock.model.instrument import INSTRUMENTS, Instrument
from interlock.model.signal import Side
from interlock.model.verdict import CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView, Mark


class Check(Protocol):
    """One question. Pure, loops only over what the view holds, and answers with the numbers it compared.

    Only Allow permits. `needs_quantity` says that there is nothing to ask while the size is zero.
    """

    @property
    def name(self) -> str: ...

    @property
    def needs_quantity(self) -> bool: ...

    def check(self, intent: SizedIntent, view: GateView, /) -> CheckAnswer: ...


def missing(name: str, reason: str = "") -> Refuse:
    """The answer of a check that applies and lacks an input."""
    return Refuse("input_missing." + name, reason or f"{name.replace('_', ' ')} is not known")


def is_number(value: Decimal | None) -> TypeGuard[Decimal]:
    """Whether a value is there and finite."""
    return value is not None and value.is_finite()


def traded(intent: SizedIntent, view: GateView) -> tuple[Instrument, Mark | None]:
    """The instrument that sizing chose, with its own quote: the micro's where it is the micro."""
    symbol = intent.sized.instrument
    if symbol == view.instrument.symbol:
        instrument, mark = view.instrument, view.mark
    elif view.micro is not None and symbol == view.micro.symbol:
        instrument, mark = view.micro, view.micro_mark
    else:
        raise InvariantBroken(f"the size is in {symbol}, the view shows {view.instrument.symbol}")
    if mark is not None and mark.instrument != symbol:
        raise InvariantBroken(f"the quote is of {mark.instrument}, the size is in {symbol}")
    return instrument, mark


def opposite_quote(side: Side, mark: Mark) -> Decimal:
    """Where a market order of this side meets the book."""
    return mark.ask if side is Side.BUY else mark.bid


def underlying(instrument: str, parent: str) -> str:
    """What an instrument moves with: as the view says, else as the shipped table does, else itself."""
    if parent:
        return parent
    known = INSTRUMENTS.get(instrument)
    return instrument if known is None else known.parent
