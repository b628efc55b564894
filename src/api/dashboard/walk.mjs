// Behind first: the API lists mailboxes by id within a standing, so the standings are walked one after another.

/** The order in which an operator wants to see them. */
export const STANDINGS = ["behind", "failing", "on-track", "complete"];

/** @typedef {{ standing: number, cursor: string | null }} Place */

/** Where every walk begins. @type {Place} */
export const START = { standing: 0, cursor: null };

/**
 * Reads a page of `size` rows.
 * @param {(standing: string, limit: number, cursor: string | null) => Promise<{ quotas: object[], nextCursor: string | null }>} read
 * @param {string[]} standings which to walk, in order
 * @param {Place} from
 * @param {number} size
 * @returns {Promise<{ rows: object[], next: Place | null }>} with where the next page begins, if there may be one
 */
export async function walk(read, standings, from, size) {
  const rows = [];
  let { standing, cursor } = from;
  while (standing < standings.length && rows.length < size) {
    const page = await read(standings[standing], size - rows.length, cursor);
    rows.push(...page.quotas);
    cursor = page.nextCursor;
    if (cursor === null) standing += 1;
  }
  return { rows, next: standing < standings.length ? { standing, cursor } : null };
}
