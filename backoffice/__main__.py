"""The entry point of `turnike-backoffice` and of `python -m backoffice`."""

import sys


def main() -> None:
    """Run the command. Ctrl-C during the imports ends in one line too."""
    try:
        from backoffice.cli.program import main as command  # noqa: PLC0415 as it says
    except KeyboardInterrupt:
        sys.stderr.write("turnike-backoffice: interrupted\n")
        sys.exit(130)
    command()


if __name__ == "__main__":
    main()
