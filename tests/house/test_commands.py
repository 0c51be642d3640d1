"""Each command has its file, its section, its example and its `--json`."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from tests.house.repository import DOCS, ROOT, SOURCE
from typer.testing import CliRunner

from interlock.cli.main import app

PAGE = (DOCS / "commands.md").read_text()
WITHOUT_JSON = {"run": "it answers nothing; what it says is /health and the page"}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if hasattr(command, "commands"):
        for name, inner in command.commands.items():
            yield from leaves(inner, (*path, name))
    else:
        yield path, command


COMMANDS = dict(leaves(typer.main.get_command(app)))


@pytest.fixture(params=COMMANDS, ids=" ".join)
def path(request):
    return request.param


def section(path: tuple[str, ...]) -> str:
    match = re.search(rf"^## interlock {' '.join(path)}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert match, f"docs/commands.md has no section `## interlock {' '.join(path)}`"
    return match[1]


def test_a_command_has_its_section_with_an_example(path):
    assert f"$ interlock {' '.join(path)}" in section(path)


def test_help_shows_an_example_of_this_command(path):
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300", "TERM": "dumb"})

    assert shown.exit_code == 0
    assert f"Example: interlock {' '.join(path)}" in shown.output


def test_an_answer_can_be_had_as_json(path):
    options = {option for each in COMMANDS[path].params for option in each.opts}

    assert ("--json" in options) != (path[0] in WITHOUT_JSON)


def test_options_of_its_own_are_on_the_page(path):
    common = {"--state", "--json", "--help"}
    own = {option for each in COMMANDS[path].params for option in each.opts if option.startswith("--")} - common

    for option in own:
        if option == "--last":
            option = "-n"
        assert option in section(path), f"{option} is not described"


def test_a_command_has_a_file_of_its_own(path):
    assert (SOURCE / "cli" / f"{path[0]}.py").is_file()


def test_the_page_describes_no_command_that_is_not_there():
    described = {tuple(words.split()) for words in re.findall(r"^## interlock (.+)$", PAGE, re.MULTILINE)}

    assert described == set(COMMANDS)


def test_the_readme_lists_every_command():
    table = (ROOT / "README.md").read_text()

    for path in COMMANDS:
        assert f"`{' '.join(path)}`" in table


def test_codes_are_one_json_value():
    shown = CliRunner().invoke(app, ["codes", "--json"])

    assert {"code", "check", "cause", "remedy"} == set(json.loads(shown.stdout)[0])
