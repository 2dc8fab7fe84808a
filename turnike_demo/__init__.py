"""What `make demo` runs: a city, a gate with simulated hardware, and a crowd, on one machine.

It starts the same commands that an operator starts by hand, as child processes. A gate does not
install this package.

    cli, run       the command and the order of one demo
    controls       what scenarios, keys and the visitor do to a running demo
    processes/     the children, and the events that come from them
    city/          the back office, its people and cards, and the network to the gate
    gate/          the gate's configuration, its crowd, and what can be read of its lanes
    scenarios/     what happens in a run with a number of taps
    terminal/      the live view in a terminal, and its keys
    turnstile/     the lane that a visitor plays with in a browser
"""
