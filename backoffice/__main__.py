"""`python -m backoffice` is the `turnike-backoffice` command."""

from backoffice.cli import main

main()
