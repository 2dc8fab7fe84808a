// @ts-check
/**
 * The status page: receives the gate's state, shows in one sentence whether the gate is well, and
 * fills a section for each lane. Every state is whole, so a page that was offline needs only the
 * next one. The chart is status_chart.js.
 */

import { chart, legend, spanOf } from "/static/status_chart.js";
import { WORDS, count, duration, size, time } from "/static/status_words.js";

const RETRY_MS = 2_000;
const DAY_MS = 15_000;
const TAPS_SHOWN = 10;
const SILENT_MS = 45_000; // the console sends something at least every 15 s
const LIST_FAULTS = ["missing", "stale", "corrupt", "list", "problems"];
const REPORT_FAULTS = ["trouble", "uncounted", "refused", "rejected", "waiting", "upload"];
const COURIER_FAULTS = ["unheard", "quiet", "untold", "courier"];

/** @param {string} name */
const byTest = (name) =>
  /** @type {HTMLElement} */ (document.querySelector(`[data-testid="${name}"]`));

/** @type {import("/static/status_words.js").Language} */
let language =
  localStorage.getItem("language") === "tr" ||
  (!localStorage.getItem("language") && navigator.language.startsWith("tr"))
    ? "tr"
    : "en";
/** @type {any} */
let state = null;
/** @type {any} */
let day = { slots: [], step_s: 300, hour: { slots: [], step_s: 30 } };
let heardMs = 0;
let connection = "waiting";

const words = () => WORDS[language];
const sinceS = () => (performance.now() - heardMs) / 1_000;

function listen() {
  const events = new EventSource("/events");
  events.onopen = () => {
    connect("live");
    void askDay();
  };
  events.onerror = () => {
    connect("away");
    // Unless the stream is closed, the browser reconnects by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  };
  events.addEventListener("gate", (event) => {
    state = JSON.parse(event.data);
    heardMs = performance.now();
    connect("live");
    draw();
  });
}

async function askDay() {
  try {
    const answer = await fetch("/day");
    if (answer.ok) day = await answer.json();
  } catch {
    return; // the event stream shows that the console is gone
  }
  drawDay();
}

/** @param {string} what */
function connect(what) {
  connection = what;
  document.body.dataset.connection = what;
  byTest("connection").textContent = words().connection[/** @type {"live"} */ (what)];
  if (state) drawVerdict();
}

/** Treat an open but silent stream as none: a tunnel that hangs, a console that is stopped. */
function listenToSilence() {
  if (connection === "live" && performance.now() - heardMs > SILENT_MS) connect("away");
}

function draw() {
  byTest("gate").textContent = state.gate_id;
  document.title = `${state.gate_id} · Turnike`;
  byTest("versions").textContent = words().versions(state.console_version);
  drawVerdict();
  drawLanes();
}

/** Without a console nothing is known: the page must not show "well" then. */
function drawVerdict() {
  const faults = state.lanes.flatMap((/** @type {any} */ lane) =>
    lane.faults.map((/** @type {any} */ fault) => ({ lane, fault })),
  );
  const serious = faults.filter((/** @type {any} */ one) => !one.fault.is_note);
  const isKnown = connection === "live";
  const found = serious.length ? words().unwell(serious.length) : words().well(state.lanes.length);
  const sentence = isKnown ? found : words().notKnown;
  const verdict = byTest("verdict");
  verdict.dataset.well = isKnown ? String(!serious.length) : "";
  if (verdict.textContent !== sentence) verdict.textContent = sentence;
  byTest("faults").replaceChildren(
    ...faults.map((/** @type {any} */ { lane, fault }) => faultLine(lane, fault)),
  );
}

/** @param {any} lane @param {{name: string, why: string, number: number | null}} fault */
function faultLine(lane, fault) {
  const [what, todo] = /** @type {any} */ (words().faults)[fault.name] ?? [
    fault.name,
    "turnike check.",
  ];
  const number =
    fault.name === "quiet" ? time(fault.number ?? 0, words()) : count(fault.number ?? 0, words());
  const item = document.createElement("li");
  item.dataset.fault = fault.name;
  const said = document.createElement("span");
  said.textContent =
    (state.lanes.length > 1 ? `${words().lane(lane.lane ?? lane.socket)}: ` : "") +
    what.replace("@N", number);
  const why = document.createElement("q");
  why.textContent = fault.why;
  const hint = document.createElement("small");
  hint.textContent = todo.replace("@N", `@${lane.lane ?? "1"}`);
  item.append(said, ...(fault.why ? [" ", why] : []), hint);
  return item;
}

function drawLanes() {
  const lanes = byTest("lanes");
  while (lanes.children.length > state.lanes.length) lanes.lastElementChild?.remove();
  while (lanes.children.length < state.lanes.length) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("lane"));
    lanes.append(template.content.cloneNode(true));
  }
  state.lanes.forEach((/** @type {any} */ lane, /** @type {number} */ index) =>
    drawLane(lane, /** @type {HTMLElement} */ (lanes.children[index])),
  );
  drawDay();
}

/** @param {any} lane @param {HTMLElement} section */
function drawLane(lane, section) {
  section.dataset.lane = String(lane.lane ?? "");
  section.dataset.up = String(lane.up);
  /** @type {HTMLElement} */ (section.querySelector("h2")).textContent = words().lane(
    lane.lane ?? lane.socket,
  );
  for (const element of section.querySelectorAll("[data-word]")) {
    element.textContent = /** @type {any} */ (words())[
      /** @type {HTMLElement} */ (element).dataset.word ?? ""
    ];
  }
  const facts = lane.up && lane.status ? factsOf(lane) : []; // old ones would pass for current ones
  /** @type {HTMLElement} */ (section.querySelector(".facts tbody")).replaceChildren(
    ...facts.map(fact),
  );
  const body = /** @type {HTMLElement} */ (section.querySelector(".figures tbody"));
  body.replaceChildren(
    ...(lane.status
      ? ["decided_us", "filed_us", "told_us"].map((name) => figures(name, lane.status[name]))
      : []),
  );
  /** @type {HTMLElement} */ (section.querySelector(".taps tbody")).replaceChildren(
    ...lane.taps.slice(0, TAPS_SHOWN).map((/** @type {any} */ tap) => tapRow(tap, lane)),
  );
}

/**
 * The facts of a lane: name, mark (ok, note, bad, none), text.
 * @param {any} lane
 * @returns {[string, string, string][]}
 */
function factsOf(lane) {
  const { status } = lane;
  const w = words();
  const device = (/** @type {string} */ name) =>
    ({ ready: w.ready, lost: w.lost })[status.devices[name]] ?? w.unknown;
  const taps = Object.values(status.taps).reduce((sum, n) => sum + n, 0);
  const admitted = (status.taps.admitted ?? 0) + (status.taps.admitted_with_notice ?? 0);
  const denied = status.taps.denied ?? 0;
  const counts = w.counts(count(taps, w), count(admitted, w), count(denied, w));
  const free = status.disk_free_bytes;
  return [
    ["reader", markOf(lane, ["reader"]), device("reader")],
    ["board", markOf(lane, ["board"]), device("board")],
    ["list", markOf(lane, LIST_FAULTS), listFact(status)],
    [
      "clock",
      markOf(lane, ["clock"]),
      status.clock_synchronised ? w.synchronised : w.notSynchronised,
    ],
    ["reports", markOf(lane, REPORT_FAULTS), reportsFact(status)],
    [
      "disk",
      markOf(lane, ["disk", "disk_unknown"]),
      free === null ? w.unknownDisk : w.free(size(free, w)),
    ],
    [
      "courier",
      status.courier ? markOf(lane, COURIER_FAULTS) : "none",
      courierFact(status.courier, status.unix_s),
    ],
    ["emergency", status.emergency ? "bad" : "none", status.emergency ? w.on : w.off],
    ["housing", status.tamper ? "bad" : "none", status.tamper ? w.open : w.closed],
    [
      "forced",
      status.forced ? markOf(lane, ["forced"], "note") : "none",
      status.forced ? w.forced(count(status.forced, w)) : w.neverForced,
    ],
    ["run", "none", [w.running(time(status.uptime_s, w), status.version), counts].join(": ")],
  ];
}

/**
 * A fact is marked by the lane's faults alone.
 * @param {any} lane
 * @param {string[]} names of faults
 * @param {string} otherwise the mark without them
 */
function markOf(lane, names, otherwise = "ok") {
  const found = lane.faults.filter((/** @type {any} */ fault) => names.includes(fault.name));
  if (!found.length) return otherwise;
  return found.every((/** @type {any} */ fault) => fault.is_note) ? "note" : "bad";
}

/** @param {any} status */
function reportsFact(status) {
  const w = words();
  return (
    w.reports(
      status.reports_waiting === null ? w.unknownCount : count(status.reports_waiting, w),
      count(status.reports_delivered, w),
    ) +
    (status.reports_refused ? w.lostReports(count(status.reports_refused, w)) : "") +
    (status.reports_rejected ? w.rejectedReports(count(status.reports_rejected, w)) : "")
  );
}

/** @param {any} courier @param {number} now Unix seconds, by the lane's clock */
function courierFact(courier, now) {
  const w = words();
  if (!courier) return w.noCourier;
  if (courier.polled_unix_s === null) return w.unknownCourier;
  return w.courier(
    /** @type {any} */ (w.courierStates)[courier.state] ?? courier.state,
    time(now - courier.polled_unix_s, w),
  );
}

/** @param {any} status */
function listFact(status) {
  const w = words();
  if (!status.list_version) return w.noList;
  const age = time(status.unix_s - status.list_issued_unix_s, w);
  const left = status.list_expires_unix_s - status.unix_s;
  const version = count(status.list_version, w);
  if (left <= 0) return w.listOver(version, age, time(-left, w));
  return w.list(
    version,
    /** @type {any} */ (w.states)[status.list_state] ?? status.list_state,
    age,
    count(status.list_cards, w),
    time(left, w),
  );
}

/** @param {[string, string, string]} told */
function fact([name, mark, text]) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = words().facts[/** @type {"list"} */ (name)];
  const value = cell(text);
  value.dataset.mark = mark;
  value.dataset.fact = name;
  row.append(head, value);
  return row;
}

/** @param {string} name @param {any} told */
function figures(name, told) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = words().rows[/** @type {"told_us"} */ (name)];
  row.append(
    head,
    ...["p50", "p99", "p999", "max"].map((part) =>
      cell(told.count ? duration(told[part], words()) : "–"),
    ),
  );
  return row;
}

/** @param {any} tap @param {any} lane */
function tapRow(tap, lane) {
  const row = document.createElement("tr");
  const outcome = cell(/** @type {any} */ (words().outcomes)[tap.outcome] ?? tap.outcome);
  outcome.dataset.outcome = tap.outcome;
  const ago = time((lane.status?.unix_s ?? tap.unix_s) - tap.unix_s + sinceS(), words());
  row.append(
    cell(tap.token || "–"),
    outcome,
    cell(duration(tap.decided_us, words())),
    cell(tap.told_us === null ? "–" : duration(tap.told_us, words())),
    cell(ago),
  );
  return row;
}

/** @param {string} text */
function cell(text) {
  const made = document.createElement("td");
  made.textContent = text;
  return made;
}

function drawDay() {
  if (!state) return;
  for (const section of document.querySelectorAll(".lane")) {
    const lane = state.lanes.find(
      (/** @type {any} */ one) =>
        String(one.lane ?? "") === /** @type {HTMLElement} */ (section).dataset.lane,
    );
    const now = lane?.status?.unix_s ?? 0;
    const shown = spanOf(day, lane?.lane, now);
    /** @type {HTMLElement} */ (section.querySelector("h3")).textContent = words().day(
      time(shown.span_s - (shown.span_s % 60), words()).replace(/ 0 \S+$/, ""),
    );
    chart(/** @type {any} */ (section.querySelector(".chart")), shown, now, words());
    legend(/** @type {HTMLElement} */ (section.querySelector(".legend")));
  }
}

function speak() {
  document.documentElement.lang = language;
  byTest("language").textContent = words().otherLanguage;
  byTest("language").lang = language === "tr" ? "en" : "tr";
  connect(connection);
  if (state) draw();
}

byTest("language").addEventListener("click", () => {
  language = language === "tr" ? "en" : "tr";
  localStorage.setItem("language", language);
  speak();
});

speak();
listen();
setInterval(askDay, DAY_MS);
setInterval(listenToSilence, 1_000);
addEventListener("resize", drawDay);
