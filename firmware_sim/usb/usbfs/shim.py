"""Compiles the library that programs load for the simulated USB bus; once for each source text."""

import os
import shutil
import subprocess
from hashlib import blake2b
from pathlib import Path

__all__ = ["ShimError", "compiled"]

FOLDER = Path(__file__).parent
SOURCES = tuple(FOLDER / f"{name}.c" for name in ("shim", "node", "transfers", "claims"))
READ = (*SOURCES, FOLDER / "shim.h")
OPTIONS = (
    "-shared",
    "-fPIC",
    "-O2",
    "-fvisibility=hidden",
    "-U_FORTIFY_SOURCE",
    "-Werror=implicit",
)


class ShimError(Exception):
    """The library cannot be compiled here; the text is one line."""


def compiled() -> Path:
    """Return the path of the library; compile it if this source has not been.

    Raises:
        ShimError: there is no gcc, or it fails.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        raise ShimError("the simulated USB bus needs gcc: apt-get install gcc libc6-dev")
    text = b"".join(path.read_bytes() for path in READ)
    text += " ".join((compiler, os.uname().machine, *OPTIONS)).encode()
    library = _cache() / f"usbfs-{blake2b(text, digest_size=8).hexdigest()}.so"
    if set(str(library)) & set(" :"):  # both separate the names in LD_PRELOAD
        raise ShimError(f"{library.parent} has a blank or a colon; set XDG_CACHE_HOME to another")
    if library.exists():
        return library
    fresh = library.with_suffix(f".{os.getpid()}")
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        ended = subprocess.run(
            [compiler, *OPTIONS, "-o", str(fresh), *map(str, SOURCES), "-ldl", "-lpthread"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise ShimError(f"gcc cannot compile {FOLDER}: {_first_error(ended.stderr)}")
        fresh.replace(library)
    except OSError as error:
        raise ShimError(f"cannot compile the simulated USB bus: {error}") from error
    return library


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given else Path("~/.cache").expanduser()) / "turnike"


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "no reason")
