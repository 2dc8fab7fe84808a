"""The hardware side: a simulated PN532 and turnstile board on ptys, byte for byte, and a crowd.

It imports nothing of the gate: what both know is written in the manual and in docs/.

    cli, cli_errors     the command `firmware-sim`
    runner, wires       the loop of a device, and the pty that it serves
    outcomes            what a device returns to the loop
    faults, echo        faults by name, and the fault of the line itself
    cards               virtual cards
    pn532/, board/      the two devices
    crowd/              passengers who tap at both, and judge what they see
"""
