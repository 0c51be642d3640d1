"""docs/configuration.md names every key of interlock.toml with its default, and no other."""

import json
import re
from decimal import Decimal
from typing import Any, get_args, get_origin

import msgspec
import pytest
from tests.house.repository import DOCS

from interlock.config.schema import Config, Section

PAGE = (DOCS / "configuration.md").read_text()


def sections(kind: type[Section] = Config, path: str = "") -> dict[str, type[Section]]:
    """Heading -> the struct that holds its keys."""
    found: dict[str, type[Section]] = {}
    for field in msgspec.structs.fields(kind):
        name = f"{path}.{field.name}".lstrip(".")
        for inner, heading in _inner(field.type, name):
            keys = [each for each in msgspec.structs.fields(inner) if not list(_tables(each.type))]
            if keys or not list(msgspec.structs.fields(inner)):
                found[f"[[{heading}]]" if heading.endswith("[]") else f"[{heading}]"] = inner
            found |= sections(inner, heading.removesuffix("[]"))
    return {heading.replace("[]", ""): inner for heading, inner in found.items()} if not path else found


def _inner(kind: Any, name: str) -> list[tuple[type[Section], str]]:
    if isinstance(kind, type) and issubclass(kind, Section):
        return [(kind, name)]
    if get_origin(kind) is dict:
        return [pair for each in get_args(kind)[1:] for pair in _inner(each, f"{name}.NAME")]
    if get_origin(kind) is tuple:
        return [pair for each in get_args(kind)[:1] for pair in _inner(each, f"{name}[]")]
    return [pair for each in get_args(kind) for pair in _inner(each, name)]


def _tables(kind: Any) -> list[type]:
    return [inner for inner, _ in _inner(kind, "")]


def spelled(field: msgspec.structs.FieldInfo) -> str:
    """A default as the page spells it."""
    if field.required:
        return "required"
    value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
    if value is None:
        return "none"
    if isinstance(value, Decimal):
        return f'`"{value}"`'
    return f"`{json.dumps(value)}`"


def rows(heading: str) -> dict[str, str]:
    """key -> default, as the page has them under that heading."""
    start = PAGE.find(f"\n## {heading}\n")
    assert start >= 0, f"docs/configuration.md has no section `## {heading}`"
    end = PAGE.find("\n## ", start + 4)
    return {key: default for key, default, _ in re.findall(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", PAGE[start:end], re.MULTILINE)}


def keys_of(kind: type[Section]) -> dict[str, str]:
    """The keys of one table; a table that is written under a heading of its own needs no row, but may have one."""
    return {field.name: "a table" if _tables(field.type) else spelled(field) for field in msgspec.structs.fields(kind)}


FOUND = {heading: kind for heading, kind in sections().items() if heading not in ("[feeds]",)}


@pytest.mark.parametrize("heading", FOUND)
def test_every_key_stands_there_with_its_default(heading):
    kind = FOUND[heading]
    written, expected = rows(heading), keys_of(kind)
    own_tables = {field.name for field in msgspec.structs.fields(kind) if _tables(field.type)}

    assert set(written) - set(expected) == set(), "keys that do not exist"
    assert set(expected) - set(written) - own_tables == set(), "keys that are not described"
    assert {key: default for key, default in written.items() if key not in own_tables} == {
        key: default for key, default in expected.items() if key in written and key not in own_tables}


def test_no_section_is_described_that_is_not_there():
    described = set(re.findall(r"^## (\[+[\w.]+\]+)$", PAGE, re.MULTILINE))

    assert described == set(FOUND)
