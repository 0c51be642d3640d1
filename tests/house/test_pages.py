"""What the pages say is true: their snippets run, their links lead somewhere, their tables are those of the code."""

import doctest
import json
import re
import shlex
import tomllib
from typing import Any

import pytest
import typer.main
from tests.house.repository import DOCS, ROOT, SOURCE, commands, files, pages, shown, snippets

from interlock.cli.main import app
from interlock.config.load import load_text

CLI = typer.main.get_command(app)
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]{1,}\b")
SHELL = {"interlock-kill", "make", "python", ".", "export", "pip", "cp", ".venv/bin/python", "ngrok", "cloudflared"}
"""What a console snippet may begin with besides `interlock`."""


def python_pages():
    return sorted({snippet.page for language in ("python", "pycon") for snippet in snippets(language)})


@pytest.mark.parametrize("page", python_pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_python_on_a_page_runs_from_top_to_bottom(page):
    blocks = sorted((*snippets("python", page), *snippets("pycon", page)), key=lambda snippet: snippet.line)
    known = {"__name__": "page"}

    for block in blocks:
        if block.language == "python":
            exec(compile("\n" * (block.line - 1) + block.text, str(page), "exec"), known)
        else:
            example = doctest.DocTestParser().get_doctest(block.text, known, shown(block), str(page), block.line)
            said: list[str] = []
            runner = doctest.DocTestRunner(verbose=False)
            runner.run(example, out=said.append, clear_globs=False)
            assert not runner.failures, "".join(said)


@pytest.mark.parametrize("snippet", snippets("json"), ids=shown)
def test_json_on_a_page_is_json(snippet):
    json.loads(snippet.text)


@pytest.mark.parametrize("snippet", snippets("toml"), ids=shown)
def test_toml_on_a_page_is_toml_and_its_tables_are_configuration(snippet):
    tree = tomllib.loads(snippet.text)

    if "project" not in tree and snippet.page.is_relative_to(DOCS):
        assert _configured(snippet.text), "expected keys of interlock.toml"


def _configured(text: str) -> bool:
    """Whether the keys are valid; what they refer to may stand elsewhere in the reader's file."""
    missing = "" if "[desk]" in text else '[desk]\nmode = "paper"\n'
    needed = ""
    for lane in re.findall(r"^\[+lanes\.(\w+)", text, re.MULTILINE):
        if f"[lanes.{lane}]" not in text:
            needed = f'[brokers.paper]\n[accounts.a]\nbroker = "paper"\n[lanes.{lane}]\naccounts = ["a"]\n'
    load_text(missing + needed + text, "a snippet", {})
    return True


@pytest.mark.parametrize("snippet", snippets("console"), ids=shown)
def test_console_lines_are_commands_that_exist(snippet):
    found = commands(snippet)

    assert found, "expected lines that begin with `$ `"
    for line in found:
        words = shlex.split(line.split(" > ")[0])
        if words[0] == "interlock":
            _parse(words[1:])
        elif words[0] == "make":
            for target in (word for word in words[1:] if "=" not in word):
                assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), f"no target {target}"
        else:
            assert words[0] in SHELL, f"{words[0]} is not known to these tests"
            for word in words[1:]:
                if word.startswith(("examples/", "tools/", "./examples")):
                    assert (ROOT / word).exists(), word


def _parse(words: list[str]) -> None:
    """Parse as the command line would, without doing it. Fails for an unknown command or option."""
    command: Any = CLI
    while hasattr(command, "commands"):
        assert words, f"{command.name}: which command?"
        assert words[0] in command.commands, f"no command is called {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    state = [] if "--state" in words or "state" not in {each.name for each in command.params} else ["--state", "state"]
    command.make_context(command.name, [*(PLACEHOLDER.sub("1", word) for word in words), *state])


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files_that_exist(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)

    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://", "mailto:")):
            path, _, anchor = target.partition("#")
            found = (page.parent / path).resolve() if path else page
            assert found.is_file(), f"{target} leads nowhere"
            if anchor and found.suffix == ".md":
                assert anchor in {_anchor(line) for line in found.read_text().splitlines() if line.startswith("#")}, target


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lstrip("# ").lower()).replace(" ", "-")


def test_every_page_is_reached_from_the_index():
    index = (DOCS / "index.md").read_text()

    for page in pages():
        if page.is_relative_to(DOCS) and page.name != "index.md":
            assert f"({page.relative_to(DOCS).as_posix()})" in index, f"{page.name} is not in docs/index.md"


def test_decisions_are_numbered_and_complete():
    found = sorted((DOCS / "decisions").glob("*.md"))

    assert [int(page.name[:4]) for page in found] == list(range(1, len(found) + 1))
    for page in found:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. ")
        for part in ("**Context.**", "**Choice.**", "**Cost.**", "**What would change our mind.**"):
            assert part in text, f"{page.name} lacks {part}"


def test_the_page_of_codes_is_current():
    from tools.make_codes_page import TARGET, page

    assert TARGET.read_text() == page(), "run `python tools/make_codes_page.py`"


def test_the_package_page_of_the_readme_is_built_from_files_that_exist():
    readme = (ROOT / "README.md").read_text()

    assert readme.startswith("# Interlock\n")
    assert readme.index("docs/images/dashboard.png") < readme.index("$ make run") < readme.index("$ make test")
    assert (DOCS / "images" / "dashboard.png") in files()


def test_every_room_stands_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text()

    for room in SOURCE.iterdir():
        if (room / "__init__.py").exists():
            assert f"| `{room.name}` |" in text, f"{room.name} is not described"
