// The geometry of a chart, without a page: instants and counts to points.

/** Maps `from`..`to` to `start`..`end`; a span of nothing maps to `start`. */
export function linear(from, to, start, end) {
  return (value) => (to === from ? start : start + ((value - from) * (end - start)) / (to - from));
}

/**
 * A line through points.
 * @param {[number, number][]} points
 */
export function line(points) {
  return points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("");
}

/** The area between a line and `floor`. */
export function area(points, floor) {
  if (points.length === 0) return "";
  const [first, last] = [points[0][0], points[points.length - 1][0]];
  return `${line(points)}L${round(last)} ${round(floor)}L${round(first)} ${round(floor)}Z`;
}

/** A few round numbers from 0 until `most` is reached. */
export function ticks(most, wanted = 4) {
  const rough = Math.max(most, 1) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(
    1,
    [1, 2, 5, 10].map((times) => times * power).find((step) => step >= rough),
  );
  return Array.from({ length: Math.ceil(Math.max(most, 1) / step) + 1 }, (_, at) => at * step);
}

/** The full hours between two instants (milliseconds), so many apart that at most `most` of them are named. */
export function hours(from, to, most) {
  const HOUR = 3_600_000;
  const step = [1, 2, 3, 4, 6, 12, 24].find((step) => (to - from) / (step * HOUR) <= most) ?? 24;
  const found = [];
  for (let at = Math.ceil(from / HOUR) * HOUR; at <= to; at += HOUR) {
    if ((at / HOUR) % step === 0) found.push(at);
  }
  return found;
}

/** What a line shows at `at`: between two of its points what lies between them. */
export function valueAt(points, at) {
  const after = points.findIndex((point) => point[0] >= at);
  if (after < 0) return points.length > 0 ? points[points.length - 1][1] : 0;
  if (after === 0) return points[0][1];
  const [[x0, y0], [x1, y1]] = [points[after - 1], points[after]];
  return linear(x0, x1, y0, y1)(at);
}

const round = (number) => Math.round(number * 10) / 10;
