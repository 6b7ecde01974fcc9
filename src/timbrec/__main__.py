"""`python -m timbrec`: the command line."""

from timbrec.cli.main import main

if __name__ == "__main__":
    main()
