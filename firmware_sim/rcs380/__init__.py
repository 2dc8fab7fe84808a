"""A Sony RC-S380 card reader (chip: Port-100) on the simulated USB bus.

    identity    its descriptors
    frames      its host frames
    commands    the chip's commands
    reader      the device: frames in, frames out, verbs and faults
    faults      the faults by name
    cli         the command `firmware-sim rcs380`

Sony publishes no manual. The bytes are those that two independent programs send and accept: nfcpy
(its module nfc.clf.rcs380) and Linux (its driver port100). What neither can show is marked
*assumed*.
"""
