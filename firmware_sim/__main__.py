"""`python -m firmware_sim`: the command `firmware-sim`, run by a chosen interpreter."""

from firmware_sim.cli import main

if __name__ == "__main__":
    main(prog_name="firmware-sim")
