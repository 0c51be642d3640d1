"""What a check may answer, and what the gate makes of the answers. Permission is stated; everything else is a no."""

from decimal import Decimal
from typing import TypeAlias

from msgspec import Struct

from interlock.model.ids import AccountName, SignalId
from interlock.model.order import Order, Profile
from interlock.model.signal import AccountIntent
from interlock.model.view import GateView


class Allow(Struct, frozen=True, gc=False, tag="allow"):
    """Yes; with the numbers that were compared, so that a record shows by how much."""

    numbers: dict[str, str] = {}


class Refuse(Struct, frozen=True, gc=False, tag="refuse"):
    """No: a stable code of the catalogue, a sentence, and the numbers."""

    code: str
    reason: str
    numbers: dict[str, str] = {}


class NotApplicable(Struct, frozen=True, gc=False, tag="not_applicable"):
    """The table of sources says that this check is not asked here."""

    reason: str


class NotRequired(Struct, frozen=True, gc=False, tag="not_required"):
    """The lane declares that it does without (a regime detector), which its mode allows."""

    reason: str


class NotEvaluated(Struct, frozen=True, gc=False, tag="not_evaluated"):
    """Size is zero, so there is nothing to ask about; counts as a no."""

    reason: str


CheckAnswer: TypeAlias = Allow | Refuse | NotApplicable | NotRequired | NotEvaluated


class Answer(Struct, frozen=True, gc=False):
    """One check's answer under its name, e.g. "phase.2_balance", "guard.10_liquidity"."""

    check: str
    verdict: CheckAnswer


class Sized(Struct, frozen=True, gc=False, kw_only=True):
    """What `size` fixed. Quantity zero: nothing fits, `why` says what bound it."""

    instrument: str
    quantity: Decimal
    risk: Decimal                      # planned loss of the quantity, fees and slippage included
    risk_per_unit: Decimal
    why: str
    code: str = ""                     # of the refusal when quantity is zero


class SizedIntent(Struct, frozen=True, gc=False):
    """What every check sees: the intent for one account with instrument and quantity fixed."""

    account_intent: AccountIntent
    sized: Sized


class Cleared(Struct, frozen=True, gc=False, tag="cleared"):
    sized: Sized
    order: Order


class Refused(Struct, frozen=True, gc=False, tag="refused"):
    """`code` and `reason` of the first refusal; all answers stand in the verdict."""

    sized: Sized
    code: str
    reason: str


class Verdict(Struct, frozen=True, gc=False, tag="verdict", kw_only=True):
    """One judgement whole: what was asked, what was seen, what every check said, and the result."""

    signal_id: SignalId
    account: AccountName
    profile: Profile
    asked: AccountIntent
    view: GateView
    answers: tuple[Answer, ...]
    result: Cleared | Refused
    config: str                        # SHA-256 of the configuration in force, hex
    checks: str                        # SHA-256 over the names of the registry that was asked, in order

    @property
    def is_cleared(self) -> bool:
        return isinstance(self.result, Cleared)
