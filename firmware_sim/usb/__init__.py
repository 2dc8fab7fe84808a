"""Simulated USB devices, byte for byte, for programs that use the real libusb or the real kernel.

    descriptors     what a device says about itself (USB 2.0, chapter 9)
    function        the port for a new device: what its maker writes
    transfers       a transfer, and how it ended
    device          endpoints: matches a device's packets with the host's transfers; the USB faults
    faults          those faults by name
    urb_stream      a carrier's bytes: the URB stream of USB/IP
    redir_stream    another carrier's bytes: usbredir, which plugs a device into qemu
    redir           that carrier
    port            a plug: one device and the carrier that brings it to programs
    device_command  what the commands of devices share: the options of the plug, and the start
    usbfs/          a carrier: /dev/bus/usb in user space, and the rig in which programs find it

A new device is a class with the methods of `function.Function`. A new carrier is a class with the
methods of `port.Carrier`.
"""
