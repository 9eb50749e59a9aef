"""The program: window, command line, videos."""

import os

# torch asks the system for pages of 2 MB, where it offers them, if this is there when it makes its first array: large
# arrays are then handed out several times as fast. A program that uses the engine decides for itself.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
