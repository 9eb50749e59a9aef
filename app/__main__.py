"""`python -m app` is `hnm-lab`."""

from app.cli import main

if __name__ == "__main__":
    main()
