"""Finished bars to rows of numbers: one kernel per feature, fused into one compiled step per table."""
