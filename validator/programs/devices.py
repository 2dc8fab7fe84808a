"""The reader and the board that the configuration names, and no other: no driver falls back.

A gate imports only the drivers that it uses. To add one: a function here and its line in _READERS
or _BOARDS. If a driver's library is missing, AbsentReader or AbsentBoard takes its place with the
package to install, and the lane serves as far as it can. missing.py knows the Python packages.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from validator.config import Config
from validator.config.devices import LotConfig, ReaderConfig
from validator.domain.outcomes import Direction
from validator.lane.boards.absent import AbsentBoard
from validator.lane.ports import Board, BoardAbilities, Reader
from validator.lane.readers.absent import AbsentReader
from validator.lane.readers.printed_number import ReadsNumbers
from validator.programs.missing import what_to_install


def make_board(config: Config) -> Board:
    """Return the board, not yet opened."""
    try:
        return _BOARDS[config.board.driver](config)
    except ImportError as error:
        return AbsentBoard(f"board {config.board.driver}: {what_to_install(error)}")


def board_abilities(config: Config) -> BoardAbilities:
    """Return what the configured board can tell and do. Opens nothing and needs no library."""
    if config.board.driver == "gpio":
        from validator.lane.boards.gpio import abilities  # noqa: PLC0415
        from validator.programs.gpio_board import wiring  # noqa: PLC0415

        return abilities(wiring(config.board.gpio))
    from validator.lane.boards import lot, serial  # noqa: PLC0415

    return lot.ABILITIES if config.board.driver == "lot" else serial.ABILITIES


def make_reader(config: Config, board: Board) -> Reader:
    """Return the reader.

    Args:
        config: names its driver.
        board: what `make_board` returned; the driver serial reads cards through it.
    """
    if config.reader.driver == "serial":
        return _board_reader(board)
    # The lanes of a gate share the folder of their sockets, and write to it.
    return open_reader(config.reader, Path(config.reports.socket or config.reports.folder).parent)


def open_reader(reader: ReaderConfig, locks: Path) -> Reader:
    """Return a reader that needs no board.

    Args:
        reader: names its driver.
        locks: the folder where a PC/SC reader keeps other lanes off its slot.

    Raises:
        KeyError: the driver is serial, whose reader is on a board.
    """
    try:
        return _READERS[reader.driver](reader, locks)
    except ImportError as error:
        return AbsentReader(f"{reader.driver} at {reader.device}: {what_to_install(error)}")


def reader_drivers() -> tuple[str, ...]:
    """Return the names of the drivers that `open_reader` knows."""
    return tuple(sorted(_READERS))


def number_reader(config: Config, reader: Reader) -> Callable[[], str | None] | None:
    """Return what reads the printed number of the card just reported; None without such a thing.

    See ReadsNumbers.read_number. `reader.read_number` allows it.
    """
    if config.reader.read_number and isinstance(reader, ReadsNumbers):
        return reader.read_number
    return None


def _serial_board(config: Config) -> Board:
    from validator.lane.boards.serial.board import SerialBoard  # noqa: PLC0415

    device_id = f"{config.lane:02d}{config.gate_id}".encode()[:8].ljust(8, b"\0")
    return SerialBoard(config.board.device, device_id, f"turnike {version('turnike')}")


def _gpio_board(config: Config) -> Board:
    from validator.programs.gpio_board import make_gpio_board  # noqa: PLC0415

    return make_gpio_board(config.board.gpio)


def _lot_board(config: Config) -> Board:
    from validator.lane.boards.lot.board import LotBoard  # noqa: PLC0415

    address = config.board.lot.address if config.board.lot is not None else LotConfig().address
    direction = Direction[config.passage.direction.upper()]
    return LotBoard(config.board.device, address, direction, config.passage.hold_ms)


_BOARDS: Mapping[str, Callable[[Config], Board]] = {
    "gpio": _gpio_board,
    "lot": _lot_board,
    "serial": _serial_board,
}


def _pn532(reader: ReaderConfig, _locks: Path) -> Reader:
    from validator.lane.readers.pn532.reader import Pn532Reader  # noqa: PLC0415

    return Pn532Reader(reader.device, speed=reader.baud, targets_max=reader.max_targets)


def _rcs380(reader: ReaderConfig, _locks: Path) -> Reader:
    from validator.host.usb_devices import UsbName  # noqa: PLC0415

    name = UsbName.parse(reader.device)
    import usb1  # noqa: PLC0415

    try:
        usb1.loadLibrary()  # the module comes with nfcpy, the C library with the distribution
    except (OSError, AttributeError):  # none, or one that is too old for the module
        return AbsentReader(
            f"rcs380 at {name}: libusb is missing; apt install libusb-1.0-0, then restart the lane"
        )
    from validator.lane.readers.rcs380.reader import Rcs380Reader  # noqa: PLC0415

    return Rcs380Reader(name)


def _board_reader(board: Board) -> Reader:
    if isinstance(board, AbsentBoard):
        return AbsentReader("reader of the board: there is no board that could read a card")
    from validator.lane.boards.serial.board import SerialBoard  # noqa: PLC0415
    from validator.lane.readers.board_reader import BoardReader  # noqa: PLC0415

    if not isinstance(board, SerialBoard):
        raise TypeError("only a serial board reads cards; the configuration excludes others")
    return BoardReader(board)


def _pcsc(reader: ReaderConfig, locks: Path) -> Reader:
    from validator.lane.readers.pcsc import reasons  # noqa: PLC0415
    from validator.lane.readers.pcsc.library import PcscLite  # noqa: PLC0415
    from validator.lane.readers.pcsc.reader import PcscReader  # noqa: PLC0415

    try:
        library = PcscLite()
    except OSError as error:
        return AbsentReader(reasons.no_library(error))
    return PcscReader(library, reader.device, locks, reads_numbers=reader.read_number)


def _keyboard(reader: ReaderConfig, _locks: Path) -> Reader:
    from validator.lane.readers.keyboard.encoding import Encoding  # noqa: PLC0415
    from validator.lane.readers.keyboard.reader import KeyboardReader, Typing  # noqa: PLC0415

    typed = reader.keyboard
    if typed is None:
        raise TypeError("the driver keyboard needs its table; the configuration excludes this")
    encoding = Encoding(typed.base, typed.order, typed.separator)
    typing = Typing(encoding, frozenset(typed.bytes), typed.ends_with == "pause")
    return KeyboardReader(reader.device, typing)


_READERS: Mapping[str, Callable[[ReaderConfig, Path], Reader]] = {
    "keyboard": _keyboard,
    "pcsc": _pcsc,
    "pn532": _pn532,
    "rcs380": _rcs380,
}
