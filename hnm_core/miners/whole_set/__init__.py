"""Miners that look at the whole training set through a bank of embeddings: `DatasetMiner`."""
