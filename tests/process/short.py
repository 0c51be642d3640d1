"""Runs the real `interlock` command with a lease that lives 2 s instead of 15, so that a test need not wait for it.

    python -m tests.process.short [deaf] COMMAND...

A `deaf` desk does not notice that it lost its lease: whatever holds it back then is what stands before the wire.
"""

import sys
from typing import Any

from interlock.errors import StorageError
from interlock.runtime import heartbeat
from interlock.storage import lease
from interlock.web import serve

lease.TTL = 2_000_000_000              # type: ignore[misc]
serve.RENEW_EVERY = 500_000_000        # type: ignore[attr-defined]
heartbeat.RENEW_EVERY = 500_000_000    # type: ignore[attr-defined]


def deafen() -> None:
    renew = lease.Lease.renew

    def tried(self: Any) -> None:
        try:
            renew(self)
        except StorageError as error:
            print(f"deaf to: {error}", file=sys.stderr, flush=True)

    lease.Lease.renew = tried          # type: ignore[method-assign]


if __name__ == "__main__":
    if sys.argv[1] == "deaf":
        deafen()
        del sys.argv[1]
    sys.argv[0] = "interlock"
    from interlock.cli.main import main

    main()
