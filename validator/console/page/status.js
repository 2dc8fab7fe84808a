// @ts-check
/**
 * The status page put together: hears the gate's state, says in one sentence whether the gate is well, and fills a section for each lane. Every state is
 * whole, so a page that was away knows all again with the next one. The chart is status_chart.js.
 */

import { chart, legend } from "/static/status_chart.js";
import { faultsOf } from "/static/status_faults.js";
import { WORDS, count, duration, size, time } from "/static/status_words.js";

const RETRY_MS = 2_000;
const DAY_MS = 15_000;
const TAPS_SHOWN = 10;
const NOTES = ["emergency", "clock"]; // worth a line, and no reason to call a gate unwell

/** @param {string} name */
const byTest = (name) => /** @type {HTMLElement} */ (document.querySelector(`[data-testid="${name}"]`));

/** @type {import("/static/status_words.js").Language} */
let language = localStorage.getItem("language") === "tr" || (!localStorage.getItem("language") && navigator.language.startsWith("tr")) ? "tr" : "en";
/** @type {any} */
let state = null;
/** @type {any} */
let day = { slots: [], step_s: 300 };
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
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS); // else it tries again by itself
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
    return; // the events say that the console is away
  }
  drawDay();
}

/** @param {string} what */
function connect(what) {
  connection = what;
  document.body.dataset.connection = what;
  byTest("connection").textContent = words().connection[/** @type {"live"} */ (what)];
}

function draw() {
  byTest("gate").textContent = state.gate_id;
  document.title = `${state.gate_id} · Turnike`;
  byTest("versions").textContent = words().versions(state.console_version);
  const faults = state.lanes.flatMap((/** @type {any} */ lane) => faultsOf(lane).map((fault) => ({ lane, fault })));
  const serious = faults.filter((/** @type {any} */ one) => !NOTES.includes(one.fault));
  const verdict = byTest("verdict");
  const sentence = serious.length ? words().unwell(serious.length) : words().well(state.lanes.length);
  verdict.dataset.well = String(!serious.length);
  if (verdict.textContent !== sentence) verdict.textContent = sentence;
  byTest("faults").replaceChildren(...faults.map(({ lane, fault }) => faultLine(lane, fault)));
  drawLanes();
}

/** @param {any} lane @param {string} fault */
function faultLine(lane, fault) {
  const [what, todo] = words().faults[/** @type {"away"} */ (fault)];
  const item = document.createElement("li");
  item.dataset.fault = fault;
  const hint = document.createElement("small");
  hint.textContent = todo.replace("@N", `@${lane.lane ?? "1"}`);
  const why = fault === "away" && lane.problem ? ` (${lane.problem})` : "";
  item.append((state.lanes.length > 1 ? `${words().lane(lane.lane ?? lane.socket)}: ${what}` : what) + why, hint);
  return item;
}

function drawLanes() {
  const lanes = byTest("lanes");
  while (lanes.children.length > state.lanes.length) lanes.lastElementChild?.remove();
  while (lanes.children.length < state.lanes.length) {
    const template = /** @type {HTMLTemplateElement} */ (document.getElementById("lane"));
    lanes.append(template.content.cloneNode(true));
  }
  state.lanes.forEach((/** @type {any} */ lane, /** @type {number} */ index) => drawLane(lane, /** @type {HTMLElement} */ (lanes.children[index])));
  drawDay();
}

/** @param {any} lane @param {HTMLElement} section */
function drawLane(lane, section) {
  section.dataset.lane = String(lane.lane ?? "");
  section.dataset.up = String(lane.up);
  /** @type {HTMLElement} */ (section.querySelector("h2")).textContent = words().lane(lane.lane ?? lane.socket);
  for (const element of section.querySelectorAll("[data-word]")) {
    element.textContent = /** @type {any} */ (words())[/** @type {HTMLElement} */ (element).dataset.word ?? ""];
  }
  const facts = lane.up && lane.status ? factsOf(lane) : []; // old ones would look like good ones
  /** @type {HTMLElement} */ (section.querySelector(".facts")).replaceChildren(...facts.flatMap(fact));
  const body = /** @type {HTMLElement} */ (section.querySelector(".figures tbody"));
  body.replaceChildren(...(lane.status ? ["decided_us", "filed_us", "told_us"].map((name) => figures(name, lane.status[name])) : []));
  /** @type {HTMLElement} */ (section.querySelector(".taps tbody")).replaceChildren(...lane.taps.slice(0, TAPS_SHOWN).map((/** @type {any} */ tap) => tapRow(tap, lane)));
}

/** What a lane's health rests on: name, mark (ok, note, bad, none), text. @param {any} lane @returns {[string, string, string][]} */
function factsOf(lane) {
  const { status } = lane;
  const w = words();
  const device = (/** @type {string} */ name) => status.devices[name] ?? "";
  const reports =
    w.reports(status.reports_waiting === null ? w.unknownCount : count(status.reports_waiting, w), count(status.reports_delivered, w)) +
    (status.reports_refused ? w.lostReports(count(status.reports_refused, w)) : "") +
    (status.reports_rejected ? w.rejectedReports(count(status.reports_rejected, w)) : "");
  const taps = Object.values(status.taps).reduce((sum, n) => sum + n, 0);
  const admitted = (status.taps.admitted ?? 0) + (status.taps.admitted_with_notice ?? 0);
  return [
    ...["reader", "board"].map((name) => /** @type {[string, string, string]} */ ([name, device(name) === "ready" ? "ok" : "bad", device(name) === "ready" ? w.ready : device(name) === "lost" ? w.lost : w.unknown])),
    ["list", status.list_state === "fresh" ? "ok" : "bad", listFact(status)],
    ["clock", status.clock_synchronised ? "ok" : "note", status.clock_synchronised ? w.synchronised : w.notSynchronised],
    ["reports", status.reports_trouble || status.reports_refused ? "bad" : status.reports_rejected ? "note" : "ok", status.reports_trouble ? `${reports}. ${status.reports_trouble}` : reports],
    ["disk", status.disk_free_bytes === null ? "note" : faultsOf(lane).includes("disk") ? "bad" : "ok", status.disk_free_bytes === null ? w.unknown : w.free(size(status.disk_free_bytes, w))],
    ["courier", !status.courier ? "note" : status.courier.silent || status.courier.state !== "fresh" ? "bad" : "ok", courierFact(status)],
    ["emergency", status.emergency ? "note" : "none", status.emergency ? w.on : w.off],
    ["forced", status.forced ? "note" : "none", status.forced ? w.forced(count(status.forced, w)) : w.neverForced],
    ["run", "none", `${w.running(time(status.uptime_s, w), status.version)}: ${w.counts(count(taps, w), count(admitted, w), count(status.taps.denied ?? 0, w))}`],
  ];
}

/** @param {any} status */
function courierFact(status) {
  const w = words();
  if (!status.courier) return w.unknownCourier;
  const asked = w.courier(status.courier.state, time(status.unix_s - status.courier.polled_unix_s, w));
  return status.courier.problem ? `${asked}. ${status.courier.problem}` : asked;
}

/** @param {any} status */
function listFact(status) {
  const w = words();
  if (!status.list_version) return w.noList;
  const age = time(status.unix_s - status.list_issued_unix_s, w);
  const left = status.list_expires_unix_s - status.unix_s;
  const version = count(status.list_version, w);
  if (left <= 0) return w.listOver(version, age, time(-left, w));
  return w.list(version, /** @type {any} */ (w.states)[status.list_state] ?? status.list_state, age, count(status.list_cards, w), time(left, w));
}

/** @param {[string, string, string]} told */
function fact([name, mark, text]) {
  const [term, value] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = words().facts[/** @type {"list"} */ (name)];
  value.textContent = text;
  value.dataset.mark = mark;
  value.dataset.fact = name;
  return [term, value];
}

/** @param {string} name @param {any} told */
function figures(name, told) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = words().rows[/** @type {"told_us"} */ (name)];
  row.append(head, ...["p50", "p99", "p999", "max"].map((part) => cell(told.count ? duration(told[part], words()) : "–")));
  return row;
}

/** @param {any} tap @param {any} lane */
function tapRow(tap, lane) {
  const row = document.createElement("tr");
  const outcome = cell(/** @type {any} */ (words().outcomes)[tap.outcome] ?? tap.outcome);
  outcome.dataset.outcome = tap.outcome;
  const ago = time((lane.status?.unix_s ?? tap.unix_s) - tap.unix_s + sinceS(), words());
  row.append(cell(tap.token || "–"), outcome, cell(duration(tap.decided_us, words())), cell(tap.told_us === null ? "–" : duration(tap.told_us, words())), cell(ago));
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
    const lane = state.lanes.find((/** @type {any} */ one) => String(one.lane ?? "") === /** @type {HTMLElement} */ (section).dataset.lane);
    const slots = day.slots.filter((/** @type {any} */ slot) => slot.lane === lane?.lane);
    chart(/** @type {any} */ (section.querySelector(".chart")), slots, lane?.status?.unix_s ?? 0, words());
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
