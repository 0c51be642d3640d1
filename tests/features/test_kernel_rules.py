"""Rules that keep compiled and interpreted kernels equal to the bit, read from their source."""

import ast
import inspect

import pytest

from interlock.features import momentum
from interlock.model import kernels
from interlock.regimes import kernels as regime_kernels

ALLOWED_CALLS = {"max", "min", "abs", "float", "int", "len", "range", "sqrt"}


def kernels_of(module):
    return [
        node
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "kernel" for mark in node.decorator_list)
    ]


EVERY = [node for module in (momentum, kernels, regime_kernels) for node in kernels_of(module)]
NAMES = {node.name for node in EVERY}


@pytest.mark.parametrize("node", EVERY, ids=lambda node: node.name)
def test_a_kernel_has_no_power_no_array_function_and_calls_only_kernels_and_plain_words(node):
    for part in ast.walk(ast.Module(node.body, [])):
        assert not (isinstance(part, ast.BinOp | ast.AugAssign) and isinstance(part.op, ast.Pow)), "multiply out"
        assert not isinstance(part, ast.Import | ast.ImportFrom | ast.Try | ast.Global | ast.Lambda)
        if isinstance(part, ast.Call):
            assert isinstance(part.func, ast.Name), f"line {part.lineno}: a call of an attribute"
            assert part.func.id in ALLOWED_CALLS | NAMES, part.func.id


@pytest.mark.parametrize("node", EVERY, ids=lambda node: node.name)
def test_a_kernel_says_what_it_is(node):
    assert ast.get_docstring(node)


def test_there_are_kernels_to_read():
    assert {"ema", "atr", "rsi", "trajectory", "structure"} <= NAMES
