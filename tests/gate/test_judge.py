"""The judge: what becomes of checks that break, forget to answer or answer for others, and of what is composed."""

import dataclasses
import operator
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.gate.world import (
    RULES,
    D,
    a_definition,
    a_mark,
    a_view,
    an_exit,
    asked,
    compose,
    holding,
    refusals,
    verdict_of,
)

from interlock.errors import ConfigError, InputError, Unsupported
from interlock.gate.guards.table import APPLIES, Inapplicable
from interlock.gate.judge import ask, judge
from interlock.gate.phases.regime import RegimeConditions
from interlock.gate.reevaluate import reevaluate
from interlock.gate.registry import GateRules, Registry, checks_for, registry_digest
from interlock.gate.rules import rule_checks
from interlock.gate.sizing import SizingRules, size
from interlock.model.instrument import INSTRUMENTS
from interlock.model.order import Order, OrderType, Profile
from interlock.model.signal import Purpose, Side, Source
from interlock.model.verdict import (
    Allow,
    Cleared,
    NotApplicable,
    NotEvaluated,
    NotRequired,
    Refuse,
    Refused,
    Sized,
    SizedIntent,
    Verdict,
)


@dataclass(frozen=True)
class Saying:
    """A check that answers whatever it was given, or raises it."""

    answer: object
    name: ClassVar[str] = "test.saying"
    needs_quantity: ClassVar[bool] = False

    def check(self, intent, view):
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


def judged(*extra, view=None, compose=compose, rules=RULES):
    view = view or a_view()
    checks = (*checks_for(Profile.ENTER, Source.BARS, rules), *extra)
    verdict: Any = judge(asked(view), view, checks, compose, rules, "c" * 64)
    return verdict


@pytest.mark.parametrize(("answer", "code"), [
    (ValueError("broken"), "check_failed"), (RecursionError(), "check_failed"), (AssertionError(), "check_failed"),
    (None, "no_verdict"), (True, "no_verdict"), ("allow", "no_verdict"), (Allow, "no_verdict"),
    (NotApplicable("not me"), "no_verdict"), (NotRequired("not me"), "no_verdict"),
    (NotEvaluated("later"), "no_verdict"), (Refuse("no", "no"), "no"),
])
def test_whatever_is_no_plain_allow_refuses(answer, code):
    verdict = judged(Saying(answer))

    assert not verdict.is_cleared
    assert refusals(verdict) == {"test.saying": code}
    assert verdict.result.code == code


def test_a_plain_allow_clears():
    assert judged(Saying(Allow())).is_cleared


@pytest.mark.parametrize("broken", range(len(checks_for(Profile.ENTER, Source.BARS, RULES))))
@pytest.mark.parametrize("answer", [RuntimeError("broken"), None])
def test_each_check_of_the_list_is_needed(broken, answer):
    checks = list(checks_for(Profile.ENTER, Source.BARS, RULES))
    checks[broken] = Saying(answer)
    view = a_view()

    assert not judge(asked(view), view, checks, compose, RULES, "").is_cleared


def test_a_check_that_takes_long_is_named():
    class Slow:
        def __init__(self):
            self.time, self.heard = 0, []

        def now(self):
            self.time += 6_000_000 if self.time == 11 else 1
            return self.time

        def slow(self, check, nanos):
            self.heard.append((check, nanos))

    watch, view = Slow(), a_view()

    verdict = judge(asked(view), view, checks_for(Profile.ENTER, Source.BARS, RULES), compose, RULES, "", watch)

    assert verdict.is_cleared
    assert len(watch.heard) == 1
    assert watch.heard[0][1] > 5_000_000


def test_without_checks_nothing_is_cleared():
    view = a_view()

    verdict: Any = judge(asked(view), view, (), compose, RULES, "")

    assert verdict.result.code == "no_checks"


def test_all_checks_are_asked_even_after_the_first_refusal():
    view = a_view(killed_by="all", account_equity=None, clock_offset=None)

    verdict = verdict_of(view)

    assert verdict.result.code == "killed"
    assert {"kill", "phase.2_balance", "guard.2_data_quality"} <= set(refusals(verdict))
    assert len(verdict.answers) == len(checks_for(Profile.ENTER, Source.BARS, RULES))


def test_a_size_that_its_confirmation_does_not_find_again_is_refused():
    view = a_view()
    other = dataclasses.replace(RULES, sizing=SizingRules(risk_per_trade=D(60)))

    verdict: Any = judge(asked(view), view, checks_for(Profile.ENTER, Source.BARS, other), compose, RULES, "")

    assert verdict.result.code == "size_differs"


def test_what_breaks_while_sizing_refuses():
    verdict = verdict_of(a_view(limits=None))

    assert (verdict.result.sized.code, verdict.result.sized.quantity) == ("size_failed", D(0))
    assert not verdict.is_cleared


def test_the_order_is_composed_only_when_everything_is_allowed():
    asked_for = []

    def counting(intent):
        asked_for.append(intent)
        return compose(intent)

    judged(view=a_view(killed_by="all"), compose=counting)
    assert asked_for == []
    judged(compose=counting)
    assert len(asked_for) == 1


def raising(error):
    def broken(_):
        raise error
    return broken


@pytest.mark.parametrize(("composing", "code"), [
    (raising(Unsupported("acme: no brackets")), "unsupported"), (raising(InputError("bad")), "compose_refused"),
    (raising(KeyError("x")), "compose_failed"), (lambda _: None, "compose_failed"),
])
def test_what_cannot_be_composed_is_refused(composing, code):
    verdict = judged(compose=composing)

    assert (verdict.result.code, refusals(verdict)) == (code, {"order.compose": code})


def altered(leg=0, **changes):
    def composing(intent):
        order = compose(intent)
        if "order" in changes:
            return msgspec.structs.replace(order, **changes["order"])
        legs = list(order.legs)
        legs[leg] = msgspec.structs.replace(legs[leg], **changes)
        return msgspec.structs.replace(order, legs=tuple(legs))
    return composing


@pytest.mark.parametrize("composing", [
    altered(quantity=D(6)), altered(side=Side.SELL), altered(purpose=Purpose.REDUCE),
    altered(order={"account": "other"}),
    altered(order={"instrument": "MES"}), altered(order={"signal_id": "t" * 18}), altered(1, quantity=D(6)),
    altered(1, stop=D("17980.00")), altered(1, side=Side.BUY), altered(1, purpose=Purpose.ENTER),
    altered(2, limit=D("18020.30")),
])
def test_an_order_that_is_not_what_was_asked_is_refused(composing):
    assert judged(compose=composing).result.code == "compose_mismatch"


def test_only_the_lane_without_detector_may_do_without_one():
    answer = ask(RegimeConditions(), verdict_sized(), a_view(regime_detector="none"))

    assert isinstance(answer, NotRequired)


def test_a_check_that_may_answer_otherwise_may_not_answer_nothing(monkeypatch):
    silent = Inapplicable("guard.8_day_type", Source.BARS)
    monkeypatch.setattr(silent, "_answer", None)
    assert cast(Any, ask(silent, verdict_sized(), a_view())).code == "no_verdict"

    monkeypatch.setattr(RegimeConditions, "check", lambda *_: NotApplicable("not me"))
    assert cast(Any, ask(RegimeConditions(), verdict_sized(), a_view())).code == "no_verdict"


@pytest.mark.parametrize(("sizing", "why"), [(ValueError("broken"), "ValueError('broken')"), (None, "None")])
def test_a_broken_size_is_none_at_all(monkeypatch, sizing, why):
    def broken(*_):
        if isinstance(sizing, Exception):
            raise sizing
        return sizing

    monkeypatch.setattr("interlock.gate.judge.size", broken)

    assert judged().result.sized == Sized(instrument="MNQ", quantity=D(0), risk=D(0), risk_per_unit=D(0), why=why,
                                          code="size_failed")


@pytest.mark.parametrize(("said", "code"), [("tier", "tier"), ("", "risk_budget")])
def test_without_a_size_nothing_is_cleared_even_where_everything_is_allowed(monkeypatch, said, code):
    sized = Sized(instrument="MNQ", quantity=D(0), risk=D(0), risk_per_unit=D(0), why="none", code=said)
    monkeypatch.setattr("interlock.gate.judge.size", lambda *_: sized)
    view = a_view()

    verdict: Any = judge(asked(view), view, [Saying(Allow())], compose, RULES, "")

    assert isinstance(verdict.result, Refused)
    assert verdict.result.code == code


@pytest.mark.parametrize(("took", "heard"), [(5_000_000, []), (5_000_001, [("test.saying", 5_000_001)])])
def test_a_check_is_slow_beyond_five_milliseconds(took, heard):
    class Watched:
        times: ClassVar[list[int]] = [1_000, 1_000 + took]
        heard: ClassVar[list[tuple[str, int]]] = []

        def now(self):
            return self.times.pop(0)

        def slow(self, check, nanos):
            self.heard.append((check, nanos))

    Watched.times, Watched.heard = [1_000, 1_000 + took], []
    view = a_view()

    judge(asked(view), view, [Saying(Allow())], compose, RULES, "", Watched())

    assert Watched.heard == heard


def test_the_micro_is_composed_on_the_tick_of_the_micro():
    fine = msgspec.structs.replace(INSTRUMENTS["MNQ"], increment=D("0.125"), tick=D("0.125"))
    view = a_view(instrument=INSTRUMENTS["NQ"], mark=a_mark("NQ"), micro=fine, micro_mark=a_mark("MNQ"),
                  micro_definition=a_definition("MNQ", tick=D("0.125")), micro_window=(D(17_990), D(18_010)))

    verdict = verdict_of(view, asked(view, stop=D("17990.125")))

    assert refusals(verdict) == {}
    assert verdict.result.order.instrument == "MNQ"


def test_an_order_in_something_that_the_view_does_not_show_is_refused(monkeypatch):
    sized = Sized(instrument="ES", quantity=D(5), risk=D(1), risk_per_unit=D(1), why="wrong")
    monkeypatch.setattr("interlock.gate.judge.size", lambda *_: sized)
    view = a_view()

    verdict: Any = judge(asked(view), view, [Saying(Allow())], compose, RULES, "")

    assert (verdict.result.code, verdict.result.reason) == ("compose_mismatch", "the view shows no ES")


def exit_judged(composing):
    view = holding()
    verdict: Any = judge(an_exit(view), view, checks_for(Profile.PROTECT, Source.BARS, RULES), composing, RULES, "")
    return verdict


def test_a_stop_that_was_moved_while_composing_is_refused():
    assert exit_judged(compose).is_cleared
    assert exit_judged(altered(stop=D("17980.00"))).result.code == "compose_mismatch"


def test_an_exit_may_carry_its_pair_on_its_own_side():
    def paired(intent):
        order = compose(intent)
        target = msgspec.structs.replace(order.parent, role="target", purpose=Purpose.TARGET, type=OrderType.LIMIT,
                                         limit=D("18020.25"), stop=None)
        return msgspec.structs.replace(order, legs=(order.parent, target))

    assert exit_judged(paired).is_cleared


def verdict_sized():
    view = a_view()
    return SizedIntent(asked(view), size(asked(view), view, RULES.sizing))


# -- the registry

ELEVEN = tuple(f"guard.{n}_" for n in range(1, 12))


@pytest.mark.parametrize("source", list(Source))
def test_the_enter_list_is_whole_and_in_order(source):
    names = [check.name for check in checks_for(Profile.ENTER, source, RULES)]

    assert names[:5] == ["kill", "truth", "account", "order.strategy", "order.tier"]
    assert [name.split("_")[0] for name in names[5:10]] == [f"phase.{n}" for n in range(1, 6)]
    assert all(name.startswith(prefix) for name, prefix in zip(names[10:21], ELEVEN, strict=True))
    assert names[21:] == [
        "order.instrument", "order.definition", "order.reversal", "order.self_trade", "order.tick_and_lot", "order.bracket",
        "order.collar", "order.price_window", "order.duplicate", "order.rate", "order.value_rate", "order.margin",
        "order.provenance"]
    assert len(names) == len(set(names))
    assert tuple(APPLIES) == tuple(names[10:21])


@pytest.mark.parametrize("profile", [Profile.PROTECT, Profile.REDUCE, Profile.FLATTEN])
def test_exits_are_asked_their_own_checks(profile):
    names = [check.name for check in checks_for(profile, Source.BARS, RULES)]

    assert not [name for name in names if name.startswith(("phase", "guard", "kill", "truth"))]
    assert {"exit.account", "exit.position", "exit.never_crosses_zero", "order.tick_and_lot", "order.wide_collar"
            } <= set(names)
    assert ("exit.person" in names) is (profile is Profile.FLATTEN)


def test_the_table_of_sources_cannot_be_written_to():
    with pytest.raises(TypeError):
        operator.setitem(cast(Any, APPLIES), "guard.8_day_type", frozenset())


def test_no_number_of_the_rules_takes_a_check_away():
    emptied = GateRules(packs=())
    for item in dataclasses.fields(emptied):
        assert item.name != "enabled"
    assert len(checks_for(Profile.ENTER, Source.BARS, emptied)) == 34


def test_the_digest_names_the_list_in_order():
    registry = Registry(RULES)
    bars, alerts = registry.checks(Profile.ENTER, Source.BARS), registry.checks(Profile.ENTER, Source.ALERTS)

    assert bars.digest == registry_digest(bars) == verdict_of(a_view()).checks
    assert registry_digest(reversed(bars)) != bars.digest
    assert registry.checks(Profile.PROTECT, Source.BARS).digest != bars.digest
    assert alerts.digest == bars.digest, "the same names; what does not apply is an answer"


def test_the_checks_of_a_pack_are_asked_in_their_order():
    class Pack:
        def __init__(self, name, *answers):
            self.name, self.read_on, self._checks = name, "2026-01-02", tuple(Saying(answer) for answer in answers)

        def checks(self):
            return self._checks

    packs = {"acme.50k": Pack("acme.50k", 1, 2), "other.25k": Pack("other.25k", 3)}

    assert [cast(Any, check).answer for check in rule_checks(("other.25k", "acme.50k"), packs)] == [3, 1, 2]
    with pytest.raises(ConfigError, match=r"\(acme.50k, other.25k\), found 'none'"):
        rule_checks(("none",), packs)


def test_a_rule_pack_that_does_not_exist_is_a_configuration_error():
    with pytest.raises(ConfigError, match="none is shipped"):
        rule_checks(("acme.50k",))


# -- again, from the record

def recorded(verdict):
    """As the journal gives it back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(verdict), type=Verdict)


@pytest.mark.parametrize("view", [a_view(), a_view(killed_by="all"), a_view(tier=4), a_view(source=Source.ALERTS),
                                  a_view(account_equity=None), a_view(regime_detector="none")])
def test_a_recorded_verdict_repeats_itself_to_the_bit(view):
    verdict = recorded(verdict_of(view))

    assert reevaluate(verdict, checks_for(Profile.ENTER, view.source, RULES), RULES) == []


def test_a_recorded_exit_repeats_itself_to_the_bit():
    view = holding()
    verdict = recorded(verdict_of(view, an_exit(view)))

    assert reevaluate(verdict, checks_for(Profile.PROTECT, view.source, RULES), RULES, compose) == []


def test_one_changed_limit_input_and_line_are_three_named_differences():
    verdict = recorded(verdict_of(a_view()))
    rules = dataclasses.replace(RULES, sizing=SizingRules(risk_per_trade=D(60)))
    checks = checks_for(Profile.ENTER, Source.BARS, RULES)

    by_limit = reevaluate(verdict, checks_for(Profile.ENTER, Source.BARS, rules), rules)
    by_input = reevaluate(msgspec.structs.replace(verdict, view=a_view(mark_ask_size=1)), checks, RULES)
    by_line = reevaluate(verdict, [Saying(Refuse("rewritten", "line")) if check.name == "kill" else check
                                   for check in checks], RULES)

    assert {"size", "phase.5_size", "result"} <= {change.check for change in by_limit}
    assert [change.check for change in by_input] == ["guard.10_liquidity", "order.compose", "result"]
    assert {"checks", "kill", "test.saying"} <= {change.check for change in by_line}
    assert "thin" in by_input[0].now


def test_a_composition_of_today_is_held_against_the_recorded_order():
    verdict = recorded(verdict_of(a_view()))
    checks = checks_for(Profile.ENTER, Source.BARS, RULES)

    assert [change.check for change in reevaluate(verdict, checks, RULES, altered(order={"generation": 1}))] == ["result"]
    assert reevaluate(verdict, checks, RULES, compose) == []


def test_a_recorded_refusal_holds_no_order_to_stand_in():
    verdict = recorded(verdict_of(a_view(killed_by="all")))
    allowed = msgspec.structs.replace(verdict, view=a_view())

    changed = {change.check: change for change in reevaluate(allowed, checks_for(Profile.ENTER, Source.BARS, RULES), RULES)}

    assert set(changed) == {"kill", "order.compose", "result"}
    assert changed["order.compose"].recorded == ""
    assert "compose_refused" in changed["order.compose"].now


@given(st.integers(0, 2), st.sampled_from(["100", "120", "137.5"]), st.integers(1, 400))
def test_a_cleared_order_never_loses_more_than_the_cap(tier, cap, ticks):
    view = a_view(tier=tier)
    stop = D("18000.25") - ticks * D("0.25")
    rules = dataclasses.replace(RULES, sizing=SizingRules(risk_per_trade=D(cap)))

    verdict = verdict_of(view, asked(view, stop=stop), rules)

    if isinstance(verdict.result, Cleared):
        order: Order = verdict.result.order
        # by hand: the distance, one tick of slippage and two fees, per contract
        loss = order.parent.quantity * ((ticks + 1) * D("0.50") + 2 * D("0.62"))
        assert loss == verdict.result.sized.risk <= D(cap)
    else:
        assert isinstance(verdict.result, Refused)
