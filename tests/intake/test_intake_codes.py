"""The catalogue and the rooms that speak from it agree."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.intake.given import a_message, a_row, an_intake, code_of, rules, turn

import interlock.intake
from interlock.errors import InvariantBroken
from interlock.intake.pine import alert_message
from interlock.model.codes import CODES, INTAKE, Code, catalogue
from interlock.model.signal import AlertRefused

ROOM = Path(interlock.intake.__path__[0])
DOCS = Path(__file__).parents[2] / "docs"
SPOKEN = re.compile(r'"((?:secret|schema|age|strategy|script|source|symbol|lane|profile|window|fires|guard|duplicate|'
                    r'hook|perimeter)\.[a-z_]+)"')


def spoken():
    found = {code for file in ROOM.rglob("*.py") for code in SPOKEN.findall(file.read_text())}
    return found | {"accepted", "profile.stop_side", "profile.target_side"}


def test_every_code_that_the_intake_says_is_in_the_catalogue_and_the_reverse():
    assert spoken() == {code.code for code in INTAKE}


def test_every_code_has_a_check_a_cause_and_a_remedy():
    assert all(code.check and code.cause.endswith(".") and code.remedy.endswith(".") for code in CODES.values())
    assert all(CODES[code.code] is code for code in INTAKE)


def test_every_code_of_the_intake_is_explained_to_users():
    page = (DOCS / "alerts.md").read_text()

    assert [code.code for code in INTAKE if f"`{code.code}`" not in page] == []


def test_the_message_on_the_page_is_the_one_that_pine_prints():
    page = (DOCS / "alerts.md").read_text()
    shown = json.loads(page.split("```json")[1].split("```")[0])

    assert shown == alert_message(a_row(source_symbol="MES1!"), "...")


def test_the_guard_on_the_page_guards():
    page = (DOCS / "alerts.md").read_text()
    given: dict[str, Any] = {}
    exec(page.split("```python")[1].split("```")[0], given)
    intake = an_intake(rules(a_row(guards=("theirs",))), guards={"theirs": given["round_numbers_only"]})

    refused = turn(intake, a_message())
    assert isinstance(refused, AlertRefused)
    assert (refused.code, refused.reason) == (
        "guard.refused", "round_numbers.odd (signal guard theirs): the price is no round number")
    assert code_of(turn(intake, a_message(price="5300"))) == "accepted"


def test_a_code_that_two_rooms_take_is_our_own_mistake():
    with pytest.raises(InvariantBroken, match=r"a\.b stands twice"):
        catalogue((Code("a.b", "x", "y", "z"),), (Code("a.b", "x", "y", "z"),))
