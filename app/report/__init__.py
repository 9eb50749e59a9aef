"""A recording as one page of HTML that needs nothing else."""
