"""`interlock status`: mode, kill, lanes, strategies, accounts."""

from interlock.cli.answer import Json, State, errors_said, existing, print_json, table

HELP = """Say what the desk is: mode, whether it is killed, lanes with strategies, accounts with truth labels and tiers.

Example: interlock status --state ~/interlock --json
"""


def command(state: State, as_json: Json = False) -> None:
    with errors_said():
        from interlock.runtime.status import status_of

        answer = status_of(existing(state))
    if as_json:
        print_json(answer)
        return
    running = "running" if answer["running"] else "stopped"
    print(f"{running}, mode {answer['mode']}, clock {answer['clock']}, killed: {answer['killed_by'] or 'no'}")
    table("Lanes", ("lane", "mode", "tier", "strategy", "kind", "fires left"),
          [[lane["name"], lane["mode"], str(lane["tier"]), strategy["name"], strategy["kind"],
            "" if strategy.get("fires_left") is None else str(strategy["fires_left"])]
           for lane in answer["lanes"] for strategy in lane["strategies"]], empty="no lanes")
    table("Accounts", ("account", "mode", "truth", "tier", "enabled", "why"),
          [[row["name"], row["mode"], row["truth"], str(row["tier"]), "yes" if row["enabled"] else "no",
            "; ".join(filter(None, (row["why"], *row["tier_reasons"])))]
           for row in answer["accounts"]], empty="no accounts")
