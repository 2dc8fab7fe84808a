"""A witness that knows nothing of us: nfcpy on libusb. A command a line in, an answer a line out.

    open PATH    the device's name
    sense        the card that `sense()` for type A finds, or None
    number       the status words of SELECT 422201 and the first bytes of file 2
    close        ok

An OSError is answered by its number's name; any other error by its type.
"""

import errno
import sys
from typing import Any

import nfc.clf
import nfc.tag

SELECT_APPLICATION = bytes.fromhex("905a00000342220100")
READ_NUMBER = bytes.fromhex("90bd0000070200000008000000")


def answer(words: list[str], opened: dict[str, Any]) -> str:
    match words:
        case ["open", path]:
            opened["clf"] = nfc.clf.ContactlessFrontend(path)
            return str(opened["clf"].device)
        case ["sense"]:
            return str(opened["clf"].sense(nfc.clf.RemoteTarget("106A")))
        case ["number"]:
            target = opened["clf"].sense(nfc.clf.RemoteTarget("106A"))
            tag = nfc.tag.activate(opened["clf"], target)
            sent = [tag.transceive(apdu) for apdu in (SELECT_APPLICATION, READ_NUMBER)]
            return " ".join(bytes(each).hex() for each in sent)
        case ["close"]:
            opened.pop("clf").close()
            return "ok"
    return f"no command {words}"


def main() -> None:
    opened: dict[str, Any] = {}
    for line in sys.stdin:
        try:
            text = answer(line.split(), opened)
        except OSError as error:
            text = errno.errorcode.get(error.errno or 0, repr(error))
        except Exception as error:  # noqa: BLE001  (whatever nfcpy raises is the answer)
            text = type(error).__name__
        print(text, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
