"""Live accounts that nobody has confirmed are watched: read, reconciled and alarmed about, and left as they are."""

from decimal import Decimal

import msgspec
import pytest
from tests.house.repository import SOURCE, sources
from tests.scenarios.live import AT_LIVE, NUMBER, PERSON, SERVICE, confirm, live_text, look

from interlock.brokers.paper.frames import CancelFrame, LegFrame, PlaceFrame
from interlock.config.load import load_text
from interlock.engine.questions import digest_of, positions_state
from interlock.errors import ConfigError
from interlock.model.account import Mode
from interlock.model.command import Flatten, Kill, Killed, PositionAdopted, Release
from interlock.model.ids import AccountName
from interlock.model.order import OrderType, TimeInForce
from interlock.model.record import AccountFrozen, Alarm, AlarmCleared, Attempt, CancelRequested, IntentAbandoned, LiveStarted
from interlock.model.report import AccountRead, LineChanged, WriteRefused
from interlock.model.signal import Purpose, Side
from interlock.runtime.live import PHRASE, Start

HELD = {("live-a", "MES"): ("1", "1")}


@pytest.fixture
def trading(desk_of):
    """A live desk that holds a protected position in its confirmed account."""
    desk = desk_of(live_text(), start=PERSON, connect=AT_LIVE)
    desk.go(2)
    assert confirm(desk, "live-a").body["ok"]
    desk.go(1)
    desk.post(desk.alert())
    desk.go(2)
    assert desk.positions() == HELD
    return desk


@pytest.fixture
def crashed(trading):
    """The same directory after a crash, on its next process: nobody sits at its terminal."""
    trading.crash()
    desk = trading.again(start=SERVICE)
    desk.go(6)
    yield desk
    desk.crash()


def since_the_crash(desk, *kinds):
    with_start = desk.entries(LiveStarted, *kinds)
    last = max(at for at, entry in enumerate(with_start) if isinstance(entry, LiveStarted))
    return with_start[last + 1:]


def take_the_stop_away(desk) -> None:
    """The venue loses the stop while no desk looks, without anybody having asked."""
    desk.paper.venue.handle("cancel", msgspec.json.encode(CancelFrame("live-a", stop_of(desk))))


def stop_of(desk) -> str:
    return next(str(row["client_order_id"]) for row in desk.orders(purpose="protect", state="working"))


def alarms(desk) -> set[str]:
    return {alarm.key for alarm in since_the_crash(desk, Alarm)}


def test_after_a_crash_the_desk_reads_and_reconciles_and_says_that_it_watches(crashed):
    assert crashed.positions() == HELD
    assert since_the_crash(crashed, AccountRead), "it has read its accounts"
    assert "watch.desk" in alarms(crashed)
    assert look(crashed, "live-a")["number"] == NUMBER
    assert crashed.order_bytes == 0


def test_a_desk_that_watches_takes_no_entry_and_no_confirmation(crashed):
    refused = crashed.post(crashed.alert())
    crashed.go(2)

    assert "cleared" not in crashed.codes(refused.signal_id).values()
    assert confirm(crashed, "live-a").code == "confirm.watch"
    assert crashed.order_bytes == 0


def test_a_stop_that_is_lost_is_alarmed_about_and_not_placed_again(crashed):
    take_the_stop_away(crashed)
    crashed.go(70)

    assert any(key.startswith("protection.live-a.MES") for key in alarms(crashed))
    assert since_the_crash(crashed, Attempt) == []
    assert crashed.order_bytes == 0


def test_a_strategys_exit_is_not_carried_out_and_leaves_the_stop_where_it_is(crashed):
    crashed.post(crashed.alert("close"))
    crashed.go(10)

    assert crashed.positions() == HELD, "half an exit would have been a position without a stop"
    assert since_the_crash(crashed, Attempt, CancelRequested) == []
    assert {entry.code for entry in since_the_crash(crashed, IntentAbandoned)} >= {"watch"}
    assert "watch.live-a.MES" in alarms(crashed)


def test_a_kill_is_taken_at_once_and_keeps_the_stop(crashed):
    told = crashed.command(Kill(why="what is this"))
    crashed.go(3)

    assert told["killed"]
    assert crashed.entries(Killed)
    assert crashed.positions() == HELD


def test_a_kill_of_the_stops_too_takes_the_accounts_number(crashed):
    crashed.command(Kill(why="all of it", scope="all"))
    crashed.go(3)
    assert crashed.positions() == HELD, "the kill stands, the stop of a position that nobody confirmed does too"

    crashed.command(Kill(why="all of it", scope="all", account=AccountName("live-a"), typed=NUMBER))
    crashed.go(3)
    assert crashed.positions() == {("live-a", "MES"): ("1", "0")}


def test_a_flatten_takes_the_number_of_the_one_account(crashed):
    assert crashed.command(Flatten(why="out"))["code"] == "watch.one_account"
    assert crashed.command(Flatten(why="out", account=AccountName("live-a")))["code"] == "watch.number"
    assert crashed.command(Flatten(why="out", account=AccountName("live-a"), typed=NUMBER[:-1]))["code"] == "watch.number"
    assert crashed.order_bytes == 0


@pytest.fixture
def naked(desk_of):
    """A crash between the fill of an entry and its stop, at a venue that knows no brackets."""
    desk = desk_of(live_text(**{"has_native_brackets = true ": "has_native_brackets = false "}), start=PERSON, connect=AT_LIVE)
    desk.go(2)
    assert confirm(desk, "live-a").body["ok"]
    place = desk.built.desk._place

    async def only_entries(attempt, clearance):
        if attempt.order.purpose is Purpose.ENTER:
            await place(attempt, clearance)

    desk.built.desk._place = only_entries
    desk.post(desk.alert())
    desk.go(2)
    assert desk.booked() == {("live-a", "MES"): "1"}
    desk.crash()
    return desk


def test_a_missing_stop_is_alarmed_about_and_placed_when_a_person_has_confirmed(naked):
    desk = naked.again(start=SERVICE)
    desk.go(90)
    assert desk.positions() == {("live-a", "MES"): ("1", "0")}
    assert {"protection.live-a.MES", "watch.live-a.MES"} <= alarms(desk)
    assert since_the_crash(desk, Attempt) == []
    assert desk.order_bytes == 0
    desk.stop()

    back = desk.again(start=PERSON)
    back.go(6)
    assert back.order_bytes == 0
    assert confirm(back, "live-a").body["ok"]
    back.go(6)
    assert back.positions() == HELD
    assert "watch.live-a.MES" in {cleared.key for cleared in back.entries(AlarmCleared)}
    back.crash()


def test_a_flatten_with_the_number_closes_the_position_and_nothing_else_is_placed(crashed):
    seen = digest_of(positions_state(crashed.built.engine, AccountName("live-a"), None))

    told = crashed.command(Flatten(why="out", account=AccountName("live-a"), seen=seen, typed=NUMBER))
    crashed.go(10)

    assert told["ok"], told
    assert crashed.booked() == {}
    assert {entry.order.purpose for entry in since_the_crash(crashed, Attempt)} == {Purpose.FLATTEN}


def test_a_flatten_is_given_again_after_the_next_start(crashed):
    """What a person said to another process is no longer just said."""
    seen = digest_of(positions_state(crashed.built.engine, AccountName("live-a"), None))
    kept = crashed.withhold()
    crashed.command(Flatten(why="out", account=AccountName("live-a"), seen=seen, typed=NUMBER))
    crashed.go(3)
    assert kept
    crashed.crash()

    again = crashed.again(start=SERVICE)
    again.go(30)
    assert again.booked() == {("live-a", "MES"): "1"}
    assert again.order_bytes == 0
    again.crash()


def test_a_start_after_a_crash_by_a_person_waits_for_the_confirmation_too(trading):
    trading.crash()
    desk = trading.again(start=PERSON)
    desk.go(6)

    (_, began) = desk.entries(LiveStarted)
    assert not began.is_watch
    assert "did not stop in order" in began.why
    desk.post(desk.alert("close"))
    desk.go(3)
    assert desk.order_bytes == 0

    assert confirm(desk, "live-a").body["ok"]
    desk.go(1)
    desk.post(desk.alert("close"))
    desk.go(3)
    assert desk.booked() == {}
    desk.crash()


def test_a_person_who_only_wants_to_look_places_nothing(trading):
    trading.stop()
    desk = trading.again(start=Start("alice", "/dev/pts/1", PHRASE, wants_watch=True))
    desk.go(6)

    assert confirm(desk, "live-a").code == "confirm.watch"
    assert desk.order_bytes == 0
    desk.crash()


@pytest.mark.parametrize("action", ["buy", "close"])
def test_safebroker_refuses_on_its_own_evidence_whatever_the_engine_thinks(trading, action):
    """The engine believes the account confirmed; the record that SafeBroker reads says otherwise."""
    desk = trading
    if action == "buy":
        desk.post(desk.alert("close"))
        desk.go(90)
    desk.built.watch.confirmed._numbers.clear()
    sent = desk.order_bytes

    asked = desk.post(desk.alert(action))
    desk.go(2)

    assert asked.body["status"] == "accepted"
    assert {entry.code for entry in desk.entries(WriteRefused)} == {"safe.unconfirmed"}
    assert desk.order_bytes == sent


def test_safebroker_refuses_when_the_broker_changes_its_environment(trading):
    """Its own evidence again: the endpoint that answered last."""
    desk = trading
    desk.safe("live-a")._endpoints[AccountName("live-a")] = "paper"
    sent = desk.order_bytes

    desk.post(desk.alert("close"))
    desk.go(2)

    assert {entry.code for entry in desk.entries(WriteRefused)} == {"safe.environment"}
    assert desk.order_bytes == sent


# -- what it never does by itself


def test_a_kill_never_flattens(trading):
    trading.command(Kill(why="news"))
    trading.go(120)

    assert trading.positions() == HELD
    assert [entry for entry in trading.entries(Attempt) if entry.order.purpose is Purpose.FLATTEN] == []


def test_a_line_that_was_lost_is_not_opened_again_and_trading_not_taken_up_by_itself(trading):
    trading.paper.wire.disconnect("cable pulled")
    trading.go(120)

    assert not any(isinstance(entry, LineChanged) and entry.is_up and entry.connection > 1
                   for entry in trading.entries(LineChanged)), "nobody asked for a new connection"
    refused = trading.post(trading.alert())
    trading.go(2)
    assert "cleared" not in trading.codes(refused.signal_id).values()


def test_a_difference_is_adopted_by_nobody_but_a_person(trading):
    leg = LegFrame(id="by-hand", role="entry", purpose=Purpose.ENTER, side=Side.BUY, quantity=Decimal(1), type=OrderType.MARKET,
                   tif=TimeInForce.GTC)
    trading.paper.venue.handle("place", msgspec.json.encode(PlaceFrame("live-a", "MNQ", [leg])))
    trading.go(120)

    assert trading.booked()[("live-a", "MNQ")] == "1", "and it is not sold away"
    assert trading.entries(PositionAdopted) == []
    assert any(entry.code == "drift" for entry in trading.entries(AccountFrozen))


@pytest.mark.parametrize("mode", ["dry", "shadow", "semi", "LIVE", "live-but-not-really", "", "paper,live"])
def test_there_is_no_mode_between_paper_and_live(mode):
    assert [each.value for each in Mode] == ["paper", "live"]
    with pytest.raises(ConfigError, match="mode"):
        load_text(live_text(**{'mode = "live" ': f'mode = "{mode}" '}), "a test", {})


def test_nothing_starts_a_gateway():
    """No process is started by anything that runs with the desk; a drill starts a venue and a desk of its own."""
    rooms = ("engine", "execution", "brokers", "runtime", "web", "health")
    found = [path for path in sources() if path.relative_to(SOURCE).parts[0] in rooms
             and any(word in path.read_text() for word in ("subprocess", "os.exec", "os.spawn", "Popen", "os.system"))]

    assert {path.name for path in found} <= {"drill.py"}


def test_a_released_kill_does_not_confirm_an_account(crashed):
    crashed.command(Kill(why="news"))
    crashed.command(Release(phrase="RELEASE THE KILL"))
    refused = crashed.post(crashed.alert())
    crashed.go(2)

    assert "cleared" not in crashed.codes(refused.signal_id).values()


def test_a_confirmed_position_is_worth_what_the_broker_says(trading):
    trading.go(31)
    row = look(trading, "live-a")

    assert row["confirmed"]
    assert row["positions"] == [{"instrument": "MES", "quantity": "1"}]
    assert abs(Decimal(row["net_liquidation"]) - Decimal(50_000)) < 50
