"""The `turnike-backoffice` command: program.py has the group, the other modules its commands."""
