"""Builds the desk and runs it: wiring.py makes everything, desk.py turns and settles, driver.py moves time."""
