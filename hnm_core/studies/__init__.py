"""What looks beyond one run."""
