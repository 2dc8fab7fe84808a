// @ts-check
/**
 * Every text of the page, in Turkish and English, and how it writes numbers: strings, or functions
 * of numbers.
 *
 * The display's texts come from the board. A sentence about the gate is a function of what was
 * measured; every other text is a question, or the label of a button.
 * tests/browser/test_turnstile_words.py makes each sentence untrue, and sees it change.
 */

import { EN } from "/static/turnstile_words_en.js";
import { TR } from "/static/turnstile_words_tr.js";

/** @typedef {"tr" | "en"} Language */

/** @typedef {typeof EN} Words */

/** @type {Record<Language, Words>} */
export const WORDS = { en: EN, tr: TR };

/**
 * Write a duration: 940 µs, 8.7 ms.
 * @param {number} us
 * @param {Words} words
 */
export function duration(us, words) {
  const inMs = us >= 1_000;
  const number = inMs ? us / 1_000 : us;
  const digits = inMs && number < 100 ? 1 : 0;
  const written = number.toLocaleString(words.locale, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
  });
  return `${written} ${inMs ? "ms" : "µs"}`;
}

/**
 * Write seconds as 0:42.
 * @param {number} s
 */
export function clock(s) {
  const whole = Math.max(Math.ceil(s), 0);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * @param {number} n
 * @param {Words} words
 */
export function count(n, words) {
  return n.toLocaleString(words.locale);
}

/**
 * Write the day in İstanbul.
 * @param {number} unixS
 * @param {Words} words
 */
export function day(unixS, words) {
  return new Date(unixS * 1_000).toLocaleDateString(words.locale, {
    timeZone: "Europe/Istanbul",
    day: "2-digit",
    month: "2-digit",
    year: "numeric",
  });
}
