"""`python -m openflan`."""

from openflan.cli.main import main

if __name__ == "__main__":
    main()
