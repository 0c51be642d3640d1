"""The import contracts bite: a forbidden import put into a copy of the source fails the check that names it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT = Path(sys.executable).with_name("lint-imports")

BREACHES = [
    ("engine/step.py", "import asyncio", "The core touches no clock, network or disk"),
    ("gate/judge.py", "import time", "The core touches no clock, network or disk"),
    ("ledger/book.py", "import random", "The core touches no clock, network or disk"),
    ("web/app.py", "from interlock.gate import clearance", "The web room knows neither signer nor broker"),
    ("web/auth.py", "from interlock.brokers import safe", "The web room knows neither signer nor broker"),
    ("feeds/cache.py", "from interlock.ledger import book", "Edges know the doors, never the rooms"),
    ("brokers/safe.py", "from interlock.gate import judge", "Edges know the doors, never the rooms"),
    ("brokers/quotes.py", "from interlock.feeds import cache", "Data flows one way"),
    ("intake/stage.py", "from interlock.storage import journal", "Data flows one way"),
    ("model/ids.py", "from interlock import ports", "Data flows one way"),
    ("ledger/compare.py", "from interlock.execution import state", "Data flows one way"),
    ("runtime/clock.py", "from interlock.web import app", "Data flows one way"),
]


def lint(directory: Path) -> str:
    environment = {"PYTHONPATH": str(directory / "src"), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    done = subprocess.run([LINT, "--no-cache", "--config", directory / ".importlinter"], cwd=directory, text=True,
                          capture_output=True, env=environment)
    return f"{done.returncode}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The source of the package, without what is built or compiled."""
    directory = tmp_path_factory.mktemp("contracts")
    shutil.copytree(ROOT / "src", directory / "src", ignore=shutil.ignore_patterns("__pycache__", "static"))
    shutil.copy(ROOT / ".importlinter", directory)
    return directory


def test_the_source_keeps_its_contracts(copy):
    assert lint(copy).startswith("0\n")


def test_every_forbidden_import_fails_the_contract_that_forbids_it(copy):
    """All breaches at once, so that the check runs twice and not a dozen times; the report names each of them."""
    kept = {path: (copy / "src/interlock" / path).read_text() for path, _, _ in BREACHES}
    for path, statement, _ in BREACHES:
        (copy / "src/interlock" / path).write_text(f"{kept[path]}\n{statement}\n")
    try:
        report = lint(copy)
    finally:
        for path, text in kept.items():
            (copy / "src/interlock" / path).write_text(text)

    assert report.startswith("1\n")
    told = "".join(report.split())
    for path, statement, contract in BREACHES:
        module = "interlock." + path.removesuffix(".py").replace("/", ".")
        words = statement.split()
        target = words[1] if words[0] == "import" else f"{words[1]}.{words[3]}"
        section = told[told.index("".join(contract.split()), told.index("Brokencontracts")):]
        assert f"{module}->{target}(" in section, (path, statement, contract)
