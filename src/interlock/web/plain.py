"""The two pages that need no build: what to do without the token, and what to run without the dashboard."""

import base64
import hashlib
from typing import Final


def style_hash(style: str) -> str:
    """The content security policy's name for one inline style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"


STYLE: Final = (
    ":root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;max-width:34rem;margin:12vh auto;"
    "padding:0 1.5rem}code{font-family:ui-monospace,monospace;background:#8882;padding:.1em .4em;border-radius:4px}")


def _page(title: str, body: str) -> str:
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{STYLE}</style></head>'
            f"<body><h1>{title}</h1>{body}</body></html>")


LOCKED: Final = _page(
    "Interlock is locked",
    "<p>This page needs the link that <code>interlock run</code> printed when it started. Open that link once in this "
    "browser; a cookie remembers it afterwards.</p>")

NOT_BUILT: Final = _page(
    "Interlock is running",
    "<p>The dashboard has not been built. Run <code>make dashboard</code> in the checkout (it needs Node 20.19 or "
    "newer) and reload this page.</p><p>Everything else works without it: <code>interlock status</code>, "
    "<code>interlock positions</code>, <code>interlock orders</code>, <code>interlock kill</code>, and the API under "
    "<code>/api/</code>.</p>")
