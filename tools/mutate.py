"""Change one thing at a time in the rooms that must not be wrong, and see whether a test notices.

    python tools/mutate.py gate                  every mutant of the gate
    python tools/mutate.py safe --limit 100      a seeded sample of SafeBroker's
    python tools/mutate.py --all --json out.json

Each mutant is one changed node of one module's syntax tree, served to a forked test process in place of the file; nothing is
written to the source. A mutant that no test notices is a survivor. Those that cannot matter stand with their reason in
tests/mutants.toml; any other survivor is a missing test, and the exit status is 1.
"""

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import os
import random
import signal
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src"
ACCEPTED: Final = ROOT / "tests" / "mutants.toml"
PATIENCE_S: Final = 120.0

TARGETS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "gate": (("interlock/gate/judge.py", "interlock/gate/sizing.py", "interlock/gate/registry.py", "interlock/gate/clearance.py",
              "interlock/gate/phases", "interlock/gate/orders", "interlock/gate/exits"), ("tests/gate",)),
    "guards": (("interlock/gate/guards",), ("tests/gate",)),
    "safe": (("interlock/brokers/safe.py", "interlock/brokers/egress.py", "interlock/brokers/exposure.py"),
             ("tests/brokers/test_safe.py",)),
    "journal": (("interlock/storage/journal.py", "interlock/storage/chain.py", "interlock/storage/lease.py"), ("tests/storage",)),
    "kill": (("interlock/execution/kill.py", "interlock/engine/latches.py"),
             ("tests/execution", "tests/engine", "tests/scenarios/test_kill.py")),
}
"""What is changed, and by which tests it must be noticed."""


@dataclass(frozen=True)
class Mutant:
    """One change: the module, where, what stood there and what stands there instead."""

    path: str
    line: int
    before: str
    after: str
    source: str

    @property
    def key(self) -> str:
        """Names the change without its line number, so that it is found again after an edit elsewhere."""
        return f"{self.path}: {self.before} -> {self.after}"


_COMPARE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}


def mutants(path: Path) -> Iterator[Mutant]:
    """Every change of one module."""
    text = path.read_text()
    tree = ast.parse(text)
    name = str(path.relative_to(SOURCE))
    for index, node in enumerate(ast.walk(tree)):
        for change in _changes(node):
            other = copy.deepcopy(tree)
            target = _nth(other, index)
            before = _spell(target)
            replaced = change(target)
            if replaced is not None:
                other = _replaced(other, target, replaced)
                after = _spell(replaced)
            else:
                after = _spell(target)
            if after == before:
                continue
            ast.fix_missing_locations(other)
            yield Mutant(name, getattr(node, "lineno", 0), before, after, ast.unparse(other))


def _nth(tree: ast.AST, index: int) -> ast.AST:
    for number, node in enumerate(ast.walk(tree)):
        if number == index:
            return node
    raise IndexError(index)


def _spell(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())[:160]


class _Swap(ast.NodeTransformer):
    def __init__(self, target: ast.AST, replacement: ast.AST) -> None:
        self._target, self._replacement = target, replacement

    def visit(self, node: ast.AST) -> ast.AST:
        return self._replacement if node is self._target else self.generic_visit(node)


def _replaced(tree: ast.Module, target: ast.AST, replacement: ast.AST) -> ast.Module:
    changed = _Swap(target, replacement).visit(tree)
    assert isinstance(changed, ast.Module)
    return changed


def _changes(node: Any) -> Iterator[Callable[[Any], ast.AST | None]]:
    """Functions that change a node of this shape in place, or return what stands there instead."""
    if isinstance(node, ast.Compare):
        for position, operator in enumerate(node.ops):
            if type(operator) in _COMPARE:
                yield _compare(position)
    elif isinstance(node, ast.BoolOp):
        yield _boolean
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        yield _arithmetic
    elif isinstance(node, ast.UnaryOp) and (isinstance(node.op, ast.Not) or (
            isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant))):
        yield _unwrapped
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _flipped
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield _raised
    elif isinstance(node, ast.If):
        yield _never
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
        yield _other_end
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) \
            and node.value.func.id in ("Refuse", "missing"):
        yield _allowed
    elif isinstance(node, ast.Raise) and node.exc is not None:
        yield _passed


def _compare(position: int) -> Callable[[ast.Compare], None]:
    def change(node: ast.Compare) -> None:
        node.ops[position] = _COMPARE[type(node.ops[position])]()
    return change


def _boolean(node: ast.BoolOp) -> None:
    node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()


def _arithmetic(node: ast.BinOp) -> None:
    node.op = _ARITHMETIC[type(node.op)]()


def _unwrapped(node: ast.UnaryOp) -> ast.expr:
    return node.operand


def _flipped(node: ast.Constant) -> None:
    node.value = not node.value


def _raised(node: ast.Constant) -> None:
    assert isinstance(node.value, int)
    node.value += 1


def _never(node: ast.If) -> None:
    node.test = ast.Constant(False)


def _other_end(node: ast.Call) -> None:
    assert isinstance(node.func, ast.Name)
    node.func.id = "max" if node.func.id == "min" else "min"


def _allowed(_node: ast.Return) -> ast.stmt:
    return ast.parse("return Allow({})").body[0]


def _passed(_node: ast.Raise) -> ast.stmt:
    return ast.Pass()


# -- running one

class _Served(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Serves one module from a string."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        self._module, self._path, self._source = module, path, source

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> importlib.machinery.ModuleSpec | None:
        if name != self._module:
            return None
        is_package = self._path.name == "__init__.py"
        return importlib.util.spec_from_loader(name, self, origin=str(self._path), is_package=is_package)

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self._path)
        exec(compile(self._source, str(self._path), "exec"), module.__dict__)


def is_noticed(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether the tests fail with this change, in a forked process that has imported nothing of the product yet."""
    child = os.fork()
    if child == 0:
        os.setsid()
        status = 1
        with contextlib.suppress(BaseException):
            status = _run(mutant, tests)
        os._exit(0 if status == 0 else 1)
    until = time.monotonic() + PATIENCE_S
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0
        if time.monotonic() > until:               # a change that loops for ever is noticed too
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return True
        time.sleep(0.02)


def _run(mutant: Mutant, tests: Sequence[str]) -> int:
    import pytest

    module = mutant.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    sys.meta_path.insert(0, _Served(module, SOURCE / mutant.path, mutant.source))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--hypothesis-seed=1",
                                *tests]))


def _warm() -> None:
    """Import what every test needs and no target is part of."""
    for name in ("numpy", "numba", "msgspec", "structlog", "hypothesis", "pytest",
                 "cryptography.hazmat.primitives.asymmetric.ed25519"):
        importlib.import_module(name)
    os.chdir(ROOT)
    sys.path[:0] = [str(SOURCE), str(ROOT)]


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def _accepted() -> dict[str, str]:
    if not ACCEPTED.exists():
        return {}
    return {each["mutant"]: each["why"] for each in tomllib.loads(ACCEPTED.read_text()).get("accepted", [])}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--all", action="store_true", help="every target")
    parser.add_argument("--limit", type=int, default=0, help="at most so many mutants of each target, drawn by seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the result is written")
    given = parser.parse_args()
    names = list(TARGETS) if given.all else given.target
    if not names:
        parser.error("name a target, or --all")
    _warm()
    accepted, result, is_bad = _accepted(), {}, False
    for name in names:
        paths, tests = TARGETS[name]
        drawn = [mutant for path in paths for file in _files(SOURCE / path) for mutant in mutants(file)]
        if given.limit and len(drawn) > given.limit:
            drawn = sorted(random.Random(given.seed).sample(drawn, given.limit), key=lambda mutant: (mutant.path, mutant.line))
        began = time.monotonic()
        with ThreadPoolExecutor(given.workers) as pool:
            noticed = list(pool.map(partial(is_noticed, tests=tests), drawn))
        survivors = [mutant for mutant, seen in zip(drawn, noticed, strict=True) if not seen]
        new = [mutant for mutant in survivors if mutant.key not in accepted]
        is_bad = is_bad or bool(new)
        print(f"{name}: {len(drawn)} mutants, {sum(noticed)} noticed, {len(survivors) - len(new)} survive with a reason, "
              f"{len(new)} without, {time.monotonic() - began:.0f} s", flush=True)
        for mutant in new:
            print(f"  {mutant.path}:{mutant.line}: {mutant.before}  ->  {mutant.after}", flush=True)
        result[name] = {"mutants": len(drawn), "noticed": sum(noticed), "accepted": len(survivors) - len(new),
                        "survivors": [{"mutant": mutant.key, "line": mutant.line} for mutant in new]}
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
