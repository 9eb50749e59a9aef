"""`python -m hnm_core`: the engine's commands, without the app."""

import os
import sys

if __name__ == "__main__":
    # Python looks into the current folder first, and what lies there is not ours. No pathlib: one may lie there.
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    if not sys.flags.safe_path and os.path.realpath(sys.path[0]) != os.path.realpath(root):
        del sys.path[0]

    from hnm_core.cli.commands import main

    main()
