"""The repository as the house tests see it: its files, its Python trees, its pages."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "interlock"
DOCS = ROOT / "docs"
CORE = ("model", "matching", "features", "regimes", "decisions", "routing", "gate", "execution", "ledger", "engine")
"""The rooms that are pure: the same input gives the same output, whenever and wherever."""


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository: what git tracks, and what it would track. Without git (a source archive) every file
    outside of what is built."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        built = {".venv", ".node", "node_modules", "__pycache__", ".git", ".mypy_cache", ".ruff_cache", ".pytest_cache",
                 ".hypothesis", "static", "state", "dist", "build"}
        found = [path for path in ROOT.rglob("*") if not built & set(path.relative_to(ROOT).parts)]
    return tuple(sorted(path for path in found if path.is_file()))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def sources(*rooms: str) -> list[Path]:
    """The product's Python files, of these rooms or of all."""
    below = [SOURCE / room for room in rooms] or [SOURCE]
    return sorted(path for folder in below for path in folder.rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module, e.g. interlock.gate.judge."""
    parts = path.relative_to(ROOT / "src").with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def scoped(tree: ast.AST, scope: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Every node with the dotted name of the function or class that it stands in."""
    for child in ast.iter_child_nodes(tree):
        inner = scope
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{scope}.{child.name}".lstrip(".")
        yield inner, child
        yield from scoped(child, inner)


class Snippet(NamedTuple):
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every Markdown page of the repository."""
    return [path for path in files() if path.suffix == ".md"]


def snippets(language: str, page: Path | None = None) -> list[Snippet]:
    """The fenced blocks of one language, page by page."""
    return [Snippet(path, text.count("\n", 0, match.start()) + 2, match[1], match[2])
            for path in ([page] if page else pages()) for text in (path.read_text(),)
            for match in _FENCE.finditer(text) if match[1] == language]


def shown(snippet: Snippet) -> str:
    """How a test names a snippet."""
    return f"{snippet.page.relative_to(ROOT)}:{snippet.line}"


def commands(snippet: Snippet) -> list[str]:
    """The lines that are typed in a console block; a line that ends in a backslash goes on."""
    lines = snippet.text.replace("\\\n", " ").splitlines()
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
