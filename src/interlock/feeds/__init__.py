"""Market data: one folder per source, each turning what it is given into the messages of `model.market`."""
