"""Names and options of the miners that look inside one batch; loads no torch."""
