"""The core holds no clock, no chance, no disk and no order that changes between two runs."""

import ast
from collections.abc import Iterator

import pytest
from tests.house.repository import CORE, relative, sources, tree_of

CLOCKS = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"}
MODULES = {"time", "random", "uuid", "secrets", "os", "socket", "threading", "asyncio", "subprocess", "tempfile", "sqlite3"}
BUILTINS = {"hash": "differs between processes", "id": "differs between runs", "open": "touches the disk",
            "print": "writes somewhere", "input": "asks a person"}
ORDERED = {"sorted", "len", "min", "max", "any", "all", "sum", "frozenset", "set", "isinstance"}
"""What may be done with a set: nothing here depends on the order in which it is walked."""

ALLOWED = {
    ("gate/judge.py", "watch.now"): "a stopwatch that the runtime may hand in; it times checks and decides nothing",
}


def faults(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """(line, what was found, why it has no place in the core)."""
    sets = _names_of_sets(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for name in names:
                    if name.name.split(".")[0] in MODULES:
                        yield node.lineno, name.name, "a module of the outside world"
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield node.lineno, module, "a module of the outside world"
            case ast.Call(func=ast.Name(id=called)) if called in BUILTINS:
                yield node.lineno, called, BUILTINS[called]
            case ast.Call(func=ast.Attribute(attr=called) as function) if called in CLOCKS:
                yield node.lineno, ast.unparse(function), "reads a clock"
            case ast.Call(func=ast.Name(id="uuid1" | "uuid4" as called)):
                yield node.lineno, called, "is different each time"
            case ast.For(iter=walked) | ast.comprehension(iter=walked) if _is_set(walked, sets):
                yield walked.lineno, ast.unparse(walked), "walks a set, whose order differs between processes"
            case ast.Call(func=ast.Name(id="list" | "tuple" | "next" | "iter" | "enumerate" as called), args=[first, *_]) \
                    if _is_set(first, sets):
                yield node.lineno, f"{called}({ast.unparse(first)})", "fixes the order of a set, which differs between processes"
            case ast.Starred(value=starred) if _is_set(starred, sets):
                yield node.lineno, ast.unparse(starred), "unpacks a set, whose order differs between processes"


def _names_of_sets(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value) if _is_set(value, set()):
                found |= {ast.unparse(target) for target in targets}
            case ast.AnnAssign(target=target, annotation=annotation):
                if ast.unparse(annotation).split("[")[0] in ("set", "frozenset", "Set", "AbstractSet"):
                    found.add(ast.unparse(target))
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                if ast.unparse(annotation).split("[")[0] in ("set", "frozenset", "Set", "AbstractSet"):
                    found.add(name)
    return found


def _is_set(node: ast.expr, names: set[str]) -> bool:
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return _is_set(left, names) or _is_set(right, names)
        case ast.Name() | ast.Attribute():
            return ast.unparse(node) in names
    return False


@pytest.mark.parametrize("path", sources(*CORE), ids=relative)
def test_the_core_is_pure(path):
    found = [f"{relative(path)}:{line}: {what} {why}" for line, what, why in faults(tree_of(path))
             if (relative(path), what) not in ALLOWED]

    assert not found


def test_every_exception_is_still_needed():
    used = {(relative(path), what) for path in sources(*CORE) for _, what, _ in faults(tree_of(path))}

    assert set(ALLOWED) <= used


@pytest.mark.parametrize(("code", "what"), [
    ("from datetime import datetime\nat = datetime.now()", "datetime.now"),
    ("import time", "time"),
    ("from random import choice", "random"),
    ("from os.path import join", "os.path"),
    ("key = hash('a')", "hash"),
    ("key = id(object())", "id"),
    ("from x import uuid4\nname = uuid4()", "uuid4"),
    ("for x in {1, 2}: ...", "{1, 2}"),
    ("names = {'a', 'b'}\nrows = [n for n in names]", "names"),
    ("def f(names: set[str]):\n    for n in names: ...", "names"),
    ("def f(names: frozenset[str]):\n    return tuple(names)", "tuple(names)"),
    ("rows = [*{1, 2}]", "{1, 2}"),
    ("for x in set(a) - set(b): ...", "set(a) - set(b)"),
    ("text = open('x').read()", "open"),
])
def test_the_lint_finds(code, what):
    assert what in [found for _, found, _ in faults(ast.parse(code))]


@pytest.mark.parametrize("code", [
    "rows = sorted({1, 2})",
    "names = {'a'}\nif 'a' in names: ...",
    "table = {'a': 1}\nfor key in table: ...",
    "count = len({1, 2})",
    "from datetime import date\nday = date(2024, 1, 2)",
    "self.hash = digest",
    "later = now + 5",
])
def test_the_lint_lets_through(code):
    assert not list(faults(ast.parse(code)))
