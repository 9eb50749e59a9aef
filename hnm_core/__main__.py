"""`python -m hnm_core`: the engine's commands, without the app."""

from hnm_core.cli.commands import main

if __name__ == "__main__":
    main()
