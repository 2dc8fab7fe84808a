"""The hardware side: simulated card readers and a turnstile board, byte for byte, and a crowd.

It imports nothing of the gate: what both know is written in the manual and in docs/.

    cli, cli_errors     the command `firmware-sim`
    cli_types           arguments and options that several devices have
    runner              the loop of a device
    serial_port, wires  a device on a pty
    outcomes            what a device returns to the loop
    faults, echo        faults by name, and the fault of the line itself
    cards               virtual cards
    radio/              the field of a reader: cards, their states, the hand that lays them
    usb/                devices on a USB bus, and the rig in which programs find them
    pn532/, rcs380/, ccid/, keyboard/  the readers
    board/, lot/        the turnstile's board, and a turnstile that is sold
    gpio/, cp2112/      GPIO lines: chips in the program's process, and one on a USB bus
    crowd/              passengers who tap at both, and judge what they see
"""
