"""The loop: what lanes share, what a lane mines, measures and shows, and lanes taking turns."""
