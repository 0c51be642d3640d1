"""What must always be true, judged from wire, disk and venue records alone."""
