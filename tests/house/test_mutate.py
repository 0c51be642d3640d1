"""The tool that changes the code to try the tests: on a small module, what a test notices and what none does."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.house.repository import ROOT
from tools.mutants import mutants
from tools.mutate import ACCEPTED, SOURCE, TARGETS, accepted, drawn

MODULE = '''\
"""A toy."""

LIMIT = 10
UNUSED = 7
TABLE = {1: 2}[1]


def is_within(value: int) -> bool:
    if value is None:
        raise ValueError(f"expected a value, found {1 + 1}")
    return value < LIMIT


def doubled(value: int) -> int:
    return value * 2


def never_asked() -> bool:
    return True
'''

TESTS = '''\
from toy.rule import doubled, is_within


def test_within():
    assert is_within(9)
    assert not is_within(10)


def test_doubled():
    assert doubled(2) == 4


def test_broken_anyway():
    assert doubled(2) == 5
'''

SCRIPT = """\
import json
from pathlib import Path
from tools.mutants import mutants
from tools.trial import trial

source = Path("src")
outcome = trial(Path.cwd(), source.absolute(), ["test_toy.py"], mutants(source.absolute(), "toy/rule.py"), 2)
print(json.dumps([outcome.noticed_by, outcome.set_aside, outcome.never_served]))
"""


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    root = tmp_path_factory.mktemp("toy")
    (root / "src/toy").mkdir(parents=True)
    (root / "src/toy/__init__.py").write_text("")
    (root / "src/toy/rule.py").write_text(MODULE)
    (root / "test_toy.py").write_text(TESTS)
    (root / "pytest.ini").write_text("[pytest]\npythonpath = src\n")
    return root


@pytest.fixture(scope="module")
def tried(toy):
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=toy, env={"PYTHONPATH": str(ROOT), "PATH": ""}, text=True,
                          capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    noticed_by, set_aside, never_served = json.loads(done.stdout.splitlines()[-1])
    return [each.key.removeprefix("toy/rule.py") for each in mutants(toy / "src", "toy/rule.py")], {
        key.removeprefix("toy/rule.py"): by for key, by in noticed_by.items()}, set_aside, never_served


def test_what_a_test_holds_is_noticed_by_it(tried):
    _, noticed, _, _ = tried

    assert noticed[" is_within: value < LIMIT -> value <= LIMIT"] == "test_toy.py::test_within"
    assert noticed[" doubled: value * 2 -> value * 3"] == "test_toy.py::test_doubled"


def test_a_change_outside_of_functions_is_served_and_noticed(tried):
    _, noticed, _, never_served = tried

    assert noticed[": LIMIT = 10 -> LIMIT = 11"] == "test_toy.py::test_within"
    assert never_served == []


def test_a_module_that_no_longer_imports_is_noticed(tried):
    _, noticed, _, _ = tried

    assert "cannot be imported" in noticed[": {1: 2} -> {2: 2}"]


def test_what_no_test_notices_survives(tried):
    changes, noticed, _, _ = tried

    assert {key for key in changes if key not in noticed} == {
        ": UNUSED = 7 -> UNUSED = 8", " doubled: value * 2 -> value + 2", ": {1: 2} -> {1: 3}",
        " is_within: if value is None -> if False", " is_within: raise ValueError(f'expected a value, found {1 + 1}') -> pass",
        " never_asked: return True -> return False"}


def test_a_test_that_fails_without_a_change_notices_nothing(tried):
    _, noticed, set_aside, _ = tried

    assert set_aside == ["test_toy.py::test_broken_anyway"]
    assert "test_toy.py::test_broken_anyway" not in noticed.values()


def test_the_wording_of_a_message_is_left_alone(tried):
    changes, _, _, _ = tried

    assert not [key for key in changes if "1 + 1 ->" in key or "1 - 1" in key]


@pytest.mark.parametrize("name", list(TARGETS))
def test_every_target_names_modules_and_tests_that_are_there(name):
    target = TARGETS[name]

    assert all((SOURCE / path).exists() for path in target.changed)
    assert all((ROOT / path).exists() for path in target.tests)
    assert len(drawn(SOURCE, target, limit=5)) == 5


def test_every_accepted_survivor_is_a_change_that_exists_and_says_why():
    known = {mutant.key for target in TARGETS.values() for mutant in drawn(SOURCE, target)}

    for key, why in accepted(ACCEPTED).items():
        assert key in known, f"{key}: no such change any more"
        assert len(why.split()) > 4, key


def test_nothing_is_written_to_the_source(tried, toy):
    assert Path(toy / "src/toy/rule.py").read_text() == MODULE
