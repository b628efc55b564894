// Questions to the API. The token goes into the header and nowhere else.

import { token } from "./token.mjs";

/** What went wrong, in the words of the API: they say what to do. */
export class Problem extends Error {
  /** @param {number} status @param {string} detail */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }

  get isRefusal() {
    return this.status === 401;
  }
}

/** The server did not answer at all. */
export class Away extends Error {}

/** A server that is away or refuses is told by the stream; anything else is a fault of the page. */
export function complain(error) {
  if (!(error instanceof Problem || error instanceof Away)) reportError(error);
}

/** Called with the server's time whenever it answers. @type {(instant: string) => void} */
let heard = () => {};
/** Called when the token does not hold. @type {(problem: Problem) => void} */
let refused = () => {};

export function listen(onHeard, onRefused) {
  [heard, refused] = [onHeard, onRefused];
}

/**
 * Asks /api/warmup for `path` and returns the data of the answer.
 * @throws {Problem | Away}
 */
export async function ask(path, { method = "GET", body } = {}) {
  const response = await send(path, { method, body });
  const answer = await response.json().catch(() => {
    throw new Away("the answer broke off");
  });
  heard(answer.timestamp);
  return answer.data;
}

/**
 * Opens a request with the token, and returns the answer once it is known to be a good one.
 * @throws {Problem | Away}
 */
export async function send(path, { method = "GET", body, signal } = {}) {
  const presented = token();
  const headers = { Authorization: `Bearer ${presented}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const request = { method, headers, signal, body: body && JSON.stringify(body), cache: "no-store" };
  const response = await fetch(`/api/warmup/${path}`, request).catch((error) => {
    throw new Away(error.message);
  });
  if (response.ok) return response;
  const problem = new Problem(response.status, await detail(response));
  // A late answer to the token before says nothing about the one that is held now.
  if (problem.isRefusal && presented === token()) refused(problem);
  throw problem;
}

async function detail(response) {
  const problem = await response.json().catch(() => ({}));
  return problem.detail ?? `the server answered ${response.status}`;
}
