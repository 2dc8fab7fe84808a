#!/usr/bin/env bash
# cobs: a memoryview is decoded by the module in Python, and refused by the one in C.
#
# Guessed:  encode() and decode() take every bytes-like object, a memoryview too, and the package
#           behaves alike with its extension in C and without.
# Package:  cobs 1.2.1, by a wheel with the extension or built by a C compiler.
# Instead:  in C a memoryview raises BufferError, although the documentation takes all "types that
#           implement the buffer protocol". In Python, which is what is used without the extension,
#           it works. bytes and bytearray work in both.
# Seen:     in Python: encode, decode: b'\x03\x02a', b'a'
#           in C: encode: BufferError / decode: BufferError
# Meets it: who cuts frames out of a receive buffer without copying: it works where the extension
#           is missing, and on the next machine each frame ends in an exception that is no
#           cobs.DecodeError.
# Turnike:  hands it bytes only (tests/unit/lane/boards/test_board_frames.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet cobs==1.2.1
cd "$folder"
venv/bin/python - <<'PYTHON'
from cobs import cobs
from cobs.cobs import _cobs_ext as in_c
from cobs.cobs import _cobs_py as in_python

assert cobs.decode is in_c.decode, "the extension is used where it is installed"
line = memoryview(b"\x02a\x00\x02b\x00")
frame = line[:2]
print("in Python: encode, decode:", end=" ")
print(in_python.encode(frame), in_python.decode(frame), sep=", ")
assert in_python.decode(frame) == b"a"

for module in (in_python, in_c):
    assert module.decode(bytes(frame)) == module.decode(bytearray(frame)) == b"a"
for name in ("encode", "decode"):
    try:
        getattr(in_c, name)(frame)
    except BufferError as error:
        print(f"in C: {name}: {type(error).__name__}")
    else:
        raise SystemExit(f"{name} in C takes a memoryview now")
PYTHON
