"""What the program asks of the system beneath it: files, folders, processes, signals. Loads nothing heavy."""
