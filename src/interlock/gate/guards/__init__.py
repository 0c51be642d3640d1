"""The eleven entry guards. `table` says which of them are asked for which source."""
