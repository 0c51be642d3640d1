"""The core from end to end: step.py is the page to read first."""
