"""What is set stays set until the one thing that lifts it; a snapshot and a fold of the record agree."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from interlock.engine.latches import Latches
from interlock.model.command import AccountDisabled, AccountEnabled, Killed, Released
from interlock.model.ids import AccountName, LaneName
from interlock.model.record import AccountFrozen, AccountThawed, Started
from interlock.model.report import AccountRead, LineChanged

A, B = AccountName("a"), AccountName("b")
LANE = LaneName("main")


def killed(lane=None, account=None, epoch=1):
    return Killed(lane, account, "risk", "why", epoch, (), ())


def test_a_kill_reaches_what_it_names_and_nothing_else():
    latches = Latches((A, B))
    latches.apply(killed(account=A), 1)

    assert latches.killed_by("main", A)
    assert latches.killed_by("main", B) is None

    latches.apply(killed(lane=LANE, epoch=2), 2)
    assert latches.killed_by("main", B)
    assert latches.killed_by("other", B) is None

    latches.apply(Released(None, A, 3), 3)
    assert latches.killed_by("main", A), "the lane's kill stands when the account's is released"
    latches.apply(Released(LANE, None, 4), 4)
    assert latches.killed_by("main", A) is None
    assert latches.kill_epoch == 4, "a release moves the epoch too: what was signed before it stays dead"


def test_a_new_process_has_proved_nothing():
    latches = Latches((A,))
    latches.apply(LineChanged(A, True, 1, "connected"), 5)
    assert latches.lines[A].is_up

    latches.apply(Started("", "", 0, {}, True), 9)

    assert not latches.lines[A].is_up
    assert "start_gate" in (latches.frozen_by(A) or "")


PAYLOADS = st.one_of(
    st.builds(killed, st.sampled_from([None, LANE]), st.sampled_from([None, A, B]), st.integers(1, 9)),
    st.builds(Released, st.sampled_from([None, LANE]), st.sampled_from([None, A, B]), st.integers(1, 9)),
    st.builds(AccountDisabled, st.sampled_from([A, B]), st.just("why")), st.builds(AccountEnabled, st.sampled_from([A, B])),
    st.builds(AccountFrozen, st.sampled_from([A, B]), st.sampled_from(["drift", "protection"]), st.just("why")),
    st.builds(AccountThawed, st.sampled_from([A, B]), st.sampled_from(["drift", "protection"])),
    st.builds(LineChanged, st.sampled_from([A, B]), st.booleans(), st.integers(1, 3), st.just("")))


def state(latches):
    return [latches.kills, latches.kill_epoch, latches.disabled, latches.lines, [latches.frozen_by(name) for name in (A, B)]]


@given(st.lists(PAYLOADS, max_size=20), st.integers(0, 20))
def test_a_snapshot_anywhere_and_the_rest_of_the_record_come_to_the_same(payloads, at):
    whole, first, second = Latches((A, B)), Latches((A, B)), Latches((A, B))
    for ts, payload in enumerate(payloads):
        whole.apply(payload, ts)
        if ts < at:
            first.apply(payload, ts)
    second.restore(first.snapshot())
    for ts, payload in list(enumerate(payloads))[at:]:
        second.apply(payload, ts)

    assert state(second) == state(whole)


def read_of(account):
    return AccountRead(account=account, connection=1, account_id="1", environment="paper_sim", endpoint="paper", currency="USD",
                       cash=Decimal(1), positions=(), orders=(), fills=(), ts_event=1)


def test_an_account_that_is_configured_no_more_stops_no_start_and_forgets_nothing():
    before = Latches((A, B))
    before.apply(AccountFrozen(B, "offline", "lost"), 1)
    body = before.snapshot()
    without = Latches((A,))
    without.restore(body)
    without.apply(read_of(B), 2)
    without.apply(Started("", "", 0, {}, True), 3)
    assert not without.is_frozen_for(B, "start_gate"), "nobody waits for it"

    again = Latches((A, B))
    again.restore(without.snapshot())
    assert again.is_frozen_for(B, "offline"), "what stopped it stops it when it is back"


def test_what_an_earlier_start_had_to_check_is_no_matter_of_this_one():
    latches = Latches((A,))
    latches.apply(Started("", "", 0, {}, True, 0, 5), 1)
    assert latches.is_frozen_for(A, "unverified")

    latches.apply(Started("", "", 0, {}, True, 0, 0), 2)

    assert not latches.is_frozen_for(A, "unverified")
