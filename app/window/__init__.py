"""The window: its parts put together, what a user can do in it, what stands behind it."""
