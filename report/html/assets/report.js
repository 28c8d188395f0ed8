// SPDX-License-Identifier: Apache-2.0
// What a page can do beyond being read: charts that can be pointed at and
// zoomed, a flame graph that can be searched, filters that apply themselves,
// a list of runs that keeps itself up to date. Text is only ever set as text.
(() => {
"use strict";
const $ = (sel, root) => (root || document).querySelector(sel);
const $$ = (sel, root) => [...(root || document).querySelectorAll(sel)];
const el = (name, attrs, ...kids) => {
  const e = document.createElement(name);
  for (const k in attrs || {}) e[k] = attrs[k];
  e.append(...kids);
  return e;
};
document.documentElement.classList.add("js");

// --- figures
const significant = (v) => {
  const a = Math.abs(v);
  if (a === 0) return "0";
  if (a < 0.995) return String(+v.toPrecision(3));
  return a < 9.995 ? v.toFixed(2) : a < 99.95 ? v.toFixed(1) : v.toFixed(0);
};
const scaled = (v, units) => {
  let i = 0;
  while (i + 1 < units.length && Math.abs(v) >= units[i + 1][0] * 0.9995) i++;
  return significant(v / units[i][0]) + "\u00a0" + units[i][1];
};
const duration = (v) => scaled(v, [[1, "ns"], [1e3, "µs"], [1e6, "ms"], [1e9, "s"]]);
const bytes = (v) => scaled(v, [[1, "B"], [1024, "KiB"], [1048576, "MiB"], [1073741824, "GiB"], [1099511627776, "TiB"]]);
const short = (s) => s.replace(/\.0+(?=\u00a0)|(\.\d*?)0+(?=\u00a0)/, "$1");
const percentile = (x) => {
  const digits = Math.max(1, Math.ceil(x) - 1);
  return "p" + String(+(100 * (1 - Math.pow(10, -x))).toFixed(Math.min(8, digits)));
};

// --- charts
const color = (cls) => {
  const probe = el("span", { className: cls });
  probe.hidden = true;
  document.body.append(probe);
  const c = getComputedStyle(probe).getPropertyValue("--c").trim();
  probe.remove();
  return c || "#888";
};
const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const tooltip = (plot, yText, xText) => {
  const tip = el("div", { className: "tip" });
  tip.hidden = true;
  return {
    hooks: {
      init: (u) => u.over.append(tip),
      setCursor: (u) => {
        const { left, idx } = u.cursor;
        if (left == null || left < 0 || idx == null) { tip.hidden = true; return; }
        const rows = [];
        plot.lines.forEach((line, i) => {
          const ys = u.data[i + 1];
          let at = idx;
          while (at > 0 && ys[at] == null) at--;
          if (ys[at] != null && u.data[0][idx] <= line.x[line.x.length - 1] * 1.0001) rows.push([line, ys[at]]);
        });
        if (!rows.length) { tip.hidden = true; return; }
        rows.sort((a, b) => b[1] - a[1]);
        tip.replaceChildren(el("b", { textContent: xText(u.data[0][idx]) }), ...rows.map(([line, y]) =>
          el("div", {}, el("span", { className: "key " + line.color }), line.label, el("span", { textContent: yText(y) }))));
        tip.hidden = false;
        const w = tip.offsetWidth, room = u.over.clientWidth;
        tip.style.left = (left + 16 + w > room ? Math.max(0, left - w - 16) : left + 16) + "px";
        tip.style.top = "8px";
      },
    },
  };
};

// What part of their x axis charts show, by their group, unless it is the whole.
const zooms = new Map();
const groupOf = (plot) => plot.id.replace(/-\d+$/, "");
const zoomOf = (plot) => {
  const z = zooms.get(groupOf(plot));
  return z && z[0] < plot.x[1] && z[1] > plot.x[0] ? z : null;
};
const describePlot = (plot, box, xText) => {
  const z = zoomOf(plot);
  box.setAttribute("aria-label", plot.title + (z ? ", from " + xText(z[0]) + " to " + xText(z[1]) : "") + " (drag to zoom, double click to reset)");
};

const makePlot = (plot, box, width) => {
  const bytesKind = plot.kind === "bytes";
  const yText = bytesKind ? bytes : duration;
  const xText = bytesKind ? duration : percentile;
  const data = uPlot.join(plot.lines.map((l) => [l.x, l.y]));
  const font = "12px system-ui, sans-serif";
  const axis = (ticks, text, full, more) => Object.assign({
    stroke: token("--dim"), font, grid: { stroke: token("--grid"), width: 1 }, ticks: { show: false },
    // The server's ticks while nothing is zoomed; round steps after that.
    splits: (u, ix, lo, hi) => {
      const inside = ticks.filter((t) => t.v >= lo * 0.9999 && t.v <= hi * 1.0001).map((t) => t.v);
      if (inside.length > 2) return inside;
      return [0, 1, 2, 3, 4].map((i) => lo + (hi - lo) * i / 4);
    },
    values: (u, splits) => splits.map((v) => {
      const t = ticks.find((t) => t.v === v);
      return t ? t.l : short(text(v));
    }),
    filter: (u, splits) => splits,
  }, more);
  const pad = (lo, hi) => [lo, hi];
  return new uPlot({
    width, height: plot.height + 36, padding: [10, 8, 0, 0], legend: { show: false },
    cursor: { sync: { key: plot.kind + groupOf(plot) }, drag: { x: true, y: false, uni: 10 }, points: { size: 7 }, y: false },
    scales: {
      x: { time: false, range: (u, lo, hi) => lo === data[0][0] && hi === data[0][data[0].length - 1] ? pad(plot.x[0], plot.x[1]) : pad(lo, hi) },
      y: { distr: plot.logY ? 3 : 1, range: () => pad(plot.y[0] || (plot.logY ? 1 : 0), plot.y[1]) },
    },
    axes: [axis(plot.xticks, xText, plot.x, { size: 26, gap: 6 }), axis(plot.yticks, yText, plot.y, { size: 68, gap: 8 })],
    series: [{}, ...plot.lines.map((l) => ({
      label: l.label, stroke: color(l.color), width: 1.8, points: { show: false },
      dash: / d1\b/.test(l.color) ? [6, 3] : / d2\b/.test(l.color) ? [2, 3] : undefined,
      paths: plot.step ? uPlot.paths.stepped({ align: 1 }) : undefined,
    }))],
    hooks: { setScale: [(u, key) => {
      if (key !== "x") return;
      const { min, max } = u.scales.x;
      if (min <= plot.x[0] && max >= plot.x[1]) zooms.delete(groupOf(plot));
      else zooms.set(groupOf(plot), [min, max]);
      describePlot(plot, box, xText);
      address.changed();
    }] },
    plugins: [tooltip(plot, yText, xText)],
  }, data, box);
};

const charts = (plots) => {
  if (typeof uPlot !== "function" || typeof ResizeObserver !== "function") return;
  const made = new Map();
  const zoom = ({ u, data }) => {
    const xs = u.data[0], z = zoomOf(data) || [xs[0], xs[xs.length - 1]];
    u.setScale("x", { min: z[0], max: z[1] });
  };
  const show = (box, width) => {
    const plot = made.get(box);
    if (plot.u && plot.width === width) return;
    plot.width = width;
    if (plot.u) { plot.u.setSize({ width, height: plot.data.height + 36 }); return; }
    box.append(plot.live);
    box.classList.add("on");
    plot.live.setAttribute("role", "img");
    plot.u = makePlot(plot.data, plot.live, width);
    zoom(plot);
  };
  const watch = new ResizeObserver((entries) => {
    for (const e of entries) {
      const width = Math.floor(e.contentRect.width);
      if (width > 120) show(e.target, width);
    }
  });
  for (const data of plots) {
    const box = document.getElementById(data.id);
    if (!box) continue;
    made.set(box, { data, live: el("div", { className: "live" }) });
    watch.observe(box);
  }
  address.add((name) => name.startsWith("x-"), (to) => {
    for (const [group, [lo, hi]] of zooms) to.set("x-" + group, lo.toPrecision(6) + "~" + hi.toPrecision(6));
  }, (from) => {
    zooms.clear();
    for (const data of plots) {
      const [lo, hi] = (from.get("x-" + groupOf(data)) || "").split("~").map(Number);
      if (lo < hi && Number.isFinite(hi - lo)) zooms.set(groupOf(data), [lo, hi]);
    }
    for (const plot of made.values()) if (plot.u) zoom(plot);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [box, plot] of made) {
      if (!plot.u) continue;
      plot.u.destroy();
      plot.u = null;
      show(box, plot.width);
    }
  });
};

// --- flame graph
const NS = "http://www.w3.org/2000/svg";
const ROW = 22;
const frameClass = (name, phases) => {
  const phase = name.startsWith("[phase] ") ? name.slice(8) : "";
  if (phases.includes(phase)) return "ph-" + phase;
  if (/^(all:|\[[a-z ]+\] )/.test(name)) return "fl-root";
  if (name.endsWith("]")) return "fl-mod";
  return /bpf|map/.test(name) ? "fl-bpf" : "fl-k";
};
// phases names those that have a colour of their own.
const flame = (data, phases) => {
  const host = $("#flame");
  if (!host) return;
  const dropped = "all: who dropped the last reference";
  const kinds = [["limbo time", duration, dropped], ["memory × time", (v) => bytes(v) + "·s", "all: who held the memory"], ["deaths", String, dropped]];
  const who = el("select", { id: "flame-who" }, el("option", { value: "", textContent: "all scenarios" }),
    ...data.entries.map((e, i) => el("option", { value: String(i), textContent: e.label })));
  const what = el("select", { id: "flame-what" }, ...kinds.map((k, i) => el("option", { value: String(i), textContent: k[0] })));
  const find = el("input", { type: "search", id: "flame-find", placeholder: "part of a name" });
  const reset = el("button", { type: "button", textContent: "Reset zoom", disabled: true });
  const info = el("p", { className: "flameinfo" });
  const field = (text, input) => el("label", {}, text + " ", input);
  const bar = el("div", { className: "flamebar" }, field("Scenario", who), field("of", what), field("Find", find), reset);
  const area = el("div", {});
  host.replaceChildren(bar, area, info);
  info.setAttribute("aria-live", "polite");
  let zoom = null, svg = null;

  const tree = () => {
    const kind = +what.value;
    const root = { name: kinds[kind][2], value: 0, kids: new Map() };
    for (const s of data.stacks) {
      let v = 0;
      if (who.value === "") for (const k in s.v) v += s.v[k][kind];
      else if (s.v[who.value]) v = s.v[who.value][kind];
      if (v <= 0) continue;
      let at = root;
      at.value += v;
      for (const f of s.f) {
        if (!at.kids.has(f)) at.kids.set(f, { name: data.frames[f], value: 0, kids: new Map(), up: at });
        at = at.kids.get(f);
        at.value += v;
      }
    }
    return root;
  };
  const describe = (n, root) => n.name + ": " + kinds[+what.value][1](n.value) + " (" + (100 * n.value / root.value).toFixed(1) + " %)";
  const draw = (root) => {
    const top = zoom || root;
    svg = document.createElementNS(NS, "svg");
    svg.setAttribute("class", "flame");
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", "flame graph; arrow keys move, Enter zooms, Escape resets");
    let depth = 0, first = null, nodes = 0;
    const frame = (n, x, w, level) => {
      if (w < 0.0008 || nodes++ > 4000) return;
      depth = Math.max(depth, level + 1);
      const g = document.createElementNS(NS, "svg");
      g.setAttribute("class", "fr");
      g.setAttribute("x", 100 * x + "%");
      g.setAttribute("y", level * ROW);
      g.setAttribute("width", 100 * w + "%");
      g.setAttribute("height", ROW - 1);
      g.setAttribute("role", "button");
      g.setAttribute("tabindex", first ? "-1" : "0");
      const text = describe(n, root);
      g.setAttribute("aria-label", text);
      g.dataset.name = n.name;
      const title = document.createElementNS(NS, "title");
      title.textContent = text;
      const rect = document.createElementNS(NS, "rect");
      rect.setAttribute("class", frameClass(n.name, phases));
      rect.setAttribute("width", "100%");
      rect.setAttribute("height", "100%");
      g.append(title, rect);
      if (w > 0.012) {
        const t = document.createElementNS(NS, "text");
        t.setAttribute("x", "5");
        t.setAttribute("y", "15");
        t.textContent = n.name + (w > 0.25 ? "  " + kinds[+what.value][1](n.value) : "");
        g.append(t);
      }
      const say = () => { info.textContent = text; };
      g.addEventListener("mouseenter", say);
      g.addEventListener("focus", say);
      g.addEventListener("click", () => go(n === top && n.up ? n.up : n));
      g.node = n;
      n.at = g;
      first = first || g;
      svg.append(g);
    };
    const below = (n, x, w, level) => {
      frame(n, x, w, level);
      for (const k of [...n.kids.values()].sort((a, b) => b.value - a.value)) {
        const kw = w * k.value / n.value;
        below(k, x, kw, level + 1);
        x += kw;
      }
    };
    const above = [];
    for (let n = top.up; n; n = n.up) above.unshift(n);
    above.forEach((n, i) => frame(n, 0, 1, i));
    below(top, 0, 1, above.length);
    svg.setAttribute("height", depth * ROW);
    area.replaceChildren(svg);
    reset.disabled = !zoom;
    mark();
  };
  let root = tree();
  const go = (n) => {
    zoom = n.up ? n : null;
    draw(root);
    if (n.at) n.at.focus({ preventScroll: true });
    address.changed();
  };
  const pathOf = (n) => {
    const path = [];
    for (; n && n.up; n = n.up) path.unshift(n.name);
    return path;
  };
  const again = (path) => {
    root = tree();
    let at = root;
    for (const name of path) {
      const next = [...at.kids.values()].find((k) => k.name === name);
      if (!next) break;
      at = next;
    }
    zoom = at === root ? null : at;
    if (root.value > 0) draw(root);
    else area.replaceChildren(el("p", { className: "empty", textContent: "No death of this scenario is in the profile." }));
    info.textContent = "";
  };
  const mark = () => {
    const s = find.value.trim().toLowerCase();
    let hits = 0, share = 0;
    for (const g of $$(".fr", svg)) {
      const hit = s !== "" && g.dataset.name.toLowerCase().includes(s);
      g.classList.toggle("hit", hit);
      g.classList.toggle("miss", s !== "" && !hit);
      if (hit) hits++;
    }
    if (s === "") return;
    const sum = (n) => n.name.toLowerCase().includes(s) ? n.value : [...n.kids.values()].reduce((a, k) => a + sum(k), 0);
    share = root.value ? 100 * sum(root) / root.value : 0;
    info.textContent = hits + " frames found, " + share.toFixed(1) + " % of the whole";
  };
  area.addEventListener("keydown", (e) => {
    const g = e.target.closest(".fr");
    if (!g) return;
    const n = g.node, kids = (p) => [...p.kids.values()].sort((a, b) => b.value - a.value).filter((k) => k.at && k.at.isConnected);
    let to = null;
    if (e.key === "ArrowUp") to = n.up;
    else if (e.key === "ArrowDown") to = kids(n)[0];
    else if ((e.key === "ArrowLeft" || e.key === "ArrowRight") && n.up) {
      const row = kids(n.up);
      to = row[row.indexOf(n) + (e.key === "ArrowLeft" ? -1 : 1)];
    } else if (e.key === "Enter" || e.key === " ") { e.preventDefault(); go(n); return; }
    else if (e.key === "Escape") { go(root); return; }
    if (to && to.at) { e.preventDefault(); g.setAttribute("tabindex", "-1"); to.at.setAttribute("tabindex", "0"); to.at.focus(); }
  });
  // Stay at the same frames where they still exist.
  const other = () => { again(pathOf(zoom)); address.changed(); };
  who.addEventListener("change", other);
  what.addEventListener("change", other);
  find.addEventListener("input", () => { info.textContent = ""; mark(); address.changed(true); });
  reset.addEventListener("click", () => go(root));
  const option = (select, text) => Math.max(0, [...select.options].findIndex((o) => o.text === text));
  address.add((name) => name.startsWith("flame"), (to) => {
    if (who.selectedIndex > 0) to.set("flame", who.selectedOptions[0].text);
    if (what.selectedIndex > 0) to.set("flame-of", what.selectedOptions[0].text);
    if (find.value) to.set("flame-find", find.value);
    for (const name of pathOf(zoom)) to.append("flame-at", name);
  }, (from) => {
    who.selectedIndex = option(who, from.get("flame"));
    what.selectedIndex = option(what, from.get("flame-of"));
    find.value = from.get("flame-find") || "";
    again(from.getAll("flame-at"));
  });
};

// --- tabs
for (const name of new Set($$(".tabs > input[type=radio]").map((i) => i.name))) {
  const tabs = $$(".tabs > input[type=radio]").filter((i) => i.name === name);
  const first = tabs.find((i) => i.defaultChecked) || tabs[0];
  for (const tab of tabs) tab.addEventListener("change", () => address.changed());
  address.add(name, (to) => {
    const tab = tabs.find((i) => i.checked);
    if (tab && tab !== first) to.set(name, tab.value);
  }, (from) => { (tabs.find((i) => i.value === from.get(name)) || first).checked = true; });
}

// --- what is folded away
const folds = [];
for (const section of $$("section[id]")) {
  $$("details", section).forEach((d, i) => folds.push({ d, name: section.id + "." + i, open: d.open }));
}
let printing = false;
for (const { d } of folds) d.addEventListener("toggle", () => { if (!printing) address.changed(); });
address.add((name) => name === "open" || name === "shut", (to) => {
  for (const f of folds) if (f.d.open !== f.open) to.append(f.d.open ? "open" : "shut", f.name);
}, (from) => {
  const open = new Set(from.getAll("open")), shut = new Set(from.getAll("shut"));
  for (const f of folds) f.d.open = open.has(f.name) || f.open && !shut.has(f.name);
});
// On paper nothing can be opened.
addEventListener("afterprint", () => { printing = false; });
addEventListener("beforeprint", () => {
  printing = true;
  for (const d of $$("details:not([open])")) {
    d.open = true;
    addEventListener("afterprint", () => { d.open = false; }, { once: true });
  }
});

// --- filters
for (const form of $$("form.filters")) {
  form.classList.add("auto");
  const go = (e) => {
    e.preventDefault();
    const to = new URLSearchParams();
    // A choice that says nothing needs no place in the address.
    for (const [name, value] of new FormData(form)) if (value !== "") to.append(name, value);
    const q = String(address.keep(to));
    location.assign((form.getAttribute("action") || location.pathname) + (q && "?" + q));
  };
  form.addEventListener("change", go);
  form.addEventListener("submit", go);
  // A page that is shown again as it was left has a choice that led away from it.
  addEventListener("pageshow", (e) => { if (e.persisted) form.reset(); });
}
for (const a of $$("a[data-keep]")) {
  a.addEventListener("click", () => { a.search = "?" + address.keep(new URLSearchParams(a.search)); });
}

// --- notes
for (const form of $$("form.noteform")) {
  form.addEventListener("submit", () => {
    form.closest("details").open = false; // as it is when the note is kept
    const q = String(address.keep(new URLSearchParams(location.search)));
    form.elements.back.value = location.pathname + (q && "?" + q);
  });
}

// --- the list of runs
const runs = () => {
  const table = $("#runs");
  if (!table) return;
  const form = $("#compare-form"), button = $("#compare-button"), hint = $("#compare-hint");
  const picked = () => $$("input[name=run]:checked", table).map((i) => i.value);
  const update = () => {
    const n = picked().length;
    button.disabled = n < 2;
    hint.textContent = n === 0 ? "Tick two runs or more to compare them." : n === 1 ? "One more." : n + " runs: the oldest is the base.";
  };
  form.addEventListener("change", () => { update(); address.changed(true); });
  address.add("run", (to) => { for (const id of picked()) to.append("run", id); }, (from) => {
    const ids = new Set(from.getAll("run"));
    for (const box of $$("input[name=run]", table)) box.checked = ids.has(box.value);
    update();
  });
  let known = table.dataset.version;
  const poll = async () => {
    try {
      const r = await fetch("/version", { cache: "no-store" });
      if (!r.ok) return;
      const version = (await r.text()).trim();
      if (version === known) return;
      const html = await (await fetch(location.href, { cache: "no-store" })).text();
      const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("#runs");
      if (!fresh) return;
      const ticked = new Set(picked()), old = new Set($$("tr[data-run]", table).map((r) => r.dataset.run));
      known = version;
      $("tbody", table).replaceChildren(...fresh.querySelector("tbody").children);
      for (const row of $$("tr[data-run]", table)) {
        if (!old.has(row.dataset.run)) row.classList.add("new");
        const box = $("input[name=run]", row);
        if (box && ticked.has(box.value)) box.checked = true;
      }
      $("#runs-status").textContent = "The list has changed.";
      update();
    } catch (e) { /* the server has gone: nothing to show */ }
  };
  setInterval(poll, 1500);
};

const source = $("#data");
if (source) {
  const data = JSON.parse(source.textContent);
  charts(data.plots || []);
  if (data.flame) flame(data.flame, data.phases || []);
}
runs();
address.ready();
})();
