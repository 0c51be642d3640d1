"""The whole configuration: one file, read once, frozen, journaled by content."""
