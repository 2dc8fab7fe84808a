#!/usr/bin/env bash
# pyscard: what `readers()` raises without pcscd is no SmartcardException.
#
# Guessed:  smartcard.Exceptions.SmartcardException is the base of all that pyscard raises, so that
#           a loop with `except SmartcardException` outlives a pcscd that is not there yet.
# Package:  pyscard 2.3.1 on Debian's libpcsclite1 1.9.9-2; no pcscd listens at PCSCLITE_CSOCK_NAME.
# Instead:  there are two families. readers() raises EstablishContextException, a
#           BaseSCardException of smartcard.pcsc.PCSCExceptions, which is a plain Exception; with
#           the same fault CardRequest raises CardConnectionException, which is of the first.
# Seen:     readers: EstablishContextException, a SmartcardException: False
#           CardRequest: CardConnectionException, a SmartcardException: True
# Meets it: who retries at boot, or after pcscd died, with the one base class: the gate's program
#           ends with a traceback where it should have waited.
# Turnike:  calls pcscd itself; its PcscError has the code (validator/lane/readers/pcsc/codes.py).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyscard==2.3.1
cd "$folder"
PCSCLITE_CSOCK_NAME="$folder/nobody" venv/bin/python - <<'PYTHON'
from smartcard.CardRequest import CardRequest
from smartcard.Exceptions import SmartcardException
from smartcard.scard import SCARD_E_NO_SERVICE
from smartcard.System import readers

for name, ask, is_one in (
    ("readers", readers, False),
    ("CardRequest", lambda: CardRequest(timeout=1).waitforcard(), True),
):
    try:
        ask()
    except Exception as error:
        print(f"{name}: {type(error).__name__}, a SmartcardException:", end=" ")
        print(isinstance(error, SmartcardException))
        assert isinstance(error, SmartcardException) is is_one
        assert error.hresult == SCARD_E_NO_SERVICE
    else:
        raise SystemExit(f"{name} raises nothing without pcscd now")
PYTHON
