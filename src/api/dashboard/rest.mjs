// How long a page rests before it asks a lost server again.

const FIRST_MS = 500;
const LONGEST_MS = 10_000;

/**
 * Twice as long with each attempt, up to ten seconds. The dice (0 to 1) keep many pages from coming back at the same
 * instant.
 */
export function rest(attempt, dice) {
  return Math.min(FIRST_MS * 2 ** attempt, LONGEST_MS) * (0.5 + 0.5 * dice);
}
