"""The same recording gives the same digest, in any process; and whatever decides, changed a little, gives another."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.scenarios.desk import configured
from tests.scenarios.recording import write

from interlock.config.load import load_default
from interlock.engine.step import Engine, unpack
from interlock.runtime.clock import PLAYBACK, PlaybackClock
from interlock.runtime.replay import Tally, open_recordings, replay
from interlock.runtime.wiring import build_desk, memory_place

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
COUNTS = ("bars", "signals", "orders", "fills", "refusals", "digest")


def played(data: list[str], *more: str, package: Path | None = None, **environment: str) -> dict[str, Any]:
    """`interlock replay --json` in a process of its own."""
    arguments = [argument for each in data for argument in ("--data", each)]
    known = os.environ | {"PYTHONPATH": str(package or ROOT / "src")}
    done = subprocess.run([sys.executable, "-m", "interlock.cli.main", "replay", *arguments, "--json", *more], text=True,
                          capture_output=True, cwd=ROOT, env=known | environment)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write(tmp_path_factory.mktemp("recording"), 3)


@pytest.fixture(scope="module")
def known(data):
    answer = replay(data)
    assert answer["bars"] == 2 * 3 * 1440
    assert answer["fills"] > 20, "a recording in which nothing happens would show nothing"
    return {name: answer[name] for name in COUNTS}


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A copy of the source to change a line in."""
    directory = tmp_path_factory.mktemp("package")
    shutil.copytree(ROOT / "src/interlock", directory / "interlock", ignore=shutil.ignore_patterns("static", "*.pyc"))
    return directory


@pytest.mark.process
@pytest.mark.parametrize("seed", ["0", "4711"])
def test_two_processes_with_other_hash_seeds_agree(data, known, seed):
    assert {name: value for name, value in played(data, PYTHONHASHSEED=seed).items() if name in COUNTS} == known


@pytest.mark.process
def test_compiled_and_plain_kernels_agree(tmp_path):
    short = write(tmp_path, 0.6, ("MNQ",))
    plain = played(short, NUMBA_DISABLE_JIT="1")

    assert plain["digest"] == replay(short)["digest"]
    assert plain["signals"] > 0


def test_a_journal_on_disk_has_the_digest_of_the_replay_that_keeps_none(data, known, tmp_path):
    from interlock.storage.journal import verify

    answer = replay(data, journal=tmp_path / "kept")

    assert answer["digest"] == known["digest"]
    assert verify(tmp_path / "kept" / "journal.db").digest == known["digest"]


@pytest.mark.parametrize("shares", [(0.2,), (0.1, 0.3, 0.6)], ids=["once", "three-times"])
def test_an_engine_taken_out_in_the_middle_and_put_back_from_its_snapshot_goes_on_the_same(data, known, shares):
    loaded = load_default()
    recordings, waiting = open_recordings(data, loaded.config, is_bad_allowed=False), list(shares)
    built = build_desk(loaded, memory_place(), PlaybackClock(None, kind=PLAYBACK), recordings, watchers=(Tally(),),
                       ends_with_market=True, with_digest=True)

    source = built.driver.source
    take = source.take

    def take_after_renewal() -> Any:
        if waiting and source.share() >= waiting[0]:
            waiting.pop(0)
            old = built.desk.engine
            fresh = Engine(built.setup, old._signer)
            kept = unpack(old.snapshot(built.intake.snapshot()))
            assert kept is not None
            assert fresh.restore(kept) == [], "nothing starts cold"
            built.desk.engine = fresh
        return take()

    source.take = take_after_renewal  # type: ignore[method-assign]
    asyncio.run(built.driver.run())
    digest = built.opened.journal.digest()
    built.close("the recording has ended")

    assert not waiting
    assert digest == known["digest"]


def test_one_tick_in_the_last_hour_changes_it(data, known, tmp_path):
    bumped = write(tmp_path, 3, bump_last_hour=True)
    lines = [(one, other) for one, other in zip(Path(data[0][4:]).read_text().splitlines(),
                                                Path(bumped[0][4:]).read_text().splitlines(), strict=True) if one != other]
    assert len(lines) == 1

    assert replay(bumped)["digest"] != known["digest"]


def test_one_limit_changes_what_is_traded(data, known, tmp_path):
    (tmp_path / "other.toml").write_text(configured(replace={'risk_per_trade = "120" ': 'risk_per_trade = "40" '}))

    answer = replay(data, config=tmp_path / "other.toml")

    assert answer["digest"] != known["digest"]
    assert answer["refusals"] != known["refusals"]


@pytest.mark.process
def test_one_line_of_a_guard_changes_it(data, known, package):
    path = package / "interlock/gate/guards/trajectory.py"
    text = path.read_text()
    line = next(line for line in text.splitlines() if 'Refuse("trajectory"' in line)
    path.write_text(text.replace(line, line.replace("Refuse(", "Allow() if True else Refuse(", 1)))

    answer = played(data, package=package)
    path.write_text(text)

    assert answer["digest"] != known["digest"]
    assert "trajectory" in known["refusals"]
    assert "trajectory" not in answer["refusals"]


REAL = {
    "MNQ": "internal/futures/nq_1m_2022-01-16_2022-01-28.parquet",
    "MES": "internal/futures/es_1m_2022-01-16_2022-01-28.parquet",
    "6E": "open/futures/6e_1m_2024-01-01_2024-01-24.parquet", "SPY": "internal/etf/spy_1m_2024-02-20_2024-05-17.parquet",
    "TLT": "open/etf/tlt_1m_2019-12_2020-01.parquet"}


@pytest.mark.data
@pytest.mark.process
@pytest.mark.skipif(not SHARED.is_dir(), reason="the shared recordings are not here")
def test_whole_real_recordings_of_several_instruments_give_one_digest():
    files = [f"{symbol}={SHARED / path}" for symbol, path in REAL.items()]

    one, other = played(files, "--allow-bad", PYTHONHASHSEED="1"), played(files, "--allow-bad", PYTHONHASHSEED="2")

    assert one["bars"] >= 100_000
    assert one["fills"] > 100
    assert {name: one[name] for name in COUNTS} == {name: other[name] for name in COUNTS}
