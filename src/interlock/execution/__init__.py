"""Orders and what keeps a position safe: states, brackets, protection, exits, kill. Pure; every write is another's."""
