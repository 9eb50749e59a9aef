"""Names and options of pytorch-metric-learning's miners; loads no torch."""
