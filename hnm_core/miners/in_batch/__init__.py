"""Miners that look at one batch: pytorch-metric-learning's contract, `BatchMiner`."""
