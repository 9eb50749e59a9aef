"""Names and options of pytorch-metric-learning's losses; loads no torch."""
