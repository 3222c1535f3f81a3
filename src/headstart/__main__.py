"""`python -m headstart`: the command of this very Python, where a shell finds another or none."""

from headstart.cli import main

if __name__ == "__main__":
    main()
