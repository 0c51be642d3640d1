"""The table of faults is true: each row is tried by a verb that exists, by a test that exists, or says why it is not."""

import re

import pytest
from tests.house.repository import ROOT

from interlock.simulation.plans import VERBS

PAGE = ROOT / "docs" / "reference" / "faults.md"
ROW = re.compile(r"\| (F\d{3}) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")
ROWS = [match.groups() for match in map(ROW.fullmatch, PAGE.read_text().splitlines()) if match is not None]
INVARIANTS = set(re.findall(r"^\| INV-(\d\d) \|", (ROOT / "docs" / "reference" / "invariants.md").read_text(), re.MULTILINE))


def test_every_row_stands_once_and_in_order():
    assert [name for name, *_ in ROWS] == [f"F{number:03d}" for number in range(1, 166)]


def test_every_statement_is_defined_once():
    assert sorted(INVARIANTS) == [f"{number:02d}" for number in range(1, 31)]


@pytest.mark.parametrize(("name", "holds", "tried"), [(name, holds, tried) for name, _, holds, tried in ROWS])
def test_row(name, holds, tried):
    assert set(holds.split()) <= INVARIANTS, name
    if tried.startswith("Not tried: "):
        assert len(tried) > 40, f"{name}: a reason is a sentence"
        return
    found = re.findall(r"`([^`]+)`", tried)
    assert found, f"{name}: neither verb nor test nor reason"
    for each in found:
        assert each in VERBS or (ROOT / each).is_file(), f"{name}: {each} is no verb of a plan and no file of a test"


def test_every_verb_is_some_fault_of_the_table():
    named = {each for *_, tried in ROWS for each in re.findall(r"`([^`]+)`", tried)}
    assert set(VERBS) - named == set()
