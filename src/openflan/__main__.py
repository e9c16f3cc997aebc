"""`python -m openflan`."""

from openflan.cli.main import main

main()
