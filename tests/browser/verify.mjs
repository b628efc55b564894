// A user has a code sent to a mailbox of theirs, and enters it: first a wrong one.

import assert from "node:assert/strict";
import { comeTo, enter, play, until } from "./browser.mjs";

const { MAILBOX: mailbox, ID: id } = process.env;

await play(async (open) => {
  const page = await open({ expected: /status of [45]\d\d/ });
  await enter(page, `#/mailbox/${id}`);
  await page.getByRole("heading", { level: 1, name: mailbox }).waitFor();
  const receives = (words) => page.locator("#mailbox-facts > div", { hasText: words }).waitFor();
  await receives(/^Receivesfrom its owner’s mailboxes only: it is not verified$/);
  const send = page.getByRole("button", { name: "Send a code" });
  const enterCode = page.getByRole("button", { name: "Enter the code…" });
  const said = page.locator("#mailbox-said");

  // The operator's mailbox may be sending a mail, or cool down.
  const answer = async () => {
    await send.click();
    return until(() => said.textContent(), (words) => words && words !== "A code is being sent to it.");
  };
  await until(answer, (words) => words.startsWith(`A code was sent to ${mailbox}: enter it before `));
  const code = await comeTo("sent");

  const write = async (code, action) => {
    await enterCode.click();
    const dialog = page.getByRole("dialog", { name: `Verify ${mailbox}?` });
    await dialog.getByLabel("Code").fill(code);
    await dialog.getByRole("button", { name: action }).click();
  };
  await write("2345-6789-ABCD", "Verify");
  await said.filter({ hasText: "4 attempts are left" }).waitFor();
  await write(code, "Cancel");
  assert.ok(await enterCode.isVisible());
  await comeTo("not verified");

  await write(code, "Verify");
  await said.filter({ hasText: "It is verified." }).waitFor();
  await receives(/^Receivesyes$/);
  await send.waitFor({ state: "hidden" });
  await enterCode.waitFor({ state: "hidden" });
});
