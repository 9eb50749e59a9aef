"""What shows a run: clouds side by side, timeline, curves and bars."""
