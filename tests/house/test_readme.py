"""The README's commands do what it says, in a fresh copy of the repository.

What `make setup` needs (packages, Node, minutes) is not at hand everywhere. So:

- With `CI` set, `make setup` is executed in the copy, and `make run` starts the desk from the environment that it made.
- Otherwise the recipes of the two targets are read with `make -n`, and the same `init` and `run` that `make run` would execute
  are started on the copied sources with this interpreter. What is left out then is the installing and the building of the page.

In both cases every other command of the README is executed in order against that desk. `make test` is read, not executed: it is
what runs this test.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from tests.house.repository import ROOT, commands, files, snippets

pytestmark = pytest.mark.process
IN_CI = bool(os.environ.get("CI"))
READY_WITHIN = 90.0


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Copy:
    """A fresh copy of the repository, with a desk in it that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for path in files():
            target = folder / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        self.environment = {name: value for name, value in os.environ.items()
                            if not name.startswith(("INTERLOCK", "PYTHON", "COV_", "MAKE", "VIRTUAL_ENV"))}
        if IN_CI:
            self.python = str(folder / ".venv" / "bin" / "python")
        else:
            self.python = sys.executable
            self.environment["PYTHONPATH"] = str(folder / "src")
        self._running: list[subprocess.Popen[bytes]] = []

    def do(self, *words: str, within: float = 60.0) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=within,
                              check=False)

    def interlock(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.do(self.python, "-m", "interlock.cli.main", *words)

    def asked(self, *words: str) -> Any:
        done = self.interlock(*words, "--json")
        assert done.returncode == 0, f"interlock {' '.join(words)}: {done.stderr}"
        return json.loads(done.stdout)

    def start(self, *words: str) -> int:
        """Start a desk with these words of `run` (or `make`); returns its page's port once /health is 200."""
        port, hook = free_ports(2)
        if words[0] == "make":
            line = [*words, f"PORT={port}", f"HOOK_PORT={hook}"]
        else:
            line = [self.python, "-m", "interlock.cli.main", *words, "--port", str(port), "--hook-port", str(hook)]
        with (self.folder / f"desk-{port}.log").open("wb") as log:
            self._running.append(subprocess.Popen(line, cwd=self.folder, env=self.environment, stdout=log, stderr=log,
                                                  start_new_session=True))
        began = time.monotonic()
        while time.monotonic() - began < READY_WITHIN:
            if self._running[-1].poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
                    if answer.status == 200 and json.load(answer)["status"] == "ready":
                        return port
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            time.sleep(0.2)
        raise AssertionError(f"not ready: {(self.folder / f'desk-{port}.log').read_text()[-2000:]}")

    def stop(self) -> None:
        for process in self._running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._running:
            process.wait(20)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    made = Copy(tmp_path_factory.mktemp("copy"))
    if IN_CI:
        done = made.do("make", "setup", within=600)
        assert done.returncode == 0, done.stderr[-3000:]
    yield made
    made.stop()


@pytest.fixture(scope="module")
def page(copy):
    if IN_CI:
        return copy.start("make", "run")
    made = copy.interlock("init", "--state", "state")
    assert made.returncode == 0, made.stderr
    return copy.start("run", "--state", "state")


def test_make_run_would_set_up_init_and_run(copy):
    if IN_CI:
        pytest.skip("executed for real")
    read = copy.do("make", "-n", "run", "PORT=9001", "STATE=elsewhere")

    assert read.returncode == 0, read.stderr
    assert "pip install" in read.stdout
    assert "--require-hashes -r requirements.txt" in read.stdout
    assert "tools/build_dashboard.py" in read.stdout
    assert re.search(r"interlock init --state elsewhere", read.stdout)
    assert re.search(r"interlock run --state elsewhere --port 9001 --hook-port 8701", read.stdout)


def test_make_test_would_lint_and_run_all_tests_with_coverage(copy):
    read = copy.do("make", "-n", "test")

    assert read.returncode == 0, read.stderr
    for part in ("ruff check src tests benchmarks tools examples", "/mypy", "lint-imports", "-m pytest", "--cov"):
        assert part in read.stdout


def test_the_readme_from_top_to_bottom(copy, page):
    done = []

    for snippet in snippets("console", ROOT / "README.md"):
        for line in commands(snippet):
            line = line.replace("SIGNAL_ID", _last_signal(copy) if "SIGNAL_ID" in line else "")
            words = shlex.split(line)
            match words:
                case ["make", "run" | "test"] | [".", ".venv/bin/activate"]:
                    pass                                   # the fixture runs it; read above; the interpreter is named
                case ["interlock", "run", *rest]:
                    copy.start("run", *rest)
                case ["interlock", *rest]:
                    answer = copy.interlock(*rest)
                    assert answer.returncode == 0, f"{line}: {answer.stderr}"
                case ["python", *rest]:
                    answer = copy.do(copy.python, *rest)
                    assert answer.returncode == 0, f"{line}: {answer.stdout}{answer.stderr}"
                    assert json.loads(answer.stdout)["status"] == "accepted"
                    _wait_for_protection(copy)
                case _:
                    raise AssertionError(f"this test does not know how to execute {line!r}")
            done.append(words[0])

    assert done.count("interlock") >= 6


def _last_signal(copy: Copy) -> str:
    return str(copy.asked("orders", "--state", "state")[-1]["signal_id"])


def _wait_for_protection(copy: Copy) -> None:
    """As the README says: two accounts hold MES with a stop at the venue; three seconds are allowed."""
    rows = []
    for _ in range(30):
        rows = [row for row in copy.asked("positions", "--state", "state") if row["instrument"] == "MES"]
        if len(rows) == 2 and all(row["protected"] == row["quantity"].lstrip("-") != "0" for row in rows):
            return
        time.sleep(0.1)
    raise AssertionError(f"not protected: {rows}")


def test_every_other_command_answers_in_the_copy(copy, page):
    """What docs/commands.md promises of each, through a process of its own."""
    state = ("--state", "state")

    assert copy.asked("status", *state)["running"] is True
    assert {row["truth"] for row in copy.asked("accounts", *state)} == {"paper_sim"}
    assert copy.asked("account", "disable", "paper-b", "--why", "a test", *state)["enabled"] is False
    assert copy.asked("account", "enable", "paper-b", *state)["enabled"] is True
    assert copy.asked("kill", "--why", "a test", *state)["killed"] is True
    assert copy.interlock("release", "--phrase", "please", *state).returncode == 2
    assert copy.asked("release", "--phrase", "RELEASE THE KILL", *state)["killed"] is False
    assert copy.asked("journal", "verify", *state)["ok"] is True
    assert copy.interlock("journal", "repair", *state).returncode == 3, "a desk runs"
    assert len(copy.interlock("journal", "tail", "-n", "3", "--json", *state).stdout.splitlines()) == 3
    assert isinstance(copy.asked("export", "trades", *state), list)
    assert copy.interlock("check", *state).returncode in (0, 1), "1 where the shipped ports are taken"
    assert copy.interlock("explain", "nothing-of-the-kind", *state).returncode == 3
    assert copy.interlock("init", *state).returncode == 2
    assert copy.interlock("orders", "--state", "nowhere").returncode == 2
