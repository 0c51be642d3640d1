"""The repository speaks of the product alone: no places of one machine, no addresses of a registry, no foreign numbering."""

import json
import re
from pathlib import Path

import pytest
from tests.house.repository import ROOT, files, pages

TEXT = {".py", ".md", ".toml", ".ts", ".svelte", ".js", ".json", ".html", ".css", ".sh", ".txt", ".in", ".cfg", ".svg", ""}
CODE = {".py", ".md", ".toml", ".ts", ".svelte", ".js", ".html", ".css", ""}

PLACES = {
    "a path of one machine": re.compile(r"(?<![\w.~])/(?:[w]ork|[r]oot|[U]sers/\w+|home/(?!me/)\w+|mnt)/"),
    "a temporary path": re.compile(r"(?<![\w.])/[t]mp/"),
    "a registry's or a mirror's address": re.compile(
        r"(?i)https?://[^\s\"']*(?:[r]egistry\.|[p]ypi|[p]ythonhosted|artifact|nexus|verdaccio|mirror|devpi|/simple/)"),
    "a host of a private network": re.compile(r"https?://(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))\.\d"),
}
WORDS = {
    "who or what wrote it": re.compile(
        r"(?i)\b(?:[c]laude|[a]nthropic|[o]penai|[c]hatgpt|[c]opilot|language [m]odels?|[c]o-authored-by)\b"
        r"|\b(?-i:[A]I|[L]LMs?)\b"),
    "numbering of another document": re.compile(r"\b(?:[I]NV-\d+|F\d{3}|(?:[K]|[T]|[X])\d{1,2}|S[0-5])\b(?!\")|\u00a7"),
    "unfinished work": re.compile(r"\b(?:[T]ODO|[F]IXME|[X]XX|[H]ACK)\b"),
}
NOT_NUMBERING = {
    "tests/brokers/paper/test_translate.py": {"X1"},        # an execution's id
}
OURS = frozenset({*(f"INV-{number:02d}" for number in range(1, 31)), *(f"F{number:03d}" for number in range(1, 166))})
"""Numbers that pages of our own define: docs/reference/invariants.md and faults.md."""


def readable(kinds: set[str]) -> list[Path]:
    return [path for path in files() if path.suffix in kinds and path.name not in ("LICENSE",)]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("what", PLACES)
def test_no_file_names(what):
    found = [f"{named(path)}: {match[0]}" for path in readable(TEXT) for match in PLACES[what].finditer(text_of(path))]

    assert not found


@pytest.mark.parametrize("what", WORDS)
def test_no_file_speaks_of(what):
    found = [f"{named(path)}: {match[0]}" for path in readable(CODE) if not named(path).endswith("package-lock.json")
             for match in WORDS[what].finditer(text_of(path)) if match[0] not in OURS | NOT_NUMBERING.get(named(path), set())]

    assert not found


def test_our_own_numbers_are_defined_by_pages_of_ours():
    defined = "".join((ROOT / "docs" / "reference" / name).read_text() for name in ("invariants.md", "faults.md"))

    assert not [number for number in OURS if f"\n| {number} |" not in defined]


def test_locks_name_no_registry():
    lock = json.loads((ROOT / "dashboard" / "package-lock.json").read_text())

    assert not [name for name, package in lock["packages"].items() if "resolved" in package]
    for path in files():
        if path.suffix == ".txt" and "requirements" in path.name:
            lines = path.read_text().splitlines()
            assert not [line for line in lines if line.startswith(("-i ", "--index", "--extra-index", "--find-links",
                                                                   "--trusted-host")) or "://" in line], named(path)


def test_every_locked_package_has_a_hash():
    text = (ROOT / "requirements.txt").read_text().replace("\\\n", " ")

    for line in text.splitlines():
        if line and not line.startswith((" ", "#")):
            assert "==" in line, line
            assert "--hash=sha256:" in line, line.split()[0]


def test_what_must_be_there_is_there():
    for name in ("LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "ARCHITECTURE.md",
                 "Makefile", ".ci/run", "requirements.txt", "docs/images/dashboard.png"):
        assert ROOT / name in files(), f"{name} is missing"
    assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]


def test_nothing_that_is_built_or_private_is_tracked():
    for path in files():
        assert not {"node_modules", ".venv", "__pycache__", "static"} & set(path.relative_to(ROOT).parts), named(path)
        assert path.name not in ("secrets.toml", "page.token", "local.key", "journal.db"), named(path)


def test_pages_are_written_for_readers():
    for path in pages():
        long = [line for line in path.read_text().splitlines()
                if len(line) > 160 and not line.startswith(("|", "!", "http", "{", "["))]
        assert not long, f"{named(path)}: {long[0][:60]}"
