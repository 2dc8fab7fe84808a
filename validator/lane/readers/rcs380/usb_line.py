"""The USB line to an RC-S380: libusb's asynchronous transfers behind one descriptor to poll.

It carries transfers and knows no command. A gate cannot use nfcpy's own transport.USB, which

* waits for ever for an answer, and so does everything above it;
* blocks in each read, so that a board on the same loop waits too;
* finds a device by bus and address, which change at each plug;
* leaves the kernel's own driver (port100) in place, and then cannot claim the device.

libusb wants several descriptors polled, one of them for writing. `fileno` is an epoll descriptor
over them, so one poll(POLLIN) serves this line and a board.
"""

import contextlib
import errno
import os
import select
import time
from collections.abc import Callable, Iterator

import usb1

from validator.host.usb_devices import UsbDevice

NODE = "/dev/bus/usb/{:03}/{:03}"  # of usbfs, by bus and address
INTERFACE = 0
# Five packets of full-speed USB: above the chip's longest answer here. Whole packets, since a
# device that fills a packet whose rest has no room is a fault of the bus (babble).
TRANSFER_BYTES = 320
WAIT_S = 0.1  # for one transfer, whatever nfcpy asks for; the chip answers within 10 ms
CLOSE_S = 0.2  # for the kernel to give back the transfers that are under way

_ERRNOS = {
    usb1.ERROR_ACCESS: errno.EACCES,
    usb1.ERROR_NO_DEVICE: errno.ENODEV,
    usb1.ERROR_NOT_FOUND: errno.ENODEV,
    usb1.ERROR_BUSY: errno.EBUSY,
    usb1.ERROR_TIMEOUT: errno.ETIMEDOUT,
    usb1.ERROR_OVERFLOW: errno.EOVERFLOW,
    usb1.ERROR_PIPE: errno.EPIPE,
    usb1.ERROR_NO_MEM: errno.ENOMEM,
}
_STATUS_ERRNOS = {
    usb1.TRANSFER_NO_DEVICE: errno.ENODEV,
    usb1.TRANSFER_CANCELLED: errno.ENODEV,  # only a device that goes cancels one of this line
    usb1.TRANSFER_STALL: errno.EPIPE,
    usb1.TRANSFER_OVERFLOW: errno.EOVERFLOW,
    usb1.TRANSFER_TIMED_OUT: errno.ETIMEDOUT,
}


class FloodError(Exception):
    """The device sends without end. No OSError, which nfcpy would take for the end of garbage."""


class UsbLine:
    """One open and claimed device, with a transfer from it always waiting.

    Every method raises OSError when the device fails, with an errno that says how: ENODEV it is
    unplugged, EBUSY another program has it, EACCES no permission, EPIPE it stalls, EOVERFLOW it
    sends more than was asked for, ETIMEDOUT it is silent or takes nothing. One thread at a time.
    """

    def __init__(self, device: UsbDevice, *, repairs: bool = False) -> None:
        """Open and claim the device; the kernel's driver is detached until `close`.

        Args:
            device: as it is plugged in now.
            repairs: first reset the device on the bus, which also clears halted endpoints.
        """
        self._reads_left: int | None = None
        self._cleanup = contextlib.ExitStack()
        try:
            with _as_oserror():
                self._open(device, repairs=repairs)
        except BaseException:
            self.close()
            raise

    def _open(self, device: UsbDevice, *, repairs: bool) -> None:
        # A context of its own: it looks for the devices that are there now, also where no event of
        # udev arrives, as in a unit with a network namespace of its own.
        self._context = usb1.USBContext()
        self._cleanup.enter_context(self._context)
        handle = _opened(_find(self._context, device), device)
        self._cleanup.callback(handle.close)
        handle.setAutoDetachKernelDriver(True)
        handle.claimInterface(INTERFACE)
        self._cleanup.callback(_quietly, handle.releaseInterface, INTERFACE)
        if repairs:
            handle.resetDevice()
        self._epoll = select.epoll()
        self._cleanup.callback(self._epoll.close)
        for descriptor, events in self._context.getPollFDList():
            self._epoll.register(descriptor, events)
        from_device, self._to_device = _bulk_endpoints(handle.getDevice())
        self._output, self._input = handle.getTransfer(), handle.getTransfer()
        self._cleanup.callback(self._end_transfers)
        self._sent_bytes = 0
        self._input.setBulk(from_device, TRANSFER_BYTES)
        self._input.submit()

    def fileno(self) -> int:
        """Return the descriptor that is readable when `listen` has something to do."""
        return self._epoll.fileno()

    # For the loop: nothing waits

    def send(self, frame: bytes) -> None:
        """Send one frame, if the device has taken the one before; EAGAIN otherwise."""
        if self._output.isSubmitted():
            raise OSError(errno.EAGAIN, "it takes no more commands")
        with _as_oserror():
            self._output.setBulk(self._to_device, frame)
            self._output.submit()
        self._sent_bytes = len(frame)

    @property
    def is_sending(self) -> bool:
        """Whether the device has not taken the last frame yet."""
        return bool(self._output.isSubmitted())

    def listen(self) -> bytes | None:
        """Return what one transfer brought, or None. One a call, however much the device sends."""
        self._handle_events(0)
        if self._sent_bytes and not self._output.isSubmitted():
            _check(self._output)
            if self._output.getActualLength() != self._sent_bytes:
                raise OSError(errno.EIO, "it took a part of a command")
            self._sent_bytes = 0
        if self._input.isSubmitted():
            return None
        _check(self._input)
        data = bytes(self._input.getBuffer()[: self._input.getActualLength()])
        with _as_oserror():
            self._input.submit()
        return data

    def wait(self, wait_s: float) -> None:
        """Wait until `fileno` is readable, or the time has passed."""
        self._epoll.poll(max(0.0, wait_s))

    # For nfcpy's chipset

    def write(self, frame: bytes, timeout: float = 0) -> None:
        """Send one frame, and wait until the device has taken it. nfcpy's time is not used."""
        del timeout
        self.send(bytes(frame))
        end = time.monotonic() + WAIT_S
        while self._output.isSubmitted():
            self._handle_events(max(0.0, end - time.monotonic()))
            if self._output.isSubmitted() and time.monotonic() >= end:
                raise OSError(errno.ETIMEDOUT, "it takes no command")

    def read(self, timeout: float = 0) -> bytearray:
        """Return what the next transfer brings.

        Args:
            timeout: in milliseconds; nfcpy's 0 is for ever, which is WAIT_S here.

        Raises:
            FloodError: `limit_reads` has limited the transfers, and this is one too many.
        """
        end = time.monotonic() + min(timeout / 1e3 or WAIT_S, WAIT_S)
        while (data := self.listen()) is None:
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise OSError(errno.ETIMEDOUT, "it does not answer")
            self.wait(left_s)
        if self._reads_left is not None:
            self._reads_left -= 1
            if self._reads_left < 0:
                raise FloodError("it sends without end")
        return bytearray(data)

    def limit_reads(self, transfers_max: int | None) -> None:
        """Let `read` return so many transfers and no more: nfcpy reads until none is left."""
        self._reads_left = transfers_max

    def close(self) -> None:
        """Give the device back, to the kernel's driver too. Never raises; may be called twice."""
        _quietly(self._cleanup.close)

    def _handle_events(self, wait_s: float) -> None:
        with _as_oserror():
            self._context.handleEventsTimeout(wait_s)

    def _end_transfers(self) -> None:
        transfers = [each for each in (self._input, self._output) if each.isSubmitted()]
        for transfer in transfers:
            _quietly(transfer.cancel)
        end = time.monotonic() + CLOSE_S
        while any(each.isSubmitted() for each in transfers) and time.monotonic() < end:
            _quietly(self._context.handleEventsTimeout, 0.01)
        for transfer in (self._input, self._output):
            _quietly(transfer.close)


def _find(context: usb1.USBContext, device: UsbDevice) -> usb1.USBDevice:
    for found in context.getDeviceIterator(skip_on_error=True):
        if (found.getBusNumber(), found.getDeviceAddress()) == (device.bus, device.address):
            return found
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))


def _opened(found: usb1.USBDevice, device: UsbDevice) -> usb1.USBDeviceHandle:
    """Open a device. Raises OSError, or what `open` raises.

    libusb tells EACCES alone, of all that the kernel may say: a unit whose DeviceAllow lacks the
    USB gets EPERM, and would be told that its device fails.
    """
    try:
        return found.open()
    except usb1.USBErrorIO:
        os.close(os.open(NODE.format(device.bus, device.address), os.O_RDWR | os.O_CLOEXEC))
        raise


def _bulk_endpoints(device: usb1.USBDevice) -> tuple[int, int]:
    """Return the addresses of the first bulk endpoint in each direction: from it, to it."""
    setting = next(device.iterSettings(), None)
    endpoints = [
        each.getAddress()
        for each in (setting.iterEndpoints() if setting is not None else ())
        if each.getAttributes() & usb1.TRANSFER_TYPE_MASK == usb1.TRANSFER_TYPE_BULK
    ]
    ways = {address & usb1.ENDPOINT_DIR_MASK: address for address in reversed(endpoints)}
    try:
        return ways[usb1.ENDPOINT_IN], ways[usb1.ENDPOINT_OUT]
    except KeyError:
        raise OSError(errno.EPROTO, "it has no such endpoints as an RC-S380") from None


def _check(transfer: usb1.USBTransfer) -> None:
    """Raise OSError if a transfer that has ended did not succeed."""
    status = transfer.getStatus()
    if status != usb1.TRANSFER_COMPLETED:
        number = _STATUS_ERRNOS.get(status, errno.EIO)
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def _as_oserror() -> Iterator[None]:
    try:
        yield
    except usb1.USBError as error:
        number = _ERRNOS.get(error.value, errno.EIO)
        raise OSError(number, os.strerror(number)) from error


def _quietly(call: Callable[..., object], *arguments: object) -> None:
    with contextlib.suppress(usb1.USBError, OSError, ValueError):
        call(*arguments)
