"""The `turnike-backoffice` command: program.py is the group, and each other module holds its commands."""
