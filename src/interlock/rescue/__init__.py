"""The second, small gate for a hung engine, and the watchdog that pages when the heartbeat stops."""
