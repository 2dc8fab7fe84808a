"""The hardware side: simulated card readers and a turnstile board, byte for byte, and a crowd.

It imports nothing of the gate: what both know is written in the manual and in docs/.

    cli, cli_errors     the command `firmware-sim`
    cli_types           arguments that several devices have
    runner              the loop of a device
    serial_port, wires  a device on a pty
    outcomes            what a device returns to the loop
    faults, echo        faults by name, and the fault of the line itself
    cards               virtual cards
    radio/              the field of a reader: cards, their states, the hand that lays them
    usb/                devices on a USB bus, and the rig in which programs find them
    pn532/, rcs380/, ccid/  the readers
    cp2112/             GPIO lines on a USB bus
    board/              the turnstile's board
    crowd/              passengers who tap at both, and judge what they see
"""
