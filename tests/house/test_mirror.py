"""Every module is exercised: a test imports it, or imports a module of its own room that stands on it."""

import ast
from functools import cache

import pytest
from tests.house.repository import ROOT, SOURCE, files, name_of, sources, tree_of

ELSEWHERE: dict[str, str] = {
    "interlock.runtime.boardfeed": "tests/scenarios/desk.py",          # told by every desk that `run` builds
    "interlock.runtime.mirrors": "tests/scenarios/desk.py",
    "interlock.runtime.environment": "tests/house/test_readme.py",     # through processes of their own
    "interlock.runtime.repair": "tests/house/test_readme.py",
    "interlock.runtime.status": "tests/house/test_readme.py",
}
"""Modules that tests reach by another way than an import, with that way: the path of the test."""


def imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case ast.ImportFrom(module=str(module), names=names):
                found |= {module, *(f"{module}.{name.name}" for name in names)}
    return found


@cache
def by_tests() -> frozenset[str]:
    tests = [path for path in files() if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")]
    return frozenset().union(*(imported(tree_of(path)) for path in tests))


@cache
def reached() -> frozenset[str]:
    """The modules that tests import, and what those stand on within their own room."""
    modules = {name_of(path): path for path in sources()}
    found, waiting = set(), [name for name in by_tests() if name in modules]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            room = name.split(".")[:2]
            waiting += [other for other in imported(tree_of(modules[name])) if other in modules and other.split(".")[:2] == room]
    return frozenset(found)


def defines(path) -> bool:
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in tree_of(path).body)


@pytest.mark.parametrize("path", [path for path in sources() if defines(path)], ids=name_of)
def test_a_module_is_exercised(path):
    assert name_of(path) in reached() or (ROOT / ELSEWHERE.get(name_of(path), "nowhere")).is_file()


def test_no_exception_is_left_over():
    assert not {name for name in ELSEWHERE if name in reached()}


@pytest.mark.parametrize("room", sorted(path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()))
def test_a_room_has_tests(room):
    """In a folder of its own, or (rooms that join others) by tests that import it elsewhere."""
    own = [path for path in files() if path.is_relative_to(ROOT / "tests" / room) and path.name.startswith("test_")]
    through = [path for path in files() if path.is_relative_to(ROOT / "tests") and path.name.startswith("test_")
               and any(name.startswith(f"interlock.{room}.") for name in imported(tree_of(path)))]

    assert own or len(through) >= 2
