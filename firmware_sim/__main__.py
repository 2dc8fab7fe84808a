"""`python -m firmware_sim` is the command `firmware-sim`, for a program that starts a device with its own interpreter."""

from firmware_sim.cli import main

if __name__ == "__main__":
    main(prog_name="firmware-sim")
