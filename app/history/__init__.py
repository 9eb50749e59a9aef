"""What a run has told so far, ready to be shown. No Qt, no torch."""
