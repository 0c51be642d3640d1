"""The gate: fixes the size, asks every check, keeps every answer, and signs what was cleared."""
