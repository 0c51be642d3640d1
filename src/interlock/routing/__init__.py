"""From a lane's intent to its accounts: who takes it, and a receipt for each that does not."""
