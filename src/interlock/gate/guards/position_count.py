"""Guard 4: how many positions at once, in all, of a source, and of an underlying."""

from dataclasses import dataclass
from typing import ClassVar

from interlock.gate.check import traded, underlying
from interlock.model.signal import Source
from interlock.model.verdict import Allow, CheckAnswer, Refuse, SizedIntent
from interlock.model.view import GateView


@dataclass(frozen=True)
class PositionCount:
    """Instruments held or being entered in this account, before this one, stay below each limit."""

    name: ClassVar[str] = "guard.4_position_count"
    needs_quantity: ClassVar[bool] = False
    total_max: int = 4
    source_max: int = 2
    underlying_max: int = 1

    def check(self, intent: SizedIntent, view: GateView) -> CheckAnswer:
        open_now: dict[str, tuple[Source | None, str]] = {}
        for held in view.held:
            if held.account == view.account.account and held.quantity != 0:
                open_now[held.instrument] = (held.source, held.parent)
        for pending in view.pending:
            if pending.account == view.account.account:
                open_now.setdefault(pending.instrument, (pending.source, pending.parent))
        instrument, _ = traded(intent, view)
        source, parent = view.source, underlying(instrument.symbol, instrument.parent)
        of_source = of_parent = 0
        for symbol, (found, of) in open_now.items():
            of_source += found is source or found is None      # one that nobody here opened counts against every source
            of_parent += underlying(symbol, of) == parent
        for what, count, limit in (("in all", len(open_now), self.total_max),
                                   (f"of {source.value}", of_source, self.source_max),
                                   (f"in {parent}", of_parent, self.underlying_max)):
            if not count < limit:
                return Refuse("position_count", f"{count} open {what}, limit {limit}",
                              {"open": str(count), "limit": str(limit)})
        return Allow({"total": str(len(open_now)), "source": str(of_source), "underlying": str(of_parent)})
