"""Each latch: what sets it, what alone lifts it, whom it reaches and how it is told."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from interlock.engine.latches import Latches, Line
from interlock.model.command import AccountDisabled, AccountEnabled, Enabled, Killed, Reconnecting, Released
from interlock.model.ids import AccountName, LaneName, StrategyName
from interlock.model.record import (
    AccountFrozen,
    AccountThawed,
    RecordVerified,
    Started,
    StrategyDisabled,
    StrategyEnabled,
)
from interlock.model.report import AccountRead, LineChanged, ReadFailed

A, B, STRANGE = AccountName("a"), AccountName("b"), AccountName("strange")
LANE, STRATEGY = LaneName("main"), StrategyName("drive")


def killed(lane: str | None = None, account: str | None = None, epoch: int = 1, why: str = "why") -> Killed:
    return Killed(None if lane is None else LaneName(lane), None if account is None else AccountName(account), "risk", why,
                  epoch, (), ())


def read_of(account: AccountName, connection: int = 1) -> AccountRead:
    return AccountRead(account=account, connection=connection, account_id="P-1", environment="paper_sim", endpoint="paper",
                       currency="USD", cash=Decimal(1), positions=(), orders=(), fills=(), ts_event=1)


def started(unverified: int = 0) -> Started:
    return Started("", "", 0, {}, True, 0, unverified)


@dataclass
class Fold:
    """Latches of two accounts, told one thing per nanosecond."""

    latches: Latches = field(default_factory=lambda: Latches((A, B)))
    ts: int = 0

    def tell(self, *payloads: Any) -> Latches:
        for payload in payloads:
            self.ts += 1
            self.latches.apply(payload, self.ts)
        return self.latches


def after(*payloads: Any) -> Latches:
    return Fold().tell(*payloads)


def test_in_the_beginning_nothing_is_known_and_nothing_latched():
    latches = Latches((A,))

    assert latches.kill_epoch == 0
    assert latches.lines == {A: Line(False, 0, None, None, None, "", False, False)}
    assert (latches.latched, latches.kills, latches.strategies_off, latches.disabled) == ({}, {}, {}, {})
    assert (latches.frozen_by(A), latches.freezes(A), latches.killed_by("main", A)) == (None, {}, None)


# -- kills

@pytest.mark.parametrize(("lane", "account", "spelled"), [
    (None, None, "everything"), ("main", None, "lane main"), (None, "a", "account a"), ("main", "a", "lane main account a"),
])
def test_a_kill_is_told_by_what_it_reaches(lane, account, spelled):
    latches = after(killed(lane, account, 7, "drill"))

    assert latches.killed_by("main", "a") == f"killed ({spelled}): drill"
    assert latches.kills == {spelled: "drill"}
    assert latches.latched == {(lane, account): ("drill", 7)}
    assert latches.is_killed(lane, account)
    assert not latches.is_killed("other", account)


def test_a_release_lifts_its_own_reach_and_forgets_its_epoch():
    latches = after(killed(None, "a", 1), killed(None, None, 2), Released(None, A, 3))

    assert latches.latched == {(None, None): ("why", 2)}
    assert latches.kill_epoch == 3
    assert latches._kill_epochs == {"|": 2}
    assert after(killed(), Released(None, None, 2), Released(None, B, 3)).latched == {}


def test_a_kill_of_an_older_record_has_no_epoch_of_its_own():
    latches = after(killed(None, None, 5))
    latches._kill_epochs.clear()       # a snapshot of before it was kept

    assert latches.latched == {(None, None): ("why", 0)}


# -- strategies and accounts

def test_a_strategy_is_off_for_the_first_reason_until_it_is_enabled():
    fold = Fold()
    fold.tell(StrategyDisabled(LANE, STRATEGY, "three rejects", "rejects"), StrategyDisabled(LANE, STRATEGY, "again", "broke"))

    assert fold.latches.strategies_off == {(LANE, STRATEGY): ("rejects", "three rejects")}
    assert fold.latches.strategy_off(LANE, STRATEGY) == "three rejects"
    assert fold.latches.strategy_off("other", STRATEGY) is None
    fold.tell(StrategyEnabled(LANE, STRATEGY), StrategyEnabled(LANE, STRATEGY))
    assert fold.latches.strategy_off(LANE, STRATEGY) is None


def test_an_account_is_disabled_until_a_person_enables_it():
    fold = Fold()

    assert fold.tell(AccountDisabled(A, "mine")).disabled == {A: "mine"}
    assert fold.tell(AccountEnabled(B), AccountEnabled(A)).disabled == {}


def test_an_account_is_frozen_while_one_reason_stands():
    fold = Fold()
    fold.tell(AccountFrozen(A, "drift", "books differ"), AccountFrozen(A, "loss", "enough"))

    assert fold.latches.frozen_by(A) == "drift: books differ; loss: enough"
    assert fold.latches.freezes(A) == {"drift": "books differ", "loss": "enough"}
    assert fold.latches.is_frozen_for(A, "loss")
    assert not fold.latches.is_frozen_for(B, "loss")
    fold.tell(AccountThawed(A, "drift"), AccountThawed(A, "never"), AccountThawed(STRANGE, "drift"))
    assert fold.latches.frozen_by(A) == "loss: enough"
    fold.tell(AccountThawed(A, "loss"))
    assert fold.latches.frozen_by(A) is None
    assert fold.latches.frozen_by(STRANGE) is None


# -- lines

def test_a_line_that_goes_down_is_lost_until_a_person_says_otherwise():
    fold = Fold()
    fold.tell(LineChanged(A, False, 0, "refused"))
    assert not fold.latches.lines[A].is_lost, "it had never been up"
    fold.tell(LineChanged(A, True, 1, "connected"))
    assert not fold.latches.lines[A].is_lost
    fold.tell(LineChanged(A, True, 1, "still connected"))
    assert not fold.latches.lines[A].is_lost
    assert fold.latches.is_up(A)
    assert not fold.latches.is_up(STRANGE)
    fold.tell(LineChanged(A, False, 1, "reset"))

    assert fold.latches.lines[A] == Line(False, 1, None, None, None, "reset", True, False)
    assert not fold.latches.is_up(A)
    fold.tell(LineChanged(A, True, 2, "connected"))
    assert fold.latches.lines[A].is_lost, "that it is back does not say that it stays"
    fold.tell(Enabled("offline.strange"), Enabled("loss.a"), Enabled("offline.b"))
    assert fold.latches.lines[A].is_lost
    fold.tell(Enabled("offline.a"))
    assert not fold.latches.lines[A].is_lost


def test_a_line_proves_itself_from_its_beginning_and_its_proof_never_goes_back():
    fold = Fold()
    fold.tell(LineChanged(A, True, 1, "connected"))
    assert fold.latches.lines[A].ts_proof == 1

    fold.latches.on_proof(A, 9)
    assert fold.latches.lines[A].ts_proof == 9
    fold.latches.on_proof(A, 8)
    fold.latches.on_proof(STRANGE, 10)
    assert fold.latches.lines[A].ts_proof == 9
    fold.latches.lines[A].ts_proof = None
    fold.latches.on_proof(A, 3)
    assert fold.latches.lines[A].ts_proof == 3
    fold.tell(LineChanged(A, False, 1, "reset"))
    fold.latches.on_proof(A, 99)
    assert fold.latches.lines[A].ts_proof is None, "nothing is proved over a line that is down"


@pytest.mark.parametrize("heard", [ReadFailed(A, "no"), LineChanged(A, True, 2, ""), LineChanged(A, False, 2, ""), read_of(A),
                                   started()])
def test_a_new_connection_is_being_asked_for_until_something_is_heard(heard):
    fold = Fold()

    assert fold.tell(Reconnecting(A)).lines[A].is_connecting
    assert not fold.tell(heard).lines[A].is_connecting


def test_a_whole_read_over_this_connection_opens_the_gate():
    fold = Fold()
    fold.tell(LineChanged(A, True, 2, "connected"))
    assert fold.latches.freezes(A) == {"start_gate": "no whole read of the account on this connection"}
    fold.tell(read_of(A, 1))
    assert fold.latches.is_frozen_for(A, "start_gate"), "an answer over the line before"
    assert fold.latches.lines[A].ts_proof == 1

    fold.tell(read_of(A, 2))

    assert fold.latches.freezes(A) == {}
    line = fold.latches.lines[A]
    assert (line.ts_proof, line.account_id, line.environment) == (3, "P-1", "paper_sim")


def test_a_read_over_a_line_that_is_down_opens_nothing():
    fold = Fold()
    fold.tell(LineChanged(A, True, 1, ""), LineChanged(A, False, 1, "reset"), read_of(A, 1))

    assert fold.latches.is_frozen_for(A, "start_gate")
    assert fold.latches.lines[A].ts_proof is None


# -- a start

def test_a_start_lowers_every_line_and_waits_for_a_read_of_each_account():
    fold = Fold()
    fold.tell(LineChanged(A, True, 1, ""), read_of(A), Reconnecting(A), started(), LineChanged(STRANGE, True, 1, ""), started(5))

    line = fold.latches.lines[A]
    assert (line.is_up, line.ts_proof, line.is_connecting, line.is_lost) == (False, None, False, False)
    for account in (A, B):
        assert set(fold.latches.freezes(account)) == {"start_gate", "unverified"}
    assert fold.latches.freezes(STRANGE) == {}, "one that is not configured waits for nothing"
    fold.tell(RecordVerified(5))
    assert fold.latches.freezes(A) == {"start_gate": "no whole read of the account since the start"}
    assert set(fold.tell(started(5), started()).freezes(B)) == {"start_gate"}


def test_a_snapshot_holds_every_latch():
    fold = Fold()
    fold.tell(killed("main", "a", 4), AccountDisabled(B, "mine"), AccountFrozen(A, "drift", "differ"),
              StrategyDisabled(LANE, STRATEGY, "rejects", "code"), LineChanged(A, True, 3, "up"),
              LineChanged(A, False, 3, "down"))

    other = Latches((A, B))
    other.restore(fold.latches.snapshot())

    assert other.__dict__ == fold.latches.__dict__
