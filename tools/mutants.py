"""The changes that `tools.mutate` tries: one node of a module's syntax tree at a time.

A comparison with its border moved or turned round, one condition of several left out, a sign, a factor, a number one higher, a
statement left out, a branch never taken, a refusal turned into an Allow. The wording of messages, annotations and the options
of a dataclass are left alone.
"""

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

Change = Callable[[Any], ast.AST | None]
"""Changes a node in place, or returns what stands there instead."""


@dataclass(frozen=True)
class Mutant:
    """One change: the module (from its source root), where, what stood there and what stands there instead."""

    path: str
    line: int
    first: int                         # and last: the lines of the statement, or of a block's head
    last: int
    within: str
    before: str
    after: str
    node: int
    change: int
    repeat: int = 1

    @property
    def key(self) -> str:
        """Names the change without its line number, so that it is found again after an edit elsewhere."""
        where = f"{self.path} {self.within}" if self.within else self.path
        return f"{where}: {self.before} -> {self.after}" + (f" ({self.repeat})" if self.repeat > 1 else "")


@cache
def text_of(root: Path, path: str) -> str:
    """Read once, so that an edit meanwhile does not mix two versions."""
    return (root / path).read_text()


def mutants(root: Path, path: str) -> list[Mutant]:
    """Every change of one module, in the order of its lines."""
    tree = ast.parse(text_of(root, path))
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    found = []
    for number, node in enumerate(ast.walk(tree)):
        if not hasattr(node, "lineno") or _is_left_alone(node, parents):
            continue
        for order, change in enumerate(_changes(node)):
            shown = _shown(node, parents)
            before, after = _spell(shown), _spell(_changed(shown, node, change))
            if before != after:
                found.append(Mutant(path, node.lineno, *_header(node, parents), _within(node, parents), before, after, number,
                                    order))
    found.sort(key=lambda mutant: mutant.line)
    seen: Counter[str] = Counter()
    for at, mutant in enumerate(found):
        seen[mutant.key] += 1
        found[at] = replace(mutant, repeat=seen[mutant.key])
    return found


def tree_of(root: Path, mutant: Mutant) -> ast.Module:
    """The module with the change made."""
    tree = ast.parse(text_of(root, mutant.path))
    node = next(node for number, node in enumerate(ast.walk(tree)) if number == mutant.node)
    changed = _changed(tree, node, list(_changes(node))[mutant.change])
    assert isinstance(changed, ast.Module)
    return ast.fix_missing_locations(changed)


# -- where

def _header(node: Any, parents: dict[ast.AST, ast.AST]) -> tuple[int, int]:
    """The first and the last line of the statement (of a block: its head) that the node belongs to."""
    while not isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case):
        node = parents[node]
    if isinstance(node, ast.match_case):
        return node.pattern.lineno, node.body[0].lineno - 1
    body = getattr(node, "body", None)
    end = node.end_lineno or node.lineno
    return (node.lineno, max(node.lineno, body[0].lineno - 1)) if isinstance(body, list) else (node.lineno, end)


def _within(node: Any, parents: dict[ast.AST, ast.AST]) -> str:
    names: list[str] = []
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.insert(0, node.name)
    return ".".join(names)


_SMALL: Final = (ast.Constant, ast.UnaryOp, ast.Name, ast.Tuple, ast.Subscript, ast.keyword, ast.Call)
_SAYING: Final = (ast.expr, ast.AnnAssign, ast.Assign, ast.AugAssign, ast.Return, ast.keyword)


def _shown(node: Any, parents: dict[ast.AST, ast.AST]) -> Any:
    """The smallest part round the node that says something when it is read alone."""
    while isinstance(node, _SMALL) and isinstance(parents[node], _SAYING):
        node = parents[node]
    return node


def _spell(node: Any) -> str:
    if isinstance(node, ast.If | ast.While):
        node = ast.copy_location(type(node)(node.test, [ast.Pass()], []), node)
    if isinstance(node, ast.arguments | ast.withitem | ast.comprehension):
        return ast.unparse(node)
    return " ".join(ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).removesuffix(":\n    pass").split())[:200]


def _changed(whole: Any, node: Any, change: Change) -> Any:
    """A copy of the whole with the node changed."""
    number = next(number for number, other in enumerate(ast.walk(whole)) if other is node)
    whole = copy.deepcopy(whole)
    target = next(other for at, other in enumerate(ast.walk(whole)) if at == number)
    other = change(target)
    return whole if other is None else _Swap(target, other).visit(whole)


class _Swap(ast.NodeTransformer):
    def __init__(self, target: ast.AST, other: ast.AST) -> None:
        self._target, self._other = target, other

    def visit(self, node: ast.AST) -> ast.AST:
        return ast.copy_location(self._other, node) if node is self._target else self.generic_visit(node)


# -- what is left alone

_ANSWERS: Final = {"Refuse": 1, "missing": 1, "_no": 0, "_nothing": 2, "Alarm": 2}
"""Calls that carry a sentence, and from which argument on."""


def _is_left_alone(node: Any, parents: dict[ast.AST, ast.AST]) -> bool:
    child = node
    while child in parents:
        parent = parents[child]
        if isinstance(parent, ast.Raise) or (isinstance(parent, ast.JoinedStr) and " " in ast.unparse(parent)):
            return True
        if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id in _ANSWERS \
                and child in parent.args[_ANSWERS[parent.func.id]:]:
            return True
        if isinstance(parent, ast.ClassDef) and (child in parent.decorator_list or child in parent.keywords):
            return True
        if isinstance(parent, ast.AnnAssign | ast.arg) and child is parent.annotation:
            return True
        if isinstance(parent, ast.keyword) and parent.arg == "strict":
            return True
        child = parent
    return False


# -- the changes

_COMPARE: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult}


def _changes(node: Any) -> Iterator[Change]:
    match node:
        case ast.Compare():
            for at, operator in enumerate(node.ops):
                if type(operator) in _COMPARE:
                    yield partial(_compare, at)
        case ast.BoolOp():
            for at in range(len(node.values)):
                yield partial(_without, at)
        case ast.BinOp() | ast.AugAssign() if type(node.op) in _ARITHMETIC:
            yield _arithmetic
        case ast.UnaryOp(op=ast.Not()):
            yield lambda node: node.operand
        case ast.UnaryOp(op=ast.USub()) if not isinstance(node.operand, ast.Constant):
            yield lambda node: node.operand
        case ast.Constant(value=bool()):
            yield _flipped
        case ast.Constant(value=int() | float()):
            yield _raised
        case ast.Call(func=ast.Name(id="Decimal"), args=[ast.Constant(value=str())]):
            yield _raised_decimal
        case ast.Call(func=ast.Name(id="min" | "max")):
            yield _other_end
        case ast.If():
            yield _never
        case ast.IfExp():
            yield lambda node: node.body
            yield lambda node: node.orelse
        case ast.Return(value=ast.Call(func=ast.Name(id="Refuse" | "missing"))):
            yield lambda _: ast.parse("return Allow({})").body[0]
        case ast.Raise() if node.exc is not None:
            yield lambda _: ast.Pass()
        case ast.Expr(value=ast.Call() | ast.Await() | ast.Yield() | ast.YieldFrom()) | ast.Delete():
            yield lambda _: ast.Pass()
        case ast.Continue():
            yield lambda _: ast.Pass()


def _compare(at: int, node: ast.Compare) -> None:
    node.ops[at] = _COMPARE[type(node.ops[at])]()


def _without(at: int, node: ast.BoolOp) -> ast.expr | None:
    rest = node.values[:at] + node.values[at + 1:]
    if len(rest) == 1:
        return rest[0]
    node.values = rest
    return None


def _arithmetic(node: ast.BinOp | ast.AugAssign) -> None:
    node.op = _ARITHMETIC[type(node.op)]()


def _flipped(node: ast.Constant) -> None:
    node.value = not node.value


def _raised(node: ast.Constant) -> None:
    node.value = node.value + 1 if isinstance(node.value, int) else float(_next(repr(node.value)))


def _raised_decimal(node: ast.Call) -> None:
    number = node.args[0]
    assert isinstance(number, ast.Constant)
    assert isinstance(number.value, str)
    number.value = _next(number.value)


def _next(number: str) -> str:
    """One more in the last place: 0.02 becomes 0.03."""
    whole, dot, places = number.partition(".")
    return f"{int(whole + places) + 1:0{len(whole + places)}d}"[:len(whole)] + dot + \
        f"{int(whole + places) + 1:0{len(whole + places)}d}"[len(whole):] if dot else str(int(whole) + 1)


def _never(node: ast.If) -> None:
    node.test = ast.Constant(False)


def _other_end(node: ast.Call) -> None:
    assert isinstance(node.func, ast.Name)
    node.func.id = "max" if node.func.id == "min" else "min"
