// SPDX-License-Identifier: Apache-2.0
// What is chosen on a page stands in its address, beside what the server reads
// there: opened again it shows the same, and the back button takes a choice back.
const address = (() => {
"use strict";
const parts = [];
const read = () => new URLSearchParams(location.search);
let known = "", waits = 0, quiet = true;

// A part writes what it has chosen into parameters, by names that no other part
// has, and nothing for what is so by itself.
const write = (to) => {
  for (const part of parts) {
    for (const name of [...to.keys()]) if (part.owns(name)) to.delete(name);
    part.get(to);
  }
  return to;
};
const same = () => String(write(new URLSearchParams()));
const apply = () => {
  for (const part of parts) part.set(read());
  known = same();
};
const put = (replace) => {
  waits = 0;
  if (known === same()) return;
  known = same();
  const q = String(write(read()));
  try {
    history[replace || quiet ? "replaceState" : "pushState"](null, "", location.pathname + (q && "?" + q) + location.hash);
  } catch (e) { /* a file's address may have to stay as it is */ }
};
addEventListener("popstate", apply);
return {
  // add takes part in the address: get writes into parameters, set reads them.
  add: (owns, get, set) => {
    const part = { owns: typeof owns === "string" ? (name) => name === owns : owns, get, set };
    parts.push(part);
    set(read());
    known = same();
  },
  // changed puts what is chosen now into the address, all changes of a turn at
  // once; replace: as no step of its own to go back to.
  changed: (replace) => { waits = waits || setTimeout(put, 0, replace); },
  // keep adds what is chosen to the parameters of another address.
  keep: write,
  ready: () => { quiet = false; },
};
})();
