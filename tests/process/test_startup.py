"""What stands in the way of a start, or ends a run, is told in one sentence that says what to do, and costs nothing."""

import csv
import http.client
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.process.desk import ROOT, Desk, DeskFailed, free_ports, interlock

pytestmark = pytest.mark.process

FOUND, MISUSE, COULD_NOT = 1, 2, 3


def run(state: Path, *more: str | Path, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """`run` where it cannot start: it must end by itself."""
    port, hook_port = free_ports(2)
    return interlock("run", "--state", state, "--port", str(port), "--hook-port", str(hook_port), *more, prefix=prefix)


def assert_one_message(ended: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    assert ended.returncode == status, ended.stderr
    assert ended.stdout == ""
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == 1, ended.stderr
    assert lines[0].startswith("interlock: ")
    for word in words:
        assert word in lines[0]


def contents(state: Path) -> dict[str, bytes]:
    """The files of the journal and the venues' books."""
    return {path.name: path.read_bytes() for path in sorted(state.iterdir()) if ".db" in path.name}


def verify(state: Path, prefix: tuple[str, ...] = ()) -> dict[str, object]:
    found = interlock("journal", "verify", "--state", state, "--json", prefix=prefix)
    answer: dict[str, object] = json.loads(found.stdout)
    assert found.returncode == (0 if answer["ok"] else FOUND)
    return answer


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory that was initialised and never run."""
    assert interlock("init", "--state", tmp_path / "state").returncode == 0
    return tmp_path / "state"


@pytest.fixture(scope="session")
def a_begun_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory whose desk has traded and stopped; tests take copies."""
    desk = Desk.make(tmp_path_factory.mktemp("begun") / "state", config=None)
    desk.start()
    try:
        assert desk.alert("demo", "buy")
        time.sleep(1.0)
    finally:
        assert desk.end() == 0
    return desk.state


@pytest.fixture
def begun(a_begun_state: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(a_begun_state, tmp_path / "begun"))


# -- configuration and data


@pytest.mark.parametrize(("change", "words"), [
    (("risk_per_trade", "risk_per_trad"), ("gate.risk_per_trad'", "nearest valid one", "gate.risk_per_trade'")),
    (('risk_per_trade = "120"', 'risk_per_trade = "0"'), ("gate.risk_per_trade", "above zero", "found 0")),
    (('mode = "paper"', 'mode = "papper"'), ("desk.mode", "papper")),
    (("[gate]", "[gate"), ("interlock.toml", "line")),
])
def test_a_bad_configuration_is_named(state: Path, change: tuple[str, str], words: tuple[str, ...]):
    file = state / "interlock.toml"
    text = file.read_text()
    assert change[0] in text
    file.write_text(text.replace(*change))
    assert_one_message(run(state), MISUSE, *words)
    assert not (state / "journal.db").exists()


def test_a_directory_without_state_is_told_how_to_get_one(tmp_path: Path):
    assert_one_message(run(tmp_path), MISUSE, str(tmp_path), "interlock init --state")


@pytest.mark.parametrize(("name", "text", "words"), [
    ("mnq.csv", "ts_event,open,high\n2024-01-02T14:30:00Z,1,2\n", ("mnq.csv", "wrong columns", "missing low, close, volume")),
    ("mnq.csv", "ts_event,open,high,low,close,volume\n" + "".join(
        f"2024-01-02T14:{minute}:00Z,17000,17001,16999,17000,5\n" for minute in (30, 31, 32, 35, 34, 36)), ("mnq.csv", "row 5")),
    ("mnq.parquet", "PAR1 and no more", ("mnq.parquet",)),
])
def test_a_bad_recording_is_refused_by_name(state: Path, tmp_path: Path, name: str, text: str, words: tuple[str, ...]):
    (tmp_path / name).write_text(text)
    assert_one_message(run(state, "--data", f"MNQ={tmp_path / name}"), MISUSE, *words)
    assert not (state / "journal.db").exists()


def test_a_recording_that_is_not_there_is_refused(state: Path, tmp_path: Path):
    assert_one_message(run(state, "--data", f"MNQ={tmp_path / 'none.csv'}"), MISUSE, "none.csv")


def test_an_instrument_without_a_definition_is_refused_by_name(state: Path, tmp_path: Path):
    assert_one_message(run(state, "--data", f"XYZZY={write_recording(tmp_path / 'x.csv', 50)}"), MISUSE, "XYZZY", "definition")


# -- the host


@pytest.mark.parametrize("option", ["--port", "--hook-port"])
def test_a_port_in_use_is_named(begun: Path, option: str):
    before = contents(begun)
    other, = free_ports(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        ports = {"--port": str(other), "--hook-port": str(other + 1 if other < 65535 else other - 1)} | {option: number}
        ended = interlock("run", "--state", begun, *(word for pair in ports.items() for word in pair))
    assert_one_message(ended, COULD_NOT, f"port {number} is in use", option)
    assert contents(begun) == before


def test_a_second_desk_on_the_same_directory_is_refused(a_begun_state: Path, tmp_path: Path):
    state = Path(shutil.copytree(a_begun_state, tmp_path / "state"))
    ports = free_ports(2)
    desk = Desk(state, (ports[0], ports[1]))
    desk.start()
    try:
        assert_one_message(run(state), COULD_NOT, str(state), "held by interlock run", "interlock status")
        assert desk.is_ready()
    finally:
        assert desk.end() == 0
    assert verify(state)["ok"]


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator["Namespace"]:
    """A mount namespace of our own, where directories can be small or read-only without anybody noticing."""
    space = Namespace.open()
    if space is None:
        pytest.skip("mounting needs the right to make a mount namespace (root, or unprivileged user namespaces)")
    yield space
    space.close()


class Namespace:
    def __init__(self, holder: subprocess.Popen[str]) -> None:
        self._holder = holder
        self.prefix = ("nsenter", "-t", str(holder.pid), "-m", f"--wd={ROOT}")

    @classmethod
    def open(cls) -> "Namespace | None":
        if shutil.which("unshare") is None or shutil.which("nsenter") is None or os.geteuid() != 0:
            return None
        holder = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", "echo ready; exec sleep 300"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            holder.wait()
            return None
        return cls(holder)

    def does(self, *command: str) -> bool:
        return subprocess.run([*self.prefix, *command], capture_output=True, check=False).returncode == 0

    def path(self, path: Path) -> Path:
        """The same path, as it looks in there."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def close(self) -> None:
        self._holder.kill()
        self._holder.wait()


def test_a_read_only_state_directory_is_named(begun: Path, namespace: Namespace):
    before = contents(begun)
    if not namespace.does("sh", "-c", f"mount --bind {begun} {begun} && mount -o remount,bind,ro {begun}"):
        pytest.skip("no bind mount may be made here")
    assert_one_message(run(begun, prefix=namespace.prefix), COULD_NOT, str(begun), "write")
    assert contents(begun) == before
    assert verify(begun, namespace.prefix)["ok"]             # what only reads goes on working


def test_a_disk_too_small_to_begin_on_is_named(state: Path, namespace: Namespace, tmp_path: Path):
    small = small_disk(namespace, tmp_path, "1m")
    assert namespace.does("cp", "-a", f"{state}/.", str(small))
    assert_one_message(run(small, prefix=namespace.prefix), COULD_NOT, str(small), "ree")


def test_a_disk_that_fills_up_ends_the_desk_and_loses_nothing(state: Path, namespace: Namespace, tmp_path: Path):
    small = small_disk(namespace, tmp_path, "24m")
    assert namespace.does("cp", "-a", f"{state}/.", str(small))
    ports = free_ports(2)
    desk = Desk(small, (ports[0], ports[1]), namespace.prefix)
    desk.start()
    inside = namespace.path(small)
    outer = Desk(inside, (desk.port, desk.hook_port))         # the same desk, as it is reached from out here
    try:
        assert outer.alert("demo", "buy")
        subprocess.run([*namespace.prefix, "sh", "-c", f"dd if=/dev/zero of={small}/ballast bs=64k 2>/dev/null; "
                        f"dd if=/dev/zero of={small}/ballast2 bs=512 2>/dev/null"], check=False)
        assert desk.dies_within(30.0), "it goes on although nothing can be written down"
    finally:
        desk.end()
    said = [line for line in desk.said().splitlines() if line.startswith("interlock: ")]
    assert desk.status == COULD_NOT
    assert len(said) == 1
    assert "No space left on device" in said[0]
    assert "ree" in said[0], "it does not say what to do"
    assert "Traceback" not in desk.said()
    # A kill can be written down all the same: room was set aside for it.
    killed = interlock("kill", "--state", small, "--why", "full disk", "--json", prefix=namespace.prefix)
    assert killed.returncode == 0, killed.stderr
    for name in ("ballast", "ballast2"):
        namespace.does("rm", "-f", f"{small}/{name}")
    assert verify(small, namespace.prefix)["ok"]
    judged = interlock("journal", "tail", "-n", "1000", "--kind", "verdict", "--state", small, "--json", prefix=namespace.prefix)
    found = {(json.loads(line)["payload"]["asked"]["intent"]["signal_id"], json.loads(line)["payload"]["asked"]["account"])
             for line in judged.stdout.splitlines()}
    assert {(signal, account) for signal in outer.acknowledged for account in ("paper-a", "paper-b")} <= found
    desk.start()
    assert json.loads(interlock("status", "--state", small, "--json", prefix=namespace.prefix).stdout)["killed"] is True
    assert desk.end() == 0


def small_disk(namespace: Namespace, tmp_path: Path, size: str) -> Path:
    small = tmp_path / "small"
    small.mkdir()
    if not namespace.does("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(small)):
        pytest.skip("no tmpfs may be mounted here")
    return small


# -- the journal


def test_a_flipped_byte_in_the_journal_is_found_and_nothing_is_touched(begun: Path):
    journal = begun / "journal.db"
    connection = sqlite3.connect(journal)
    first = connection.execute("SELECT first_seq, records FROM batches ORDER BY first_seq LIMIT 1 OFFSET 2").fetchone()
    connection.close()
    raw, head = bytearray(journal.read_bytes()), first[1][:64]
    at = raw.find(head)
    assert at >= 0
    while at >= 0:                     # where it lies, and where it lay before the file was reordered
        raw[at + 40] ^= 0x20
        at = raw.find(head, at + 1)
    journal.write_bytes(raw)
    before = contents(begun)
    assert_one_message(run(begun), FOUND, "entry", "interlock journal verify")
    assert contents(begun) == before
    answer = verify(begun)
    assert answer["ok"] is False
    assert answer["damage"]


@pytest.mark.parametrize("kept", [0, 700, 0.5])
def test_a_truncated_journal_is_found_and_nothing_is_touched(begun: Path, kept: float):
    journal = begun / "journal.db"
    size = journal.stat().st_size
    os.truncate(journal, int(size * kept) if kept < 1 else int(kept))
    before = contents(begun)
    assert_one_message(run(begun), FOUND, "journal.db")
    assert contents(begun) == before


# -- kill


def test_a_kill_outlives_a_restart(begun: Path):
    ports = free_ports(2)
    desk = Desk(begun, (ports[0], ports[1]))
    desk.start()
    given = json.loads(interlock("kill", "--state", begun, "--why", "drill", "--json").stdout)
    assert given["running"] is True
    desk.kill()
    assert json.loads(interlock("status", "--state", begun, "--json").stdout)["killed"] is True
    desk.start()
    try:
        assert desk.health()["killed"] is True
        assert desk.alert("demo", "buy")
        time.sleep(0.3)
        assert last_verdicts(begun) == {"killed"}
        assert interlock("release", "--state", begun, "--phrase", "release").returncode == MISUSE
        desk.release()
        assert desk.health()["killed"] is False
    finally:
        desk.end()


def test_a_kill_without_an_engine_stands_at_the_next_start(begun: Path):
    given = interlock("kill", "--state", begun, "--why", "by hand", "--json")
    assert given.returncode == 0, given.stderr
    assert json.loads(given.stdout)["running"] is False
    assert verify(begun)["ok"]
    ports = free_ports(2)
    desk = Desk(begun, (ports[0], ports[1]))
    desk.start()
    try:
        assert desk.health()["killed"] is True
    finally:
        assert desk.end() == 0


def last_verdicts(state: Path) -> set[str]:
    told = interlock("journal", "tail", "-n", "2", "--kind", "verdict", "--state", state, "--json")
    return {json.loads(line)["payload"]["result"]["code"] for line in told.stdout.splitlines()}


# -- recordings


def write_recording(path: Path, bars: int, seed: int = 1) -> Path:
    """One-minute bars of a random walk on the quarter, from a Monday's futures opening on."""
    draw, at, price = random.Random(seed), datetime(2024, 1, 8, 0, 0, tzinfo=UTC), 68_000
    with path.open("w", newline="") as text:
        writer = csv.writer(text)
        writer.writerow(("ts_event", "open", "high", "low", "close", "volume"))
        for _ in range(bars):
            close = price + draw.randint(-12, 12)
            high, low = max(price, close) + draw.randint(0, 6), min(price, close) - draw.randint(0, 6)
            writer.writerow((at.strftime("%Y-%m-%dT%H:%M:%SZ"), *(f"{value / 4:.2f}" for value in (price, high, low, close)),
                             draw.randint(50, 900)))
            price, at = close, at + timedelta(minutes=1)
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recording(tmp_path_factory.mktemp("recording") / "mnq.csv", 5_000)


@pytest.fixture(scope="module")
def replayed(recording: Path) -> dict[str, object]:
    told = interlock("replay", "--data", f"MNQ={recording}", "--json")
    assert told.returncode == 0, told.stderr
    answer: dict[str, object] = json.loads(told.stdout)
    return answer


def playing(tmp_path: Path) -> Desk:
    assert interlock("init", "--state", tmp_path / "played").returncode == 0
    ports = free_ports(2)
    return Desk(tmp_path / "played", (ports[0], ports[1]))


def wait_until_played(desk: Desk, share: float = 1.0) -> float:
    until, progress = time.monotonic() + 60, 0.0
    while time.monotonic() < until:
        try:
            health = desk.health()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if not desk.is_running():
                raise DeskFailed(desk.said()) from error
            continue
        progress = float(health["progress"])
        if health["feed"] == "ended" or progress >= share:
            return progress
        time.sleep(0.01)
    raise DeskFailed(f"only {progress:.0%} was played: {desk.said()}")


def test_a_run_at_full_speed_and_a_replay_have_one_digest(tmp_path: Path, recording: Path, replayed: dict[str, object]):
    desk = playing(tmp_path)
    desk.start("--data", f"MNQ={recording}", "--speed", "max")
    wait_until_played(desk)
    time.sleep(0.5)
    assert desk.end() == 0
    assert verify(desk.state)["digest"] == replayed["digest"]
    assert replayed["bars"] == 5_000


@pytest.mark.parametrize("is_kind", [True, False])
def test_a_run_that_is_interrupted_and_resumed_has_the_same_digest(tmp_path: Path, recording: Path,
                                                                   replayed: dict[str, object], is_kind: bool):
    """By SIGTERM or SIGKILL, twice, in the middle."""
    desk = playing(tmp_path)
    for share in (0.25, 0.6):
        desk.start("--data", f"MNQ={recording}", "--speed", "20000")
        reached = wait_until_played(desk, share)
        assert reached < 1.0, "it was over before it could be interrupted"
        desk.end(is_kind=is_kind)
    desk.start("--data", f"MNQ={recording}", "--speed", "max")
    wait_until_played(desk)
    time.sleep(0.5)
    assert desk.end() == 0
    assert verify(desk.state)["digest"] == replayed["digest"]


def test_another_recording_is_refused_on_a_directory_that_was_begun(tmp_path: Path, recording: Path):
    desk = playing(tmp_path)
    desk.start("--data", f"MNQ={recording}", "--speed", "max")
    wait_until_played(desk)
    assert desk.end() == 0
    before = verify(desk.state)
    other = write_recording(tmp_path / "other.csv", 100, seed=2)
    told = run(desk.state, "--data", f"MNQ={other}", "--speed", "max")
    assert told.returncode == MISUSE
    assert told.stderr.splitlines()[-1].startswith("interlock: ")
    assert "Give the same --data again" in told.stderr
    assert_one_message(run(desk.state), MISUSE, "playback", "--data")
    assert verify(desk.state) == before
