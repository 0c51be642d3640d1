"""Health: readings become tiers; second-best ways are registered and counted."""
