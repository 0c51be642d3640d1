"""The threat model names layers and tests; the tests are there, and every class has one."""

import re

from tests.house.repository import ROOT

PAGE = ROOT / "docs" / "threat-model.md"
ROWS = [line for line in PAGE.read_text().splitlines() if line.startswith("| **")]


def test_every_class_names_a_layer_and_tests_that_exist():
    assert len(ROWS) >= 15
    for row in ROWS:
        _, name, layer, shown, _ = row.split("|")
        found = re.findall(r"`(tests/[^`]+)`", shown)
        assert layer.strip(), name
        assert found, name
        for each in found:
            assert (ROOT / each).is_file(), f"{name.strip()}: {each} is no test of ours"
