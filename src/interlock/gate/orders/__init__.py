"""Checks on the order itself: who it is for, what it trades, at what price, and whether it was sent before."""
