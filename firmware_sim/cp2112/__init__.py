"""A Silicon Labs CP2112: eight GPIO lines behind USB HID feature reports (and an SMBus, not here).

    identity    its descriptors
    lines       eight lines: registers, and the world outside
    chip        the device: feature reports in and out, verbs
    cli         the command `firmware-sim cp2112`

The reports are those of Silicon Labs' AN495 (CP2112 interface specification, rev. 0.2) that Linux'
driver hid-cp2112 uses, which makes a GPIO chip with the label cp2112_gpio of it. What AN495 leaves
open is marked *assumed*.
"""
