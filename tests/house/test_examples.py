"""Every example loads and does what it says."""

import importlib.util
import re
import sys
import tomllib
from decimal import Decimal

import pytest
from tests.house.repository import ROOT, files

from interlock.config import build
from interlock.config.load import load_text
from interlock.decisions.strategy import FLAT, Moment, PositionView, Strategy
from interlock.features.table import FeatureTable
from interlock.model.instrument import INSTRUMENTS
from interlock.model.market import Bar, Provenance
from interlock.model.money import MINUTE
from interlock.model.signal import Enter, Exit, Hold, Side
from interlock.runtime.replay import replay

EXAMPLES = ROOT / "examples"
KNOWN = {"interlock-lanes.toml", "send_alert.py", "mnq_1m.csv", "Caddyfile", "three_bars/pyproject.toml",
         "three_bars/three_bars.py"}


def module(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = found
    spec.loader.exec_module(found)
    return found


def test_no_example_is_without_a_test():
    found = {path.relative_to(EXAMPLES).as_posix() for path in files() if path.is_relative_to(EXAMPLES)}

    assert found == KNOWN


def test_three_lanes_are_a_configuration_that_starts():
    loaded = load_text((EXAMPLES / "interlock-lanes.toml").read_text(), "the example", {})

    setup = build.setup(loaded.config, digest=loaded.digest, epoch=1, state_id="example", clock="wall", is_simulated=True,
                        fed=[(symbol, MINUTE) for symbol in loaded.config.feeds.simulated.instruments])

    assert set(setup.lanes) == {"combined", "futures", "crypto"}
    assert [(seat.lane, seat.instrument.symbol) for seat in setup.seats] == [("combined", "MNQ")]
    assert set(build.intake_stage(loaded.config, setup.sessions).fires_left()) <= set(setup.lanes)


def test_a_recording_replays_with_round_trips_and_is_the_one_that_its_tool_makes():
    from tools.make_example_recording import TARGET, recording

    answer = replay([f"MNQ={TARGET}"])

    assert TARGET.read_text() == recording(), "run `python tools/make_example_recording.py`"
    assert answer["bars"] == 1440
    assert answer["dropped"] == {}
    assert answer["fills"] > 0
    assert {row["account"] for row in answer["results"]} == {"paper-a", "paper-b"}


@pytest.fixture(scope="module")
def three_bars():
    return module(EXAMPLES / "three_bars" / "three_bars.py").ThreeBars


def test_a_strategy_package_offers_its_strategy(three_bars):
    project = tomllib.loads((EXAMPLES / "three_bars" / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["interlock.strategies"] == {"three_bars": "three_bars:ThreeBars"}
    assert issubclass(three_bars, Strategy)


def moment(strategy, last, position=FLAT):
    """Thirty bars that rise by two ticks each, then `last` as (open, high, low, close) in ticks from the last close."""
    mnq = INSTRUMENTS["MNQ"]
    table = FeatureTable(mnq, MINUTE, strategy.needs.features)
    price = 80_000
    for minute in range(31):
        first, high, low, close = (0, 4, -2, 2) if minute < 30 else last
        bar = Bar("MNQ", MINUTE, price + first, price + high, price + low, price + close, 100, minute * MINUTE,
                  (minute + 1) * MINUTE, Provenance.PLAYBACK)
        row, price = table.step(bar), bar.close
    return Moment(bar, row, "none", position, mnq, bar.ts_known)


def test_a_wide_bar_away_from_the_mean_is_bought_with_a_stop_below(three_bars):
    answer = three_bars().decide(moment(three_bars(), (0, 30, -2, 28)))

    assert isinstance(answer, Enter)
    assert answer.side is Side.BUY
    close = Decimal("20022.00")                  # 80 000 + 30 * 2 + 28 increments of 0.25
    assert answer.target is not None
    assert answer.stop < close < answer.target


def test_an_ordinary_bar_is_let_go(three_bars):
    assert three_bars().decide(moment(three_bars(), (0, 4, -2, 2))) == Hold("an ordinary bar")


def test_a_position_ends_when_the_close_is_back_at_the_mean(three_bars):
    held = PositionView(Side.BUY, Decimal(1))

    assert three_bars().decide(moment(three_bars(), (0, 2, -60, -58), held)) == Exit("back at the mean")


def test_the_proxy_example_points_at_the_hook_port_alone():
    text = (EXAMPLES / "Caddyfile").read_text()

    assert re.findall(r"reverse_proxy (\S+)", text) == ["127.0.0.1:8701"]
    assert "handle /hook/*" in text


def test_the_sender_says_how_it_is_used(capsys, monkeypatch):
    sender = module(EXAMPLES / "send_alert.py")
    monkeypatch.setattr(sys, "argv", ["send_alert.py", "--help"])

    with pytest.raises(SystemExit) as left:
        sender.main()

    assert left.value.code == 0
    assert "--strategy" in capsys.readouterr().out
