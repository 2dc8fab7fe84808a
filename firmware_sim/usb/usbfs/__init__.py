"""/dev/bus/usb in user space: programs with the real libusb find simulated devices there.

    shim.c         for LD_PRELOAD: open, ioctl and close of a node, over the URB stream
    shim           compiles it
    namespaces     a view of the machine of its own: /sys, /dev/bus, /run/udev, no network
    bus            the files of a device in /sys and /dev, and its uevents
    uevents        what udevd would multicast, as bytes
    carrier        a device behind its node
    rig            starts a program in such a view

A machine needs gcc, libusb and Linux namespaces; it needs no USB, and not root.
"""
