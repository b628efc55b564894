// Numbers and times in words. Times are the server's own, in UTC: a demo's day runs faster than the clock of whoever looks.

const NUMBERS = new Intl.NumberFormat("en");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** 1440 → "1,440". */
export const count = (number) => NUMBERS.format(number);

/** A number with its noun: 1 → "1 mailbox". */
export const counted = (number, one, many) => `${count(number)} ${number === 1 ? one : many}`;

/** 95.83 → "95.8 %", 100 → "100 %". */
export const percent = (rate) => `${Number(rate.toFixed(1))} %`;

/** "2026-11-24T10:30:05Z" → "10:30:05". */
export const time = (instant) => instant.slice(11, 19);

/** "2026-11-24…" → "24 Nov". */
export const date = (day) => `${Number(day.slice(8, 10))} ${MONTHS[Number(day.slice(5, 7)) - 1]}`;

/** The time, and the date where it is another one than that of `now`. */
export function when(instant, now) {
  if (!instant) return "never";
  const clock = instant.slice(11, 16);
  return now && instant.slice(0, 10) === now.slice(0, 10) ? clock : `${date(instant)}, ${clock}`;
}

/** Milliseconds: 340 → "340 ms", 30000 → "30 s", 95000 → "1 min 35 s". */
export function duration(milliseconds) {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const rest = Math.round(seconds % 60);
  return `${Math.floor(seconds / 60)} min${rest ? ` ${rest} s` : ""}`;
}

/** 6.5 → "6 h 30 min". */
export function hours(number) {
  const minutes = Math.round(number * 60);
  const [whole, rest] = [Math.floor(minutes / 60), minutes % 60];
  if (whole === 0) return `${rest} min`;
  return rest ? `${whole} h ${rest} min` : `${whole} h`;
}

/** "mon,tue" → "mon, tue"; all seven → "every day". */
export const weekdays = (days) => (days.split(",").length === 7 ? "every day" : days.replaceAll(",", ", "));

/** "Batch #1: 48 processed, 46 sent, 2 failed (95 %)"; one that runs has not failed yet. */
export function batch({ id, processed, sent, failed, successRate, durationMs }) {
  if (durationMs === null) return `Batch #${id}: ${processed} under way`;
  return `Batch #${id}: ${processed} processed, ${sent} sent, ${failed} failed (${Math.floor(successRate)} %)`;
}

/** A rate of a whole that may be 0, from 0 to 100. */
export const share = (part, whole) => (whole > 0 ? Math.min(100, (part * 100) / whole) : 0);
