"""Negatives for all anchors of a set at once, to be written for somebody's trainer: `hnm_core.mine`.

Miners in a run choose a few tuples for each step; here every anchor gets its negatives once, from the whole set.
"""
