#!/usr/bin/env bash
# nfc-list: a reader that cannot be opened leaves the exit code at 0.
#
# Guessed:  without a reader, and more so when the reader that LIBNFC_DEVICE names cannot be opened,
#           nfc-list exits with 1, as its sister nfc-poll does.
# Package:  Debian's libnfc-bin, libnfc-examples and libnfc6 1.8.0-2 (bookworm).
# Instead:  nfc-list exits with 0 both times. Only its words tell.
# Seen:     nfc-list: ERROR: Unable to open NFC device: pn532_uart:/dev/gone / nfc-list: exit 0
#           nfc-poll: ERROR: Unable to open NFC device. / nfc-poll: exit 1
# Meets it: who has an installer, a health check or ExecStartPre= ask nfc-list whether the reader
#           answers: it does, says the exit code, while the cable is in the technician's hand.
# Turnike:  tries its simulated reader with nfc-list and judges what it prints. The test of an empty
#           field (tests/processes/test_pn532_witnesses.py) passed for a reader that could not be
#           opened; it now wants "NFC device: ... opened" too.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
apt-get download --quiet=2 {libnfc-bin,libnfc-examples,libnfc6}=1.8.0-2 libusb-0.1-4
for package in *.deb; do
    dpkg --extract "$package" root
done
libraries=$(dirname root/usr/lib/*/libnfc.so.6):$(dirname root/lib/*/libusb-0.1.so.4)
for tool in nfc-list nfc-poll; do
    code=0
    LIBNFC_DEVICE=pn532_uart:/dev/gone LD_LIBRARY_PATH="$libraries" \
        "root/usr/bin/$tool" >said.txt 2>&1 || code=$?
    grep "^$tool: ERROR: Unable to open NFC device" said.txt
    echo "$tool: exit $code"
    echo "$code" >"$tool.code"
done
test "$(cat nfc-list.code)" = 0
test "$(cat nfc-poll.code)" = 1

code=0
LIBNFC_AUTO_SCAN=false LD_LIBRARY_PATH="$libraries" root/usr/bin/nfc-list >said.txt 2>&1 || code=$?
grep "No NFC device found" said.txt
echo "nfc-list without any reader: exit $code"
test "$code" = 0
