"""`python -m backoffice` is the `turnike-backoffice` command, and `main` what the command starts with."""

import sys


def main() -> None:
    """Run it. Ctrl-C while it is still being read is one line too."""
    try:
        from backoffice.cli.program import main as command  # noqa: PLC0415 as it says
    except KeyboardInterrupt:
        sys.stderr.write("turnike-backoffice: interrupted\n")
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
