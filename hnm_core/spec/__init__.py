"""What is asked for: configurations, names and options, and which of them go together. Loads no torch."""
