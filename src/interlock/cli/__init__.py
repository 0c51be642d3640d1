"""One file per command. A command parses, calls, prints: answers to stdout, the story to stderr."""
