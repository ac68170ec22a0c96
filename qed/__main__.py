"""``python -m qed`` is the command line."""

from qed.cli.app import main

if __name__ == "__main__":
    main()
