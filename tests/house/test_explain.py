"""A past decision, asked again from the record alone: in a fresh process, bit for bit, and every alteration by its name."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.scenarios.recording import write

from interlock.config import build
from interlock.engine.step import Engine
from interlock.model.entry import Payload
from interlock.model.market import Bar
from interlock.model.record import ConfigRead, FeedOpened
from interlock.model.verdict import Refuse, Verdict
from interlock.records import Records
from interlock.runtime.replay import replay
from interlock.storage.journal import open_journal, verify
from interlock.storage.sqlite.store import SqliteStore

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared/data/open/futures/es_1m_2013-10_2013-11.parquet"

ASK = """
import json, sys
from interlock.records import Records
with Records.open(sys.argv[1]) as records:
    wanted = set(json.loads(sys.argv[2]))
    for entry in records.entries():
        if entry.seq in wanted:
            story = records.explain(str(entry.seq))
            print(json.dumps([[verdict["seq"], verdict["differences"]] for verdict in story["verdicts"]
                              if verdict["seq"] == entry.seq]))
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A replay whose journal was kept."""
    directory = tmp_path_factory.mktemp("explain")
    answer = replay(write(directory, 2), journal=directory / "state")
    assert answer["fills"] > 20
    return directory / "state"


def fresh(script: str, *arguments: str, package: Path | None = None) -> str:
    done = subprocess.run([sys.executable, "-c", script, *arguments], text=True, capture_output=True,
                          env=os.environ | {"PYTHONPATH": str(package or ROOT / "src")})
    assert done.returncode == 0, done.stderr
    return done.stdout


def explained(state: Path, identity: str, *, package: Path | None = None) -> tuple[int, dict[str, Any]]:
    """`interlock explain ID --json` in a process of its own: exit status and answer."""
    done = subprocess.run([sys.executable, "-m", "interlock.cli.main", "explain", identity, "--state", state, "--json"],
                          text=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(package or ROOT / "src")})
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def verdicts_of(state: Path) -> list[tuple[int, Verdict]]:
    with Records.open(state) as records:
        return [(entry.seq, entry.payload) for entry in records.entries() if isinstance(entry.payload, Verdict)]


def rewritten(state: Path, target: Path, change: Callable[[int, Payload], Payload]) -> Path:
    """The same journal with payloads changed: what somebody would have who could forge a whole chain."""
    shutil.copytree(state, target, ignore=shutil.ignore_patterns("journal.db*", "lease*", "*.sock"))
    with Records.open(state) as records:
        store = SqliteStore(target / "journal.db")
        journal = open_journal(store).journal
        for entry in records.entries():
            seq, _ = journal.append(entry.ts, change(entry.seq, entry.payload), cause=entry.cause)
            assert seq == entry.seq
        store.commit(journal.seal())
        store.close()
    assert verify(target / "journal.db").ok
    return target


@pytest.mark.process
def test_a_hundred_random_decisions_are_re_evaluated_bit_for_bit_in_a_fresh_process(kept):
    known = verdicts_of(kept)
    wanted = random.Random(5).sample([seq for seq, _ in known], min(100, len(known)))
    assert len(wanted) == 100

    lines = [json.loads(line) for line in fresh(ASK, str(kept), json.dumps(wanted)).splitlines()]

    assert [answer for line in lines for answer in line] == [[seq, []] for seq in sorted(wanted)]
    codes = {getattr(verdict.result, "code", "cleared") for seq, verdict in known if seq in wanted}
    assert len(codes) >= 3, "decisions of one kind would show little"


@pytest.mark.process
def test_a_cleared_decision_shows_every_check_with_its_answer(kept):
    seq, verdict = next((seq, verdict) for seq, verdict in verdicts_of(kept) if verdict.is_cleared)

    status, answer = explained(kept, verdict.signal_id)

    assert status == 0
    shown = next(each for each in answer["verdicts"] if each["seq"] == seq)
    assert [check["check"] for check in shown["checks"]] == [each.check for each in verdict.answers]
    assert len(shown["checks"]) > 20
    assert (shown["result"], shown["code"], shown["differences"]) == ("cleared", None, [])
    assert any("filled" in line for line in answer["story"]), "the story goes on to what became of the orders"


@pytest.mark.process
def test_altering_one_limit_is_named(kept, tmp_path):
    seq, _ = next((seq, verdict) for seq, verdict in verdicts_of(kept) if verdict.is_cleared)

    def change(_: int, payload: Payload) -> Payload:
        if isinstance(payload, ConfigRead):
            assert '"risk_per_trade":"120"' in payload.text
            return msgspec.structs.replace(payload, text=payload.text.replace('"risk_per_trade":"120"', '"risk_per_trade":"20"'))
        return payload

    status, answer = explained(rewritten(kept, tmp_path / "altered", change), str(seq))

    assert status == 1
    differences = next(each for each in answer["verdicts"] if each["seq"] == seq)["differences"]
    assert "phase.5_size" in {each["check"] for each in differences} or \
        any("size" in each["check"] for each in differences), differences


@pytest.mark.process
def test_altering_one_recorded_input_is_named(kept, tmp_path):
    seq, _ = next((seq, verdict) for seq, verdict in verdicts_of(kept) if verdict.is_cleared)

    def change(number: int, payload: Payload) -> Payload:
        if number == seq:
            assert isinstance(payload, Verdict)
            view = msgspec.structs.replace(payload.view, killed_by="somebody")
            return msgspec.structs.replace(payload, view=view)
        return payload

    status, answer = explained(rewritten(kept, tmp_path / "altered", change), str(seq))

    assert status == 1
    differences = next(each for each in answer["verdicts"] if each["seq"] == seq)["differences"]
    assert "kill" in {each["check"] for each in differences}
    assert {each["check"] for each in differences} <= {"kill", "result", "order.compose"}, "and what follows from it"


@pytest.mark.process
def test_altering_one_line_of_a_guard_is_named(kept, tmp_path):
    seq, _ = next((seq, verdict) for seq, verdict in verdicts_of(kept)
                  if any(isinstance(answer.verdict, Refuse) and answer.verdict.code == "degraded" for answer in verdict.answers))
    package = tmp_path / "package"
    shutil.copytree(ROOT / "src/interlock", package / "interlock", ignore=shutil.ignore_patterns("static", "*.pyc"))
    path = package / "interlock/gate/guards/degradation.py"
    text = path.read_text()
    line = next(line for line in text.splitlines() if "Refuse(" in line)
    path.write_text(text.replace(line, line.replace("Refuse(", "Allow() if True else Refuse(", 1)))

    status, answer = explained(kept, str(seq), package=package)

    assert status == 1
    shown = next(each for each in answer["verdicts"] if each["seq"] == seq)
    assert "guard.9_degradation" in {each["check"] for each in shown["differences"]}
    assert shown["is_same_build"] is False


def rebuilt(state: Path) -> tuple[int, list[str]]:
    """How many verdicts there are, and those whose view a fresh engine, told the record alone, does not come to."""
    wrong, count = [], 0
    with Records.open(state) as records:
        entries = list(records.entries())
        opened = next(entry.payload for entry in entries if isinstance(entry.payload, FeedOpened))
        frames = {entry.payload.instrument: entry.payload.timeframe for entry in entries if isinstance(entry.payload, Bar)}
        config = next(entry.payload for entry in entries if isinstance(entry.payload, ConfigRead))
        setup = build.setup(records.config(), digest=config.digest, epoch=config.epoch, state_id=records.header.state_id,
                            clock=records.header.clock, is_simulated=False,
                            fed=tuple((symbol, frames[symbol]) for symbol in opened.instruments))
    engine = Engine(setup, None)
    for entry in entries:
        if isinstance(entry.payload, Verdict):
            count += 1
            view = engine.views.build(entry.payload.asked, entry.ts, engine.rows, engine.regimes)
            if msgspec.msgpack.encode(view) != msgspec.msgpack.encode(entry.payload.view):
                wrong.append(f"entry {entry.seq}")
        engine.apply(entry.payload, entry.ts)
    return count, wrong


def test_replaying_the_journaled_inputs_finds_every_recorded_view(kept):
    count, wrong = rebuilt(kept)

    assert count > 100
    assert wrong == []


@pytest.mark.data
@pytest.mark.process
@pytest.mark.skipif(not REAL.exists(), reason="the shared recordings are not here")
def test_the_decisions_of_a_real_recording_hold_too(tmp_path):
    replay([f"MES={REAL}"], journal=tmp_path / "state")
    wanted = [seq for seq, _ in verdicts_of(tmp_path / "state")]
    wanted = random.Random(6).sample(wanted, min(30, len(wanted)))
    assert wanted

    lines = [json.loads(line) for line in fresh(ASK, str(tmp_path / "state"), json.dumps(wanted)).splitlines()]

    assert [answer for line in lines for answer in line] == [[seq, []] for seq in sorted(wanted)]
    assert rebuilt(tmp_path / "state")[1] == []
