"""Another site's page on this machine, and its attacks on a page of Turnike.

It tries to make the page act, to read its events, and to show it in a frame. A browser lets any
page reach a loopback address, so only the server's answers keep it out. By the name `localhost` it
is another site than 127.0.0.1; by that address and another port, the same site and another origin.
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
  const answer = (where, how) => fetch(url + where, how).then(
    (answer) => `${answer.type} ${answer.status}`, () => "blocked");
  const events = () => new Promise((done) => {
    const events = new EventSource(url + "events");
    events.onopen = () => done("received");
    events.onerror = () => { events.close(); done("blocked"); };
  });
  const style = () => new Promise((done) => {
    const link = {rel: "stylesheet", href: url + "static/base.css",
      onload: () => done("loaded"), onerror: () => done("blocked")};
    document.head.append(Object.assign(document.createElement("link"), link));
  });
  const form = () => new Promise((done) => {
    const frame = Object.assign(document.createElement("iframe"), {name: "into"});
    const form = Object.assign(document.createElement("form"),
      {method: "post", action: url + "do", enctype: "text/plain", target: "into"});
    form.append(Object.assign(document.createElement("input"),
      {name: body.slice(0, -1) + ',"x":"', value: '"}'}));
    document.body.append(frame, form);
    frame.onload = () => done("sent");
    form.submit();
  });
  return {
    json: await answer("do", {method: "POST", headers: {"content-type": "application/json"}, body}),
    plain: await answer("do", {method: "POST", mode: "no-cors", body}),
    state: await answer("state"),
    page: await answer("", {mode: "no-cors"}),
    events: await events(),
    style: await style(),
    form: await form(),
  };
}"""
FRAME = """(url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = frame.onerror = () => done();
  frame.src = url;
  document.body.append(frame);
})"""
NOTHING = {
    **dict.fromkeys(("json", "plain", "state", "page", "events", "style"), "blocked"),
    "form": "sent",  # a browser always sends a form; the page cannot read the answer
}


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer with an empty page without any policy."""
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(
            b"<!doctype html><html lang=en><title>Another site</title><body></body></html>"
        )

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def other_site() -> Iterator[int]:
    """Serve the page for the length of a block; yield the port."""
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
    """Try every attack from a page under this host name.

    Returns:
        The result of each attack, the statuses that `url` answered, and the text of a frame with
        `url` in it.
    """
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
