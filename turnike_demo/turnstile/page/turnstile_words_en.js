// @ts-check
/** The page in English. See turnstile_words.js. */

import { onTheWay, tenths } from "/static/turnstile_numbers.js";

/** @typedef {import("/static/turnstile_numbers.js").Reports} Reports */

/**
 * Why a verb was not done: a refusal by its name (Refusal in refusals.py), or a fault of the
 * page, in words for programmers.
 * @typedef {{ refusal?: keyof typeof EN.refusals, problem?: string }} Answer
 */

export const EN = {
  locale: "en-GB",
  title: "Turnike: a turnstile to play with",
  claim: "A transit gate to play with: simulated hardware, real programs.",
  otherLanguage: "Türkçe",
  sound: (/** @type {boolean} */ on) => (on ? "Sound on" : "Sound off"),
  connection: {
    waiting: "Connecting …",
    live: "Live",
    away: "No connection to the demo. Trying again …",
  },
  guide: "The first minute",
  steps: [
    ["Lay the green card on the reader", "Drag it there, or click it."],
    ["Now the red card", "What does the display show for it?"],
    ["Cut the network, then the red card", "Does the gate still decide?"],
    ["Pull the plug, put it back in", "Is its report still there?"],
    ["Restore the network", "Does the report reach the city?"],
  ],
  seenStep: (/** @type {string} */ total, /** @type {boolean} */ isCut) =>
    isCut ? `${total}, without a network.` : `${total}.`,
  underWay: "On the way …",
  stepsDone: (/** @type {Reports} */ { delivered, city_received, city_missing }) =>
    `All five seen. ${EN.arrived(city_received ?? 0, delivered)}` +
    (city_missing ? ` ${EN.missing(String(city_missing))}` : ""),
  lay: { matched: "Lay the green card", suspended: "Lay the red card" },
  tray: "Your cards",
  trayHint: "Drag one onto the reader, or click it.",
  cards: {
    matched: ["Green card", "matched with its owner"],
    suspended: ["Red card", "matched with its owner"],
    unmatched: ["Grey card", "matched with no owner"],
    brief: ["Amber card", "matched with its owner"],
    staff: ["Staff card", "opens for maintenance"],
    phone: ["Phone", "always a new number"],
    clash: ["Two at once", "green and grey"],
    "pull-early": ["Pulled away", "green, too early"],
  },
  suspended: "suspended",
  endsIn: "ends in ",
  suspend: "Suspend",
  asked: { suspend: "suspending …", reinstate: "reinstating …" },
  suspensions: "Suspended by the city",
  suspendHint: "Click a card to suspend or reinstate it, and watch the gate follow.",
  followed: (
    /** @type {string} */ card,
    /** @type {string} */ took,
    /** @type {number} */ version,
  ) => `${card}: the gate followed in ${took}, with list ${version}.`,
  turnstile: "The turnstile",
  seen: {
    locked: "The arms are locked.",
    released: "The arms are released: walk through.",
    free: "The arms hang free.",
    lamp: {
      amber: "Amber",
      green: "Green",
      "green blink": "Green, blinking",
      red: "Red",
      "red blink": "Red, blinking",
      off: "The lamp is off",
    },
    tone: {
      "one beep": "one beep",
      "two beeps": "two beeps",
      "low, broken": "a low broken tone",
      warning: "a warning tone",
    },
    shows: (/** @type {string} */ lamp, /** @type {string | null} */ tone) =>
      tone ? `${lamp}, ${tone}.` : `${lamp}.`,
    leftEarly: "Gone before it had sent its number: the gate decided nothing.",
  },
  outcomes: {
    admitted: "Admitted",
    admitted_with_notice: "Admitted, with a notice",
    denied: "Refused",
    try_again: "No verdict: try again",
    unsupported: "Not supported",
  },
  inside: "Inside this tap",
  insideLast: (/** @type {string} */ age) => `Inside the last tap, ${age} ago`,
  insideBefore: (/** @type {string} */ age) => `Inside the previous tap, ${age} ago`,
  noTap: "Lay a card on the reader: each step appears here, with its time.",
  total: (/** @type {string} */ outcome, /** @type {string} */ time) => `${outcome} in ${time}`,
  own: (/** @type {string} */ time, /** @type {boolean} */ isReal) =>
    `${time} of it in the gate's program; radio and wire are simulated, ` +
    `${isReal ? "with a real chip's times" : "as fast as possible"}.`,
  stages: {
    radio: "Radio",
    wait: "Wait for the one before",
    decide: "Decide",
    report: "Report to disk",
    tell: "Send the answer",
    wire: "Wire",
  },
  simulated: "simulated",
  noStage: "none",
  scale: "Each line is ten times the one before.",
  earlier: "Taps before this one",
  p50: "half within",
  decided: "decided",
  told: "answered",
  taps: (/** @type {string} */ count, /** @type {number} */ n) =>
    `At this lane since its start: ${count} ${n === 1 ? "tap" : "taps"}`,
  road: "Between gate and city",
  list: (/** @type {string} */ version) => `List ${version}`,
  noList: "No list",
  noLane: "The gate does not answer",
  listStates: { fresh: "fresh", stale: "stale", missing: "missing", corrupt: "damaged" },
  listFacts: (
    /** @type {string} */ state,
    /** @type {string} */ age,
    /** @type {string} */ cards,
  ) => `${state}, ${age} old, ${cards} cards in its tables`,
  waiting: "Reports waiting at the gate",
  delivered: "delivered",
  received: "in the city",
  roadText: (
    /** @type {boolean} */ isCut,
    /** @type {boolean} */ isLaneUp,
    /** @type {Reports} */ reports,
  ) => {
    if (reports.city_missing) return EN.missing(String(reports.city_missing));
    if (!isLaneUp)
      return reports.waiting === null
        ? "The gate does not report what waits."
        : `The gate has stopped. On its disk: ${EN.reports(reports.waiting)}.`;
    if (isCut) return `The network is cut. At the gate: ${EN.reports(reports.waiting ?? 0)}.`;
    if (reports.city_received === null) return "";
    return onTheWay(reports)
      ? `${EN.reports(onTheWay(reports))} on the way.`
      : EN.arrived(reports.city_received, reports.delivered);
  },
  reports: (/** @type {number} */ n) => `${n} ${n === 1 ? "report" : "reports"}`,
  arrived: (/** @type {number} */ received, /** @type {number} */ delivered) =>
    `The city has ${received} of ${EN.reports(delivered)}.`,
  missing: (/** @type {string} */ n) => `Missing in the city: ${n}!`,
  promises: "Put it to the test",
  show: "Show",
  tabs: { inside: "This tap", taps: "All taps", city: "City", promises: "Try it" },
  names: {
    network: "Network",
    plug: "Power",
    reader: "Reader",
    cutOff: "Cut-off date",
    emergency: "Emergency",
    push: "Force",
  },
  says: {
    network: "Cuts the line to the city. Does the gate decide, and keep its reports?",
    plug: "Kills its programs (SIGKILL); the machine runs on. Is every report there?",
    reader: "Does a gate that cannot read show it, and go on by itself?",
    cutOff: "From this day on, cards matched with no owner are refused.",
    emergency: "Do the arms hang free, with the plug pulled too?",
    push: "Do locked arms hold, and does the gate notice?",
  },
  does: {
    network: (/** @type {boolean} */ on) => (on ? "Cut the network" : "Restore the network"),
    plug: (/** @type {boolean} */ on) => (on ? "Pull the plug" : "Put the plug in"),
    reader: (/** @type {boolean} */ on) => (on ? "Unplug the reader" : "Plug the reader in"),
    cutOff: (/** @type {boolean} */ on) => (on ? "Move it to the future" : "Move it to the past"),
    emergency: (/** @type {boolean} */ on) =>
      on ? "Press the emergency button" : "Release the button",
    push: () => "Push the arms",
  },
  is: {
    network: (/** @type {boolean} */ on) => (on ? "up" : "cut"),
    plug: { in: "in", pulled: "pulled", starting: "starting" },
    reader: (/** @type {boolean} */ on) => (on ? "plugged in" : "unplugged"),
    cutOff: (/** @type {boolean} */ inForce, /** @type {string} */ day) =>
      `${day}, ${inForce ? "past" : "to come"}`,
    emergency: (/** @type {boolean} */ on) => (on ? "pressed" : "at rest"),
  },
  came: {
    cut: (
      /** @type {string} */ age,
      /** @type {number} */ decided,
      /** @type {number | null} */ waiting,
    ) =>
      `Cut for ${age}. ${
        decided === 0
          ? "Try a card."
          : `${decided} ${decided === 1 ? "tap" : "taps"} decided all the same; ` +
            (waiting === null
              ? "how many reports wait is not known."
              : `${EN.reports(waiting)} ${waiting === 1 ? "waits" : "wait"}.`)
      }`,
    restored: (/** @type {number} */ waited, /** @type {Reports} */ reports) => {
      if (reports.city_missing) return `Up again. ${EN.missing(String(reports.city_missing))}`;
      if (reports.waiting === null || reports.city_received === null) return "Up again.";
      if (onTheWay(reports)) return `Up again. ${onTheWay(reports)} still on the way.`;
      return waited
        ? `Up again. ${waited === 1 ? "The one that waited is" : `All ${waited} that waited are`}` +
            " in the city: nothing lost."
        : "Up again. No report had waited.";
    },
    pulled: (/** @type {number | null} */ onDisk) =>
      onDisk === null
        ? "Stopped. Its disk cannot be read."
        : `Stopped. ${onDisk} ${onDisk === 1 ? "report lies" : "reports lie"} on its disk.`,
    starting: "Starting …",
    plugged: (
      /** @type {{ took_ms: number, on_disk: number | null, kept: number | null }} */ {
        took_ms,
        on_disk,
        kept,
      },
    ) => {
      const back = `Back after ${EN.took(took_ms)}.`;
      if (on_disk === null || kept === null) return `${back} What was on its disk is not known.`;
      if (on_disk === 0) return `${back} No report was on its disk.`;
      return kept < on_disk
        ? `${back} Of ${EN.reports(on_disk)} before, ${on_disk - kept} lost!`
        : `${back} ${EN.reports(on_disk)} before, none of them lost.`;
    },
    lost: (
      /** @type {string} */ age,
      /** @type {boolean} */ isOut,
      /** @type {boolean} */ isKnown,
    ) =>
      `${isOut ? "Out of service" : "Unplugged"} for ${age}${isKnown ? "; the city knows" : ""}.`,
    pluggedReader: "Plugged in. The gate searches for it …",
    found: (/** @type {string} */ took) => `Back by itself, after ${took}.`,
    asked: "The city is asked …",
    signed: (
      /** @type {number} */ version,
      /** @type {number | null} */ present,
      /** @type {boolean} */ isCut,
    ) =>
      `List ${version} is signed. ` +
      (isCut
        ? `The network is cut: the gate goes on with list ${present ?? "–"}.`
        : "The gate fetches it …"),
    moved: (/** @type {string} */ took, /** @type {number} */ version) =>
      `The gate followed in ${took}, with list ${version}. Try the grey card.`,
    freed: (/** @type {string} */ arms, /** @type {number} */ walked) =>
      arms === "free"
        ? `The arms hang free. ${walked ? `${walked} walked through.` : "Push them."}`
        : "Pressed, and the arms are not free!",
    calm: (/** @type {string} */ arms) =>
      arms === "locked" ? "Locked again." : "Released, and the arms are not locked.",
    forced: (/** @type {number} */ n, /** @type {boolean} */ noticed) =>
      `Forced while locked (${n}): the gate ${noticed ? "noticed" : "has not noticed"}.`,
    passed: "Not locked: a passenger walked through.",
  },
  problem: (/** @type {Answer} */ answer) =>
    answer.refusal ? EN.refusals[answer.refusal] : (answer.problem ?? EN.away),
  refusals: {
    is_so: "It is already so.",
    card_lies: "That card lies on the reader: take it away first.",
    no_card: "No card lies on the reader.",
    city_is_busy: "The city is still busy with it. One moment.",
    no_list_can_name_it: "A phone shows another number each time: no list can name it.",
  },
  away: "The demo does not answer.",
  gone: "The demo has ended, or does not answer.",
  goneHow: "Start it in its folder, and this page goes on by itself:",
  readerKinds: {
    pn532: "The reader here: a PN532 on a serial line.",
    rcs380: "The reader here: a Sony RC-S380, simulated at the level of its USB bytes.",
    pcsc: "The reader here: a PC/SC reader, simulated at the level of its USB bytes, behind pcscd.",
  },
  honest:
    "Simulated: the reader's chip, the wires, the board, the cards. " +
    "Real: the driver, the gate's programs, the back office. " +
    "All of them run on this machine, and the page shows what they report.",
  statusPage: "The gate's own status page",
  took: (/** @type {number} */ ms) =>
    ms < 60_000 ? `${tenths(ms / 1_000, EN.locale)} s` : EN.seconds(Math.round(ms / 1_000)),
  seconds: (/** @type {number} */ s) =>
    s < 60
      ? `${s} s`
      : s < 3600
        ? `${Math.floor(s / 60)} min ${s % 60} s`
        : `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`,
};
