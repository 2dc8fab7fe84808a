"""What each package holds: its code, its commands, and the files of deploy/ it brings."""

from collections.abc import Mapping
from dataclasses import dataclass

UNITS = "usr/lib/systemd/system"
DOCS = "usr/share/doc"


@dataclass(frozen=True)
class Package:
    """One package.

    Attributes:
        name: of the package.
        code: the top-level packages of this repository in it.
        needs: roots of what it needs from PyPI, as extras of pyproject.toml or names in the lock.
        commands: each command of /usr/bin, with the module whose `main` it runs.
        files: the folder of each file of the repository, without a leading slash.
        calls_itself: whether its command starts itself again, by the interpreter that runs it.
    """

    name: str
    code: tuple[str, ...]
    needs: tuple[str, ...]
    commands: Mapping[str, str]
    files: Mapping[str, str]
    calls_itself: bool = False


GATE = Package(
    name="turnike-gate",
    code=("validator",),
    needs=("turnike[console,gpio]",),
    commands={"turnike": "validator.cli"},
    files={
        "deploy/systemd/turnike-lane@.service": UNITS,
        "deploy/systemd/turnike-courier.service": UNITS,
        "deploy/systemd/turnike-console.service": UNITS,
        "deploy/sysusers.d/turnike-gate.conf": "usr/lib/sysusers.d",
        "deploy/tmpfiles.d/turnike-gate.conf": "usr/lib/tmpfiles.d",
        "deploy/udev/70-turnike.rules": "usr/lib/udev/rules.d",
        "deploy/udev/71-turnike-names.rules": f"{DOCS}/turnike-gate/examples",
        "deploy/modprobe.d/turnike.conf": "usr/lib/modprobe.d",
        "deploy/polkit-1/rules.d/70-turnike-pcsc.rules": "usr/share/polkit-1/rules.d",
        "config/validator.example.toml": f"{DOCS}/turnike-gate/examples",
    },
)
BACKOFFICE = Package(
    name="turnike-backoffice",
    code=("backoffice", "validator"),
    needs=("turnike[backoffice]",),
    commands={"turnike-backoffice": "backoffice.__main__"},
    files={
        "deploy/systemd/turnike-publish.service": UNITS,
        "deploy/systemd/turnike-receiver.service": UNITS,
        "deploy/sysusers.d/turnike-office.conf": "usr/lib/sysusers.d",
        "deploy/tmpfiles.d/turnike-office.conf": "usr/lib/tmpfiles.d",
        "deploy/nginx/turnike-lists.conf": f"{DOCS}/turnike-backoffice/examples",
        "deploy/postgresql/turnike-office.sql": f"{DOCS}/turnike-backoffice/examples",
        "deploy/prometheus/turnike.rules.yml": f"{DOCS}/turnike-backoffice/examples",
        "deploy/grafana/turnike-gates.json": f"{DOCS}/turnike-backoffice/examples",
    },
)
SIM = Package(
    name="turnike-sim",
    code=("firmware_sim",),
    needs=("click", "msgspec"),
    commands={"firmware-sim": "firmware_sim.cli"},
    files={},
    calls_itself=True,
)
PACKAGES = {package.name: package for package in (GATE, BACKOFFICE, SIM)}
