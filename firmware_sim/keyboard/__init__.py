"""A simulated card reader that types: a keyboard at the level of Linux's input events.

`typed.py` says what it types for a UID, `keys.py` makes key events of that, and `reader.py` is the
device with its cards and faults. `node.py` is the kernel's side: an input device that programs
open, take and read, as a unix socket. `shim.c` in a program turns its open, ioctl and read on such
a socket into what Linux does on /dev/input/eventN (`firmware-sim input-rig`).
"""
