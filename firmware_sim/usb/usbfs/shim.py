"""The library that programs load for the simulated USB bus."""

from pathlib import Path

from firmware_sim import preload
from firmware_sim.preload import OPTIONS, ShimError

__all__ = ["OPTIONS", "SOURCES", "ShimError", "compiled"]

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / f"{name}.c" for name in ("shim", "node", "transfers", "claims"))
HEADERS = (FOLDER / "shim.h",)


def compiled() -> Path:
    """Return the path of the library. Raises ShimError: it cannot be compiled here."""
    return preload.compiled("usbfs", "the simulated USB bus", SOURCES, HEADERS)
