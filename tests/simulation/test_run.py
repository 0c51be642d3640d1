"""Many seeds: the report for scripts, and the same result whether they run here or in other processes."""

import json
import subprocess
import sys

from interlock.simulation import run
from interlock.simulation.oracles import INVARIANTS


def test_the_report_names_every_invariant():
    answer = run.run_seeds(range(3), "smoke").as_json()

    assert set(answer) == {"seeds", "violations", "witnesses", "seconds"}
    assert tuple(answer["witnesses"]) == INVARIANTS


def test_the_command_prints_one_json_value():
    found = subprocess.run([sys.executable, "-m", "interlock.cli.main", "simulate", "--seeds", "4", "--profile", "quiet",
                            "--processes", "1", "--json"], capture_output=True, text=True, check=False)

    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["seeds"] == 4


def test_a_replay_tells_the_same_run_as_a_story():
    plan, history, result = run.replay(4, "smoke")

    assert plan.seed == 4
    assert history.events
    assert result.digest == run.replay(4, "smoke")[2].digest
