// @ts-check
/** The figures in the sentences of both languages. */

/**
 * The counts of this turnstile's reports; null while unknown.
 * @typedef {object} Reports
 * @property {number | null} waiting
 * @property {number} delivered
 * @property {number | null} city_received
 * @property {number | null} city_missing
 */

/**
 * How many reports are on the way: those that wait, and those that are delivered and not yet
 * counted by the city.
 * @param {Reports} reports
 */
export function onTheWay({ waiting, delivered, city_received }) {
  return (waiting ?? 0) + Math.max(delivered - (city_received ?? 0), 0);
}

/** @param {number} value @param {string} locale */
export function tenths(value, locale) {
  return value.toLocaleString(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
