"""/dev/bus/usb in user space: programs with the real libusb find simulated devices there.

    shim.c         for LD_PRELOAD: a node's open, ioctl and close, over the URB stream; with
                   node.c, transfers.c and claims.c
    shim           compiles it
    namespaces     a view of the machine of its own: /sys, /run/udev, no network
    bus            the files of a device in /sys, and its uevents
    uevents        what udevd would multicast, as bytes
    carrier        a device behind its node
    rig            starts a program in such a view

A machine needs gcc, libusb and Linux namespaces; it needs no USB, and not root.
"""
