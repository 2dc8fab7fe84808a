// @ts-check
/** What is wrong with a lane, the worst first, as names of sentences in status_words.js. */

const ROOM_BYTES_MIN = 200e6;

/** @param {any} lane @returns {string[]} */
export function faultsOf(lane) {
  if (!lane.up || !lane.status) return ["away"];
  const { status } = lane;
  /** @type {[string, boolean][]} */
  const all = [
    ["reader", status.devices.reader !== "ready"],
    ["board", status.devices.board !== "ready"],
    ["missing", status.list_state === "missing"],
    ["stale", status.list_state === "stale"],
    ["corrupt", status.list_state === "corrupt"],
    ["trouble", Boolean(status.reports_trouble)],
    ["refused", status.reports_refused > 0],
    ["rejected", status.reports_rejected > 0],
    ["courier", Boolean(status.courier) && status.courier.state !== "fresh"],
    ["silent", Boolean(status.courier?.silent)],
    ["disk", status.disk_free_bytes !== null && status.disk_free_bytes < ROOM_BYTES_MIN],
    ["clock", !status.clock_synchronised],
    ["tamper", status.tamper],
    ["emergency", status.emergency],
  ];
  return all.filter(([, isWrong]) => isWrong).map(([name]) => name);
}
