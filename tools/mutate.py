"""Change one thing at a time in the rooms that must not be wrong, and see whether a test notices.

    python -m tools.mutate guards                every mutant of the guards
    python -m tools.mutate safe --limit 100      a seeded sample of SafeBroker's
    python -m tools.mutate --all --json out.json

The tests of a target are collected once and run once, which tells the lines that each of them runs through. Then every mutant
gets a process of its own, forked from there: one inside a function has that function's code replaced and is tried by the tests
that reach it; any other is served in place of its file to a process that has imported nothing of the product yet. Nothing is
written to the source. A test that fails without any change is set aside, and said so: it notices nothing.

A mutant that no test notices is a survivor. Those that cannot matter stand with their reason in tests/mutants.toml; any other
is a missing test, and the exit status is 1.
"""

import argparse
import json
import random
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.mutants import Mutant, mutants
from tools.trial import Target, trial

ROOT: Final = Path(__file__).parents[1]
SOURCE: Final = ROOT / "src"
ACCEPTED: Final = ROOT / "tests" / "mutants.toml"

TARGETS: Final[dict[str, Target]] = {
    "guards": Target(("interlock/gate/guards",), ("tests/gate",)),
    "gate": Target(("interlock/gate",), ("tests/gate", "tests/house/test_signing.py"), leave_out=("interlock/gate/guards",)),
    "safe": Target(
        ("interlock/brokers/safe.py", "interlock/brokers/egress.py", "interlock/brokers/exposure.py",
         "interlock/brokers/quotes.py"),
        ("tests/brokers/test_safe.py", "tests/brokers/test_safe_limits.py", "tests/contracts/test_broker.py",
         "tests/scenarios/test_nothing_reaches_the_venue.py")),
    "journal": Target(
        ("interlock/storage/journal.py", "interlock/storage/chain.py", "interlock/storage/lease.py",
         "interlock/storage/sqlite/store.py"),
        ("tests/storage", "tests/contracts/test_store.py")),
    "kill": Target(
        ("interlock/execution/kill.py", "interlock/execution/proof.py", "interlock/engine/latches.py"),
        ("tests/execution", "tests/engine", "tests/scenarios/test_kill.py")),
}
"""What is changed, and by which tests it must be noticed."""


def drawn(root: Path, target: Target, limit: int = 0, seed: int = 1) -> list[Mutant]:
    """The mutants of a target, or a seeded sample of them."""
    paths = [str(file.relative_to(root)) for path in target.changed
             for file in ([root / path] if path.endswith(".py") else sorted((root / path).rglob("*.py")))]
    found = [mutant for path in paths if not path.startswith(target.leave_out or ("/",)) for mutant in mutants(root, path)]
    if limit and len(found) > limit:
        found = sorted(random.Random(seed).sample(found, limit), key=lambda mutant: (mutant.path, mutant.line))
    return found


def accepted(path: Path) -> dict[str, str]:
    """Survivors that cannot matter, and why."""
    if not path.exists():
        return {}
    return {each["mutant"]: each["why"] for each in tomllib.loads(path.read_text()).get("accepted", [])}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", nargs="*", help=", ".join(TARGETS))
    parser.add_argument("--all", action="store_true", help="every target")
    parser.add_argument("--limit", type=int, default=0, help="at most so many mutants of each target, drawn by seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="only mutants whose name contains this")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where the result is written")
    given = parser.parse_args(arguments)
    names = list(TARGETS) if given.all else given.target
    if not names or not set(names) <= set(TARGETS):
        parser.error(f"name targets out of {', '.join(TARGETS)}, or say --all")
    reasons, result, is_bad = accepted(ACCEPTED), {}, False
    for name in names:
        target, began = TARGETS[name], time.monotonic()
        chosen = [mutant for mutant in drawn(SOURCE, target, given.limit, given.seed) if given.only in mutant.key]
        outcome = trial(ROOT, SOURCE, target.tests, chosen, given.workers)
        survivors = [mutant for mutant in chosen if mutant.key not in outcome.noticed_by]
        new = [mutant for mutant in survivors if mutant.key not in reasons]
        is_bad = is_bad or bool(new or outcome.set_aside)
        print(f"{name}: {len(chosen)} mutants, {len(outcome.noticed_by)} noticed, {len(survivors) - len(new)} survive with a "
              f"reason, {len(new)} without, {time.monotonic() - began:.0f} s", flush=True)
        for test in outcome.set_aside:
            print(f"  set aside, fails without a change: {test}")
        for mutant in new:
            note = "  [no test imports the module]" if mutant.key in outcome.never_served else ""
            print(f"  {mutant.line}: {mutant.key}{note}", flush=True)
        result[name] = {"mutants": len(chosen), "noticed": outcome.noticed_by, "set_aside": outcome.set_aside,
                        "accepted": [mutant.key for mutant in survivors if mutant.key in reasons],
                        "survivors": [{"mutant": mutant.key, "line": mutant.line} for mutant in new]}
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))
    return 1 if is_bad else 0


if __name__ == "__main__":
    sys.exit(main())
