"""Checks on what only reduces. What stops us getting in must not stop us getting out."""
