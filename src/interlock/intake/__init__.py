"""Alerts from outside: the hook that takes them, the fast gates in order, the signal guards, and the Pine side."""
