"""What is held and what it made: positions, profit and loss, trading days, and ours against the broker's."""
