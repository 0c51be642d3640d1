"""Every reason code of the catalogue is brought about from outside: by a test that drives the gate, SafeBroker, the hook, the
page, a command or the running desk, while a recorder listens at the doors.

`provocations.json` names for each code the test that brings it about. A room that adds a code adds such a test, and enters it
with `python -m tests.house.recorder tests/ROOM/test_x.py`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.recorder import OUT, TABLE, by_function
from tests.house.repository import ROOT

from interlock.records import catalogue

PROVOKED: dict[str, str] = json.loads(TABLE.read_text())
CODES = [code.code for code in catalogue()]

LATER: dict[str, str] = {}
"""Codes that only a broker of a later version can give, each with its reason. None so far."""


def test_every_code_has_a_provocation() -> None:
    assert [code for code in CODES if code not in PROVOKED and code not in LATER] == []


def test_no_provocation_is_left_of_a_code_that_is_gone() -> None:
    assert [code for code in (*PROVOKED, *LATER) if code not in CODES] == []
    assert not set(PROVOKED) & set(LATER)


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[set[str], float]]:
    """What the named tests really bring about: run once, in a process of their own, with the recorder at the doors."""
    out: Path = tmp_path_factory.mktemp("heard") / "heard.json"
    tests = sorted(set(PROVOKED.values()))
    ran = subprocess.run([sys.executable, "-m", "pytest", *tests, "-q", "-p", "no:cacheprovider", "-n0", "-p",
                          "tests.house.recorder"], cwd=ROOT, env=os.environ | {OUT: str(out)}, capture_output=True, text=True,
                         check=False)
    assert out.exists(), ran.stdout[-2000:] + ran.stderr[-2000:]
    told: dict[str, tuple[set[str], float]] = by_function(json.loads(out.read_text()))
    missing = [name for name in tests if name not in told]
    assert not missing, f"these provocations fail, or are not there any more: {missing}\n{ran.stdout[-3000:]}"
    return told


def test_each_provocation_brings_its_code_about(heard: dict[str, tuple[set[str], float]]) -> None:
    assert [f"{code} by {name}" for code, name in PROVOKED.items() if code not in heard[name][0]] == []
