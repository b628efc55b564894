// The page's elements. Whatever comes from the API becomes text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * Makes an element with attributes and children; a string becomes text.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | undefined>} attributes
 * @param {...(Node | string)} children
 */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for a part of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** An address, which is broken before its domain where there is no room for it. */
export function address(email) {
  const at = email.lastIndexOf("@");
  return at > 0 ? [email.slice(0, at), el("wbr"), email.slice(at)] : [email];
}

/** Changes a text where it is another one. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Draws how full something is, by the stylesheet's `--part`. */
export function fill(element, percent) {
  element.style.setProperty("--part", `${percent}%`);
}

/**
 * Makes the children of `parent` those of `rows`, by key. What is there stays, and keeps its focus.
 * @param {Element} parent
 * @param {any[]} rows
 * @param {(row: any) => string | number} key
 * @param {(row: any) => Element} make
 * @param {(element: Element, row: any) => void} update
 */
export function keyed(parent, rows, key, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  const wanted = rows.map((row) => {
    const name = String(key(row));
    const element = known.get(name) ?? make(row);
    element.dataset.key = name;
    update(element, row);
    return element;
  });
  const kept = new Set(wanted);
  for (const child of [...parent.children]) if (!kept.has(child)) child.remove();
  wanted.forEach((element, at) => {
    if (parent.children[at] !== element) parent.insertBefore(element, parent.children[at] ?? null);
  });
  if (focused?.isConnected && document.activeElement !== focused) focused.focus();
}
