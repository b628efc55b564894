// A real Chromium, a page of the dashboard in it, and what the page must not do: log an error, throw, or try what its
// policy refuses.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

/** Longer than anything takes on a busy machine. */
const PATIENCE_MS = 45_000;

export const { URL: url, TOKEN: token, SCREENSHOTS: screenshots } = process.env;

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Says where the script has come to, waits to be told to go on, and returns what it was told with that. */
export async function comeTo(moment) {
  console.log(moment);
  return (await lines.next()).value;
}

/**
 * Plays `script` in a browser of its own.
 * @param {(open: typeof open) => Promise<void>} script gets a function that opens pages
 */
export async function play(script) {
  const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
  const complaints = [];
  try {
    await script((options) => open(browser, complaints, options));
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
  // Nobody need close our input.
  process.exit(0);
}

/**
 * Opens a page of its own session.
 * @param {{ expected?: RegExp, colorScheme?: string, viewport?: { width: number, height: number } }} options
 *   `expected` is what the page may log as an error, because the script provokes it
 */
async function open(browser, complaints, { expected, ...options } = {}) {
  const context = await browser.newContext({ reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(PATIENCE_MS);
  const page = await context.newPage();
  const complain = (what) => {
    if (!expected?.test(what)) complaints.push(what);
  };
  await page.exposeFunction("refusedByPolicy", (what) => complain(`policy: ${what}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      window.refusedByPolicy(`${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  page.on("console", (message) => message.type() === "error" && complain(`console: ${message.text()}`));
  page.on("pageerror", (error) => complain(`thrown: ${error.stack}`));
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin)) complain(`asked elsewhere: ${request.url()}`);
  });
  return page;
}

/** Opens the dashboard as whoever holds the token, and waits until it shows the day. */
export async function enter(page, hash = "") {
  await page.goto(`${new URL(url).origin}/#token=${token}`);
  await page.locator("#link", { hasText: "live" }).waitFor();
  if (hash) await page.evaluate((hash) => (location.hash = hash), hash);
}

/** Waits until what `read` returns satisfies `holds`, and returns it. */
export async function until(read, holds) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (Date.now() > deadline) throw new Error(`it stayed ${JSON.stringify(value)}, which is not ${holds}`);
    await new Promise((over) => setTimeout(over, 50));
  }
}

/** The number that an element shows. */
export const number = async (page, selector) =>
  Number((await page.locator(selector).textContent()).replace(/[^\d.]/g, ""));
