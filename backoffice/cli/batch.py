"""The command `batch`: it runs other commands, one after the other, in one process.

Starting Python costs half a second of processor on a small machine; most commands take
milliseconds. A program that calls the back office every few seconds starts `batch` once and keeps
it.
"""

import io
import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import IO

import click
import msgspec

from validator.command_line.output import printer
from validator.errors import one_line

LINE_BYTES_MAX = 1 << 16  # a command with all its options is a few hundred
ENDLESS = {"batch", "serve"}  # these do not end by themselves


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One command: its arguments, and the id of its answer."""

    id: str
    run: tuple[str, ...]


_decoder = msgspec.json.Decoder(_Order)


@click.command(
    epilog='Example: echo \'{"id":"a","run":["gates","--json"]}\' | turnike-backoffice batch'
)
def batch() -> None:
    """Run the commands on standard input, each one JSON object a line.

    {"id": ID, "run": [ARGUMENT, …]} is answered by {"event": "done", "id": ID, "code": N, "out":
    TEXT, "err": TEXT}: exit code and output of the command. Ends at the end of the input.
    """
    orders, answers = os.fdopen(os.dup(0), "rb"), printer(os.dup(1), "utf-8")
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1):  # keep commands away from the orders and the answers
        os.dup2(null, standard)
    while line := orders.readline(LINE_BYTES_MAX + 1):
        answers.write(
            json.dumps({"event": "done", **_answer(line, orders)}, ensure_ascii=False) + "\n"
        )
        answers.flush()


def _answer(line: bytes, orders: IO[bytes]) -> dict[str, object]:
    if len(line) > LINE_BYTES_MAX:
        while (rest := orders.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
            pass
        return _refusal(None, f"a line has more than {LINE_BYTES_MAX} bytes")
    try:
        order = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        return _refusal(None, f"a line is not an object with id and run: {one_line(error)}")
    if not order.run or order.run[0] in ENDLESS or "--watch" in order.run:
        named = " ".join(order.run[:2]) or "nothing"
        return _refusal(
            order.id, f"{named}: does not end by itself; start it as a process of its own"
        )
    return {"id": order.id, **_run(order.run)}


def _refusal(id_: str | None, why: str) -> dict[str, object]:
    return {"id": id_, "code": 2, "out": "", "err": f"turnike-backoffice batch: {why}\n"}


def _run(arguments: tuple[str, ...]) -> dict[str, object]:
    """Run one command as a process of its own would. Returns its exit code and what it printed."""
    from backoffice.cli.program import main

    out, err = (
        io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2)
    )
    code: object = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(list(arguments))
        except SystemExit as ended:
            code = ended.code
        except Exception:  # noqa: BLE001  # a bug ends this command, as it would end its process
            sys.excepthook(*sys.exc_info())
            code = 1
    return {"code": code if isinstance(code, int) else int(code is not None), **_printed(out, err)}


def _printed(out: io.TextIOWrapper, err: io.TextIOWrapper) -> dict[str, object]:
    named = {"out": out, "err": err}
    return {
        name: each.buffer.getvalue().decode()  # type: ignore[attr-defined]  # a BytesIO
        for name, each in named.items()
    }
