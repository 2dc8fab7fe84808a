"""Compiles a library that programs load to find simulated hardware; once for each source text."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

__all__ = ["ShimError", "compiled"]

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


def compiled(
    name: str, purpose: str, sources: Sequence[Path], headers: Sequence[Path] = ()
) -> Path:
    """Return the path of the library; compile it if these sources have not been.

    Args:
        name: of the library's file.
        purpose: what needs it, for errors.
        sources: files of C, all in one folder.
        headers: what they include from there.

    Raises:
        ShimError: there is no gcc, or it fails.
    """
    compiler = shutil.which("gcc")
    if compiler is None:
        raise ShimError(f"{purpose} needs gcc: apt-get install gcc libc6-dev")
    text = b"".join(path.read_bytes() for path in (*sources, *headers))
    text += " ".join((compiler, os.uname().machine, *OPTIONS)).encode()
    library = _cache() / f"{name}-{blake2b(text, digest_size=8).hexdigest()}.so"
    if set(str(library)) & set(" :"):  # both separate the names in LD_PRELOAD
        raise ShimError(f"{library.parent} has a blank or a colon; set XDG_CACHE_HOME to another")
    if library.exists():
        return library
    fresh = library.with_suffix(f".{os.getpid()}")
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        ended = subprocess.run(
            [compiler, *OPTIONS, "-o", str(fresh), *map(str, sources), "-ldl", "-lpthread"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise ShimError(f"gcc cannot compile {sources[0].parent}: {_first_error(ended.stderr)}")
        fresh.replace(library)
    except OSError as error:
        raise ShimError(f"cannot compile {purpose}: {error}") from error
    return library


def _cache() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(given) if given else Path("~/.cache").expanduser()) / "turnike"


def _first_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "no reason")
