"""A page of somebody else, on this machine too, and all that it may try on a page of ours: to make it act, to hear it, to show it as its own.

A browser reaches a loopback address whatever page it shows, so nothing but the answers keeps this one out. By the name `localhost` it is of
another site than 127.0.0.1; by that address, on another port, it is of the same site and another origin.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser

NAMES = ("localhost", "127.0.0.1")

TRIES = """async ([url, verb]) => {
  const body = JSON.stringify(verb);
  const asked = (where, how) => fetch(url + where, how).then((answer) => `${answer.type} ${answer.status}`, () => "blocked");
  const heard = () => new Promise((told) => {
    const events = new EventSource(url + "events");
    events.onopen = () => told("heard");
    events.onerror = () => { events.close(); told("blocked"); };
  });
  const dressed = () => new Promise((told) => {
    const made = {rel: "stylesheet", href: url + "static/base.css", onload: () => told("loaded"), onerror: () => told("blocked")};
    document.head.append(Object.assign(document.createElement("link"), made));
  });
  const sent = () => new Promise((told) => {
    const frame = Object.assign(document.createElement("iframe"), {name: "into"});
    const form = Object.assign(document.createElement("form"), {method: "post", action: url + "do", enctype: "text/plain", target: "into"});
    form.append(Object.assign(document.createElement("input"), {name: body.slice(0, -1) + ',"x":"', value: '"}'}));
    document.body.append(frame, form);
    frame.onload = () => told("sent");
    form.submit();
  });
  return {
    json: await asked("do", {method: "POST", headers: {"content-type": "application/json"}, body}),
    plain: await asked("do", {method: "POST", mode: "no-cors", body}),
    state: await asked("state"),
    page: await asked("", {mode: "no-cors"}),
    events: await heard(),
    style: await dressed(),
    form: await sent(),
  };
}"""
FRAME = """(url) => new Promise((told) => {
  const frame = document.createElement("iframe");
  frame.onload = frame.onerror = () => told();
  frame.src = url;
  document.body.append(frame);
})"""
NOTHING = {
    **dict.fromkeys(("json", "plain", "state", "page", "events", "style"), "blocked"),
    "form": "sent",  # a form is sent, and what comes of it is seen by nobody
}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """A page without anything, and without any policy."""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(
            b"<!doctype html><html lang=en><title>Another site</title><body></body></html>"
        )

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def other_site() -> Iterator[int]:
    """Its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tried(
    browser: Browser, name: str, url: str, verb: dict[str, Any]
) -> tuple[dict[str, str], set[int], str]:
    """What became of each try from a page of this name, the statuses that were answered, and the text of a frame of it."""
    with other_site() as port:
        context = browser.new_context()
        try:
            page = context.new_page()
            statuses: set[int] = set()
            page.on(
                "response",
                lambda answer: statuses.add(answer.status) if answer.url.startswith(url) else None,
            )
            page.goto(f"http://{name}:{port}/")
            came: dict[str, str] = page.evaluate(TRIES, [url, verb])
            page.evaluate(FRAME, url)
            framed = page.frames[-1].locator("body").text_content() or ""
        finally:
            context.close()
    return came, statuses, framed
