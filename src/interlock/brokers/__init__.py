"""The way out: SafeBroker, the last room before the wire, and one folder per venue behind it."""
