// SPDX-License-Identifier: Apache-2.0
// Keys that move through a page. They only move the focus, which is always to be
// seen, and can be turned off. In a field they are text.
(() => {
"use strict";
const $$ = (sel) => [...document.querySelectorAll(sel)];
const el = (name, attrs, ...kids) => {
  const e = document.createElement(name);
  Object.assign(e, attrs);
  e.append(...kids);
  return e;
};
const seen = (e) => e.checkVisibility ? e.checkVisibility() : e.offsetParent !== null;
const bar = document.querySelector(".top .wrap");
if (!bar || !window.HTMLDialogElement) return;

// Where the choice is kept between pages; a file's page may keep nothing.
const kept = (value) => {
  try {
    if (value !== undefined) localStorage.setItem("mapprof-keys", value);
    return localStorage.getItem("mapprof-keys");
  } catch (e) { return value; }
};
const list = $$("#runs").length > 0;
const texts = [
  ["/", "search"],
  ["j", list ? "next run" : "next section or folded part"],
  ["k", list ? "previous run" : "previous section or folded part"],
  ["Enter", list ? "open the run" : "unfold and fold what has the focus"],
  ...(list ? [["x", "tick the run"]] : []),
  ["Esc", "leave a field or this help"],
  ["?", "this help"],
];
const single = el("input", { type: "checkbox", id: "keys-on", checked: kept() !== "off" });
const close = el("button", { type: "button", textContent: "Close", autofocus: true });
const help = el("dialog", { id: "keys", className: "keys" },
  el("h2", { id: "keys-title", textContent: "Keys" }),
  el("dl", { className: "facts" }, ...texts.flatMap(([key, text]) => [el("dt", {}, el("kbd", { textContent: key })), el("dd", { textContent: text })])),
  el("p", {}, el("label", {}, single, " Single keys do something")),
  close);
help.setAttribute("aria-labelledby", "keys-title");
const button = el("button", { type: "button", id: "keys-button", textContent: "Keys" });
button.setAttribute("aria-haspopup", "dialog");
bar.append(button);
document.body.append(help);
button.addEventListener("click", () => help.showModal());
close.addEventListener("click", () => help.close());
// The focus goes back to where it was; where that was nowhere, it leaves at least.
help.addEventListener("close", () => { if (help.contains(document.activeElement)) document.activeElement.blur(); });
single.addEventListener("change", () => kept(single.checked ? "on" : "off"));

// What j and k stop at, in order: links and folded parts, which Enter opens, and headings.
const stops = () => $$(list ? "#runs tbody th a" : "main h1, main h2, main summary").filter(seen);
const show = (e) => {
  if (e.tabIndex < 0) e.tabIndex = -1; // a heading is no stop of Tab
  e.focus({ preventScroll: true });
  e.scrollIntoView({ block: "center", inline: "nearest" });
};
const move = (by) => {
  const all = stops(), from = document.activeElement;
  let to;
  if (!from || from === document.body || help.contains(from)) {
    // From what is in sight.
    const top = document.querySelector(".top").getBoundingClientRect().bottom;
    to = by > 0 ? all.find((e) => e.getBoundingClientRect().bottom > top) : all.findLast((e) => e.getBoundingClientRect().top < top);
  } else {
    const after = (a, b) => a.compareDocumentPosition(b) & Node.DOCUMENT_POSITION_FOLLOWING;
    to = by > 0 ? all.find((e) => after(from, e)) : all.findLast((e) => after(e, from));
  }
  if (to) show(to);
};
const search = () => {
  const field = $$("#f-find, #flame-find").find(seen);
  if (!field) return false;
  show(field);
  field.select();
  return true;
};
const tick = () => {
  const row = document.activeElement.closest("tr[data-run]"), box = row && row.querySelector("input[name=run]");
  if (box) box.click();
};
addEventListener("keydown", (e) => {
  if (e.defaultPrevented || e.isComposing || e.ctrlKey || e.altKey || e.metaKey || help.open) return;
  const at = e.target;
  const types = at.matches("select, textarea, [contenteditable], input:not([type=checkbox], [type=radio])");
  if (e.key === "Escape") {
    // A field that has something is emptied first, as browsers do.
    if (types && !at.value || at.matches("h1, h2")) at.blur();
    return;
  }
  if (types || !single.checked) return;
  if (e.key === "?") help.showModal();
  else if (e.key === "j") move(1);
  else if (e.key === "k") move(-1);
  else if (e.key === "x" && list) tick();
  else if (e.key !== "/" || !search()) return;
  e.preventDefault();
});
})();
