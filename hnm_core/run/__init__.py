"""What is told of a run: its events, its clock, its mailbox and requests to it, its figures. Loads no torch."""
