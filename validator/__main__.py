"""`python -m validator` is the `turnike` command."""

from validator.cli import main

main()
