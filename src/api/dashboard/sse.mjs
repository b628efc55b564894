// Server-sent events, as the HTML standard parses them. EventSource can send no header, and a token never stands in an
// address; so the page reads the stream by `fetch` and parses it here.

/**
 * @typedef {{ event: string, data: string, id: string }} ServerEvent
 */

/**
 * Returns a function that takes the text of a stream piece by piece, however it is cut, and returns the events that are
 * complete.
 * @returns {(piece: string) => ServerEvent[]}
 */
export function parser() {
  let rest = "";
  let first = true;
  let id = "";
  let [event, data] = ["", /** @type {string[]} */ ([])];

  /** @param {string} line @param {ServerEvent[]} events */
  function take(line, events) {
    if (line === "") {
      if (data.length > 0) events.push({ event: event || "message", data: data.join("\n"), id });
      [event, data] = ["", []];
      return;
    }
    const colon = line.indexOf(":");
    // A comment: the server says that it is there.
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
    else if (field === "id" && !value.includes("\0")) id = value;
  }

  return (piece) => {
    rest += piece;
    if (first && rest !== "") {
      rest = rest.replace(/^\uFEFF/, "");
      first = false;
    }
    // A CR at the very end may be the first half of a line end.
    const lines = rest.split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    const events = [];
    for (const line of lines) take(line, events);
    return events;
  };
}
