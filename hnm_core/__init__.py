"""The engine of HNM Lab: hard-negative search, miners, losses, metrics and a trainer that yields events.

Importing the package is free: neither torch nor Qt nor scikit-learn is loaded. Take what you need from its modules:

    from hnm_core import neighbors, miners, losses
"""

__version__ = "0.1.0"
