// @ts-check
/**
 * The page put together: receives the scene, shows it, and sends what the visitor does.
 *
 * Every scene is whole, so a page that lost its connection is right again with the next one. The
 * parts: turnstile_drawing.js draws the turnstile, turnstile_tray.js the cards, turnstile_inside.js
 * the stages of a tap, turnstile_city.js the reports, turnstile_switches.js the switches.
 */

import { City } from "/static/turnstile_city.js";
import { Drawing } from "/static/turnstile_drawing.js";
import { Guide } from "/static/turnstile_guide.js";
import { Inside } from "/static/turnstile_inside.js";
import { Switches } from "/static/turnstile_switches.js";
import { Tabs } from "/static/turnstile_tabs.js";
import { sounds } from "/static/turnstile_tones.js";
import { Tray } from "/static/turnstile_tray.js";
import { WORDS } from "/static/turnstile_words.js";

const RETRY_MS = 2_000;
const PROBLEM_MS = 8_000;

/** @param {string} name */
const byTest = (name) =>
  /** @type {HTMLElement} */ (document.querySelector(`[data-testid="${name}"]`));

/** @type {import("/static/turnstile_words.js").Language} */
let language =
  localStorage.getItem("language") === "tr" ||
  (!localStorage.getItem("language") && navigator.language.startsWith("tr"))
    ? "tr"
    : "en";
/** @type {any} */
let scene = null;
let receivedMs = 0;
let connection = "waiting";
let problemTimer = 0;

const words = () => WORDS[language];
const parts = [
  new Drawing(),
  new Tray(send),
  new Inside(),
  new City(send),
  new Switches(send),
  new Guide(send),
  new Tabs(),
];
const tones = sounds();

/**
 * Send one verb, and show why if it is refused. Its effect comes with the next scenes.
 * @param {object} verb
 */
async function send(verb) {
  try {
    const answer = await fetch("/do", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(verb),
    });
    complain(answer.ok ? "" : words().problem(await answer.json()));
  } catch {
    complain(words().away);
  }
}

/** @param {string} problem */
function complain(problem) {
  const shown = byTest("problem");
  clearTimeout(problemTimer);
  shown.hidden = !problem;
  shown.textContent = problem;
  if (problem) problemTimer = window.setTimeout(() => (shown.hidden = true), PROBLEM_MS);
}

/** The time of the demo's clock, in Unix seconds. */
function now() {
  return scene.now_unix_s + (performance.now() - receivedMs) / 1_000;
}

function listen() {
  const events = new EventSource("/events");
  events.onopen = () => connect("live");
  events.onerror = () => {
    connect("away");
    // Otherwise the browser tries again.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RETRY_MS);
  };
  events.addEventListener("scene", (event) => {
    const before = scene;
    scene = JSON.parse(event.data);
    receivedMs = performance.now();
    connect("live");
    for (const part of parts)
      part.show(scene, words(), now(), before?.run === scene.run ? before : null);
    tones.play(before, scene);
  });
}

/** @param {string} state */
function connect(state) {
  connection = state;
  document.body.dataset.connection = state;
  const isGone = state === "away"; // what the page shows is past, and nothing can be done
  byTest("gone").hidden = !isGone;
  for (const part of document.querySelectorAll("main, .guide"))
    part.toggleAttribute("inert", isGone);
  byTest("connection").dataset.state = state;
  const text = words().connection[/** @type {"live"} */ (state)];
  if (byTest("connection").textContent !== text) byTest("connection").textContent = text;
}

function speak() {
  document.documentElement.lang = language;
  document.title = words().title;
  for (const element of document.querySelectorAll("[data-word]")) {
    element.textContent = /** @type {any} */ (words())[
      /** @type {HTMLElement} */ (element).dataset.word ?? ""
    ];
  }
  for (const element of document.querySelectorAll("[data-word-label]")) {
    element.setAttribute(
      "aria-label",
      /** @type {any} */ (words())[/** @type {HTMLElement} */ (element).dataset.wordLabel ?? ""],
    );
  }
  byTest("language").textContent = words().otherLanguage;
  byTest("language").lang = language === "tr" ? "en" : "tr";
  byTest("sound").textContent = words().sound(tones.on);
  connect(connection);
  for (const part of parts) part.speak(words());
  if (scene) for (const part of parts) part.show(scene, words(), now(), scene);
}

byTest("language").addEventListener("click", () => {
  language = language === "tr" ? "en" : "tr";
  localStorage.setItem("language", language);
  speak();
});
byTest("sound").addEventListener("click", () => {
  tones.turn();
  byTest("sound").setAttribute("aria-pressed", String(tones.on));
  byTest("sound").textContent = words().sound(tones.on);
});
/** @type {HTMLElement} */ (document.querySelector(".arms-button")).addEventListener("click", () =>
  send({ verb: "push" }),
);

speak();
listen();
setInterval(() => {
  if (scene && connection === "live") for (const part of parts) part.tick?.(scene, words(), now());
}, 1_000);
