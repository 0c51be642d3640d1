"""Send the running desk a sample alert over HTTP, as TradingView would, and print what the hook answers.

Usage: python examples/send_alert.py [--state DIR] [--strategy demo] [--action buy|sell|close]
"""

import argparse
import json
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any


def interlock(*words: str) -> Any:
    """What an interlock command answers."""
    line = [sys.executable, "-m", "interlock.cli.main", *words, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr.strip())
    return json.loads(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description="Send the running desk a sample alert.")
    parser.add_argument("--state", default="state", help="the state directory (default: state)")
    parser.add_argument("--strategy", default="demo", help="an alert strategy of the configuration (default: demo)")
    parser.add_argument("--action", default="buy", choices=("buy", "sell", "close"))
    given = parser.parse_args()
    port = interlock("status", "--state", given.state).get("port")
    sample = interlock("pine", given.strategy, "--sample", "--action", given.action, "--state", given.state)
    request = urllib.request.Request(f"http://127.0.0.1:{port}{sample['url']}", json.dumps(sample["message"]).encode(),
                                     {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as refused:
        answer = json.load(refused)
    print(json.dumps(answer))
    return 0 if answer["status"] == "accepted" else 1


if __name__ == "__main__":
    sys.exit(main())
