"""Deterministic simulation: seeded faults against the real core, judged by oracles that import nothing of it but model."""
