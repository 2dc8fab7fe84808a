#!/usr/bin/env bash
# systemd-sysusers: a line that it refuses leaves the exit code at 0.
#
# Guessed:  a line with a fault (here a colon in the description, which passwd cannot hold) is
#           refused, the other lines are done, and the exit code shows that something was wrong, as
#           that of its sister systemd-tmpfiles does (65).
# Package:  Debian's systemd 252.38-1~deb12u1, on an own --root.
# Instead:  the line is refused and the others are done, but the exit code is 0. So it is after a
#           line of unknown type. The only trace is a line in the log.
# Seen:     'Gate: the lane' is not a valid GECOS field. / systemd-sysusers: exit 0, users courier
#           Invalid mode '0888'. / systemd-tmpfiles: exit 65
# Meets it: who makes a service's users in an installer or an image: the step is green, and the
#           service fails at its first start, on a user that does not exist.
# Turnike:  has no colon there; tests/deploy/test_office_users.py makes the users of deploy/ with
#           systemd-sysusers and acts as each, so that a missing one fails it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
dpkg-query --show systemd
mkdir -p "$folder/etc/sysusers.d" "$folder/etc/tmpfiles.d"
printf 'root:x:0:0::/root:/bin/sh\n' >"$folder/etc/passwd"
printf 'root:x:0:\n' >"$folder/etc/group"
cat >"$folder/etc/sysusers.d/gate.conf" <<'LINES'
u lane - "Gate: the lane" /var/lib/lane
z oops - "no such type"
u courier - "The courier" /var/lib/courier
LINES
code=0
systemd-sysusers --root="$folder" || code=$?
users=$(grep -v ^root: "$folder/etc/passwd" | cut -d: -f1 | xargs)
echo "systemd-sysusers: exit $code, users $users"
test "$code" = 0
test "$users" = courier

cat >"$folder/etc/tmpfiles.d/gate.conf" <<'LINES'
d /lane 0888 - - -
d /courier 0755 - - -
LINES
code=0
systemd-tmpfiles --create --root="$folder" "$folder/etc/tmpfiles.d/gate.conf" || code=$?
echo "systemd-tmpfiles: exit $code"
test "$code" = 65
test -d "$folder/courier"
test ! -e "$folder/lane"
