"""The page and its API: reads the board, asks through the command door, and holds neither signer nor credential."""
