"""A Python package that a driver needs and that cannot be imported: which one, how to get it."""

# By the module's name: what to say of it. Turnike's own installation brings all of them, but a
# package of a distribution or an installation with --no-deps may not.
_NFCPY = "the Python package nfcpy is missing or not whole; pip install 'nfcpy>=1.0.4'"
_PACKAGES = {
    "usb1": (
        "the Python package libusb1 is missing; apt install python3-libusb1 if that is 3.1 or"
        " later, else pip install 'libusb1>=3.1'"
    ),
    "serial": "the Python package pyserial is missing; apt install python3-serial",
    "cobs": "the Python package cobs is missing; pip install 'cobs<1.2.2'",
    # What nfcpy imports of others; no distribution has them.
    "nfc": _NFCPY,
    "ndef": _NFCPY,
}


def what_to_install(error: ImportError) -> str:
    """Return one line: the package, what to do, and that the lane has to be restarted.

    Raises:
        ImportError: `error` itself, if it is of no package that a driver needs.
    """
    cause: BaseException | None = error
    while cause is not None:  # nfcpy raises errors of its own about the packages that it needs
        module = (cause.name or "") if isinstance(cause, ImportError) else ""
        if told := _PACKAGES.get(module.partition(".")[0]):
            return f"{told}, then restart the lane"
        cause = cause.__cause__ or cause.__context__
    raise error
