// @ts-check
/** The status page in English. `@N` stands for a number, or for `@` and the lane's number. */

export const EN = {
  locale: "en-GB",
  otherLanguage: "Türkçe",
  connection: {
    waiting: "Connecting …",
    live: "Live",
    away: "The console does not answer. Trying again …",
  },
  well: (/** @type {number} */ lanes) =>
    lanes === 1 ? "This gate is well." : `This gate is well, all ${lanes} lanes of it.`,
  unwell: (/** @type {number} */ faults) =>
    faults === 1 ? "Something is wrong here." : `${faults} things are wrong here.`,
  notKnown: "Unknown: the console does not answer. Below is its last answer.",
  lane: (/** @type {number | string} */ number) => `Lane ${number}`,
  faults: {
    away: [
      "The lane is not running:",
      "Run systemctl status turnike-lane@N, then turnike check. The console keeps trying.",
    ],
    reader: [
      "The reader is lost: the lane is out of service.",
      "Check its cable and power. The lane keeps trying by itself.",
    ],
    board: [
      "The turnstile's board is lost: the lane is out of service.",
      "Check its cable and power. The lane keeps trying by itself.",
    ],
    missing: [
      "There is no usable list: everyone is admitted or no one, by list.missing.",
      "Run turnike check: it names what is missing, list, key or disk.",
    ],
    stale: [
      "The list has expired.",
      "The gate has not reached the city for days, or the city publishes nothing. " +
        "The log of turnike courier has the reason.",
    ],
    corrupt: [
      "A newer list is here and cannot be used; the previous one decides.",
      "Run turnike check for the reason.",
    ],
    list: ["The state of the list is unknown:", "Run turnike check."],
    problems: ["A file of the list is damaged or missing:", "Run turnike check for what to do."],
    refused: [
      "Reports could not be kept, and are lost: @N.",
      "The disk is full or failing: run turnike check.",
    ],
    rejected: [
      "The city rejected some reports; they are quarantined: @N.",
      "Run turnike reports show; compare the versions of gate and receiver.",
    ],
    trouble: [
      "Reports cannot be kept now:",
      "Run turnike check. The lane tries again each second.",
    ],
    uncounted: ["How many reports wait is unknown: the disk cannot be read.", "Run turnike check."],
    waiting: [
      "Many reports wait for the city: @N.",
      "Normal for some minutes after an outage. Else the log of turnike courier has the reason.",
    ],
    upload: [
      "Reports do not reach the city:",
      "They wait on the gate until then: docs/reports.md.",
    ],
    courier: [
      "The courier cannot bring lists:",
      "Run turnike check for what to do. The gate decides by the list it has.",
    ],
    unheard: [
      "The courier has reported nothing since the boot: its status is unknown.",
      "Run systemctl status turnike-courier.",
    ],
    quiet: [
      "The courier has not asked the city for @N.",
      "It has stopped, or downloads a large list: run systemctl status turnike-courier.",
    ],
    untold: [
      "Whether the courier runs is unknown here.",
      "list.recent names no memory-backed folder, or a clock was wrong: run turnike check.",
    ],
    disk: [
      "There is hardly any room left on the disk.",
      "Remove logs and old packages. Reports are refused once only the reserve is left.",
    ],
    disk_unknown: [
      "The free room on the disk is unknown.",
      "The disk does not answer: run turnike check.",
    ],
    clock: [
      "The clock is not synchronised.",
      "Run timedatectl. Suspensions end late meanwhile, never early.",
    ],
    tamper: [
      "The turnstile's housing is open.",
      "If no technician works on it: docs/runbook.md, a stolen gate.",
    ],
    emergency: [
      "The arms are released for an emergency: anyone can walk through.",
      "They lock again when the button is released.",
    ],
    forced: [
      "Locked arms were turned; times since the lane's start: @N.",
      "A person passes without a card, or an arm does not lock. Shown for a quarter of an hour.",
    ],
  },
  facts: {
    reader: "Reader",
    board: "Board",
    list: "List",
    clock: "Clock",
    reports: "Reports",
    disk: "Disk",
    courier: "Courier",
    emergency: "Emergency",
    housing: "Housing",
    forced: "Forced",
    run: "Running",
  },
  ready: "ready",
  lost: "lost",
  unknown: "no report yet",
  unknownCount: "unknown number",
  unknownDisk: "unknown: it does not answer",
  unknownCourier: "unknown: it has reported nothing here",
  noCourier: "none: lists are installed by hand",
  courierStates: {
    fresh: "up to date",
    unreachable: "the city cannot be reached",
    "not ours": "another server answers",
    "tls refused": "the city's certificate is not trusted",
    "proxy refused": "the proxy refuses",
    busy: "the city is busy",
    slow: "the line is too slow",
    frozen: "what the city published has expired",
    replayed: "an older list was offered",
    refused: "a download is not the city's",
    "no fingerprint key": "a key is missing",
    disk: "the disk takes nothing",
  },
  open: "open",
  closed: "closed",
  courier: (/** @type {string} */ state, /** @type {string} */ ago) =>
    `${state}, asked the city ${ago} ago`,
  list: (
    /** @type {string} */ version,
    /** @type {string} */ state,
    /** @type {string} */ age,
    /** @type {string} */ cards,
    /** @type {string} */ left,
  ) => `version ${version}, ${state}; ${age} old, ${cards} cards, good for ${left} more`,
  listOver: (/** @type {string} */ version, /** @type {string} */ age, /** @type {string} */ ago) =>
    `version ${version}, ${age} old, expired ${ago} ago`,
  states: {
    fresh: "fresh",
    stale: "expired",
    missing: "none",
    corrupt: "the previous one, as a newer one is damaged",
  },
  noList: "none",
  synchronised: "synchronised",
  notSynchronised: "not synchronised: counted from the newest signed time",
  reports: (/** @type {string} */ waiting, /** @type {string} */ delivered) =>
    `${waiting} waiting, ${delivered} delivered since the start`,
  lostReports: (/** @type {string} */ n) => `, ${n} lost`,
  rejectedReports: (/** @type {string} */ n) => `, ${n} quarantined`,
  free: (/** @type {string} */ size) => `${size} free`,
  on: "on: the arms are free",
  off: "off",
  forced: (/** @type {string} */ n) => `locked arms turned, times since the start: ${n}`,
  neverForced: "never",
  running: (/** @type {string} */ time, /** @type {string} */ version) =>
    `for ${time}, version ${version}`,
  counts: (
    /** @type {string} */ taps,
    /** @type {string} */ admitted,
    /** @type {string} */ denied,
  ) => `${taps} taps, ${admitted} admitted, ${denied} denied`,
  factsOf: "State",
  day: (/** @type {string} */ span) => `How long passengers waited, the last ${span}`,
  chart: (/** @type {string} */ p50, /** @type {string} */ p99) =>
    `Card read until told. In the last slot half within ${p50}, 99 of 100 within ${p99}.`,
  emptyChart: "This console has seen no tap yet.",
  now: "now",
  since: (/** @type {string} */ span) => `${span} ago`,
  figures: "Since the lane's start",
  rows: {
    decided_us: "card read → decided",
    filed_us: "report → on the disk",
    told_us: "card read → told",
  },
  max: "longest",
  taps: "Last taps. A token is for this run of the lane only; it is no card's number.",
  token: "Token",
  outcome: "Shown",
  decided: "Decided",
  told: "Told",
  ago: "Ago",
  outcomes: {
    admitted: "admitted",
    admitted_with_notice: "admitted, with notice",
    denied: "denied",
    try_again: "try again",
    unsupported: "unsupported",
    out_of_service: "out of service",
  },
  versions: (/** @type {string} */ version) =>
    `turnike console ${version}. This page only shows; it changes nothing and asks no other ` +
    "machine.",
  units: { d: "d", h: "h", min: "min", s: "s" },
};
