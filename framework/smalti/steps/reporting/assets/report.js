"use strict";
// The page is complete without this script; it switches layers of the map, shows a panel's figures, sorts tables.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  // Panels come as columns, which are shorter than rows.
  const columns = data.panels;
  data.panels = columns.panel.map((_, k) => Object.fromEntries(Object.keys(columns).map(key => [key, columns[key][k]])));
  const map = data.map, LEVELS = 6, NEEDLE = 0.13, LEAST = 6;
  const [left, top, right, bottom] = map.bounds, least = LEAST / 1000 * Math.max(right - left, bottom - top);
  const layers = Object.fromEntries(map.layers.map(layer => [layer.key, layer]));
  const svg = document.getElementById("map");
  const rects = [...svg.querySelectorAll("#cells rect")];
  const outlines = [...svg.querySelectorAll("#outlines rect")];
  const arrows = [...svg.querySelectorAll("#arrows path")];
  const state = { layer: "rms", when: "after", arrows: "residuals" };
  document.body.classList.remove("noscript");
  // A view can be sent: report.html#layer=x&when=before
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) if (key in state) state[key] = value;
  if (!layers[state.layer]) state.layer = "rms";

  const shade = (value, layer) => {
    if (value === null || value === undefined) return "none";
    const step = Math.min(LEVELS, Math.floor(Math.abs(value) / layer.limit * LEVELS + 0.5));
    if (layer.kind === "sequential") return "s" + step;
    return step === 0 ? "z0" : (value > 0 ? "p" : "m") + step;
  };
  const show = (value, digits = 3) => {
    if (value === null || value === undefined) return "–";
    const text = Number.isInteger(value) ? value.toLocaleString("en") : String(Number(value.toPrecision(digits)));
    return text.replace("-", "−");
  };

  function paint() {
    const layer = layers[state.layer];
    const values = layer[state.when] || layer.after;
    rects.forEach((rect, k) => rect.setAttribute("class", shade(values[k], layer)));
    const vectors = map.vectors[state.when] || map.vectors.after, scale = map.vectors.magnification / 1000;
    arrows.forEach((arrow, k) => {
      const [dx, dy] = vectors[k], [x, y] = map.middles[k];
      const half = NEEDLE * Math.min(1, map.vectors.key_um / Math.max(Math.hypot(dx, dy), 1e-9));
      const u = dx * scale, v = dy * scale, a = -half * v, b = half * u;
      arrow.setAttribute("d", dx === null || Math.hypot(u, v) < least ? "" : `M${x + a} ${y + b}L${x + u} ${y + v}L${x - a} ${y - b}Z`);
    });
    document.getElementById("arrows").classList.toggle("off", state.arrows !== "residuals");
    document.getElementById("moves").classList.toggle("off", state.arrows !== "moves");
    document.querySelectorAll("[data-set]").forEach(button => {
      const [key, value] = button.dataset.set.split("=");
      button.setAttribute("aria-pressed", String(state[key] === value));
    });
    legend(layer);
  }

  function legend(layer) {
    const names = [];
    for (let k = -LEVELS; k <= LEVELS; k++) {
      if (layer.kind === "sequential") { if (k >= 0) names.push("s" + k); }
      else names.push(k === 0 ? "z0" : (k > 0 ? "p" : "m") + Math.abs(k));
    }
    const bar = document.querySelector("#legend svg"), pattern = bar.firstElementChild;
    bar.setAttribute("viewBox", `0 0 ${names.length} 1`);
    bar.replaceChildren(...names.map((name, k) => {
      const rect = pattern.cloneNode();
      rect.setAttribute("x", k);
      rect.setAttribute("class", name);
      return rect;
    }));
    document.getElementById("low").textContent = layer.kind === "sequential" ? "0" : `≤ ${show(-layer.limit)}`;
    document.getElementById("high").textContent = `≥ ${show(layer.limit)} ${layer.unit}`;
    document.getElementById("what").textContent = layer.label;
    const key = state.arrows === "moves" ? map.displacements : map.vectors;
    document.getElementById("scale").textContent = state.arrows === "none" || !key ? "" :
      `${state.arrows === "moves" ? "Displacement" : "Mean residual"} arrows magnified ${show(key.magnification)} times.`;
  }

  const readout = document.getElementById("readout");
  const third = { phi: "φ", DeltaPsi: "ΔΨ", mixed: "φ, ΔΨ" }[data.third];
  const triple = (values, digits) => values ? values.map(v => show(v, digits)).join(", ") : "–";
  // As in the tables: two digits of the ESD, and as many of the value as that leaves.
  const estimate = (value, esd) => {
    if (value === null || !(esd > 0)) return show(value);
    const places = Math.max(0, 1 - Math.floor(Math.log10(Number(esd.toPrecision(2)))));
    return `${(Math.round(value * 10 ** places) / 10 ** places + 0).toFixed(places)} ± ${esd.toFixed(places)}`.replace("-", "−");
  };
  let pinned = -1;

  function figures(row) {
    const lines = [
      ["used / free / rejected", [row.used, row.free, row.rejected].map(n => show(n)).join(" / ")],
      ["RMSD X, Y (µm)", triple(row.rmsd.slice(0, 2))],
      ["RMSD X, Y (px)", triple(row.rmsd_px.slice(0, 2))],
      [`RMSD ${third} (mdeg)`, show(row.rmsd[2])],
      ["mean X, Y (µm)", triple(row.mean.slice(0, 2))],
    ];
    if (row.rmsd_before) lines.splice(1, 0, ["RMSD before (µm)", triple(row.rmsd_before.slice(0, 2))]);
    if (row.rmsd_free) lines.push(["RMSD free (µm)", triple(row.rmsd_free.slice(0, 2))]);
    if (row.chi2 !== null) lines.push(["chi² of X and Y", show(row.chi2)]);
    const axes = ["fast", "slow", "normal"];
    for (const [word, values, esds, unit] of [["moved", row.displacement_um, row.displacement_esd_um, "µm"], ["turned", row.turn_mrad, row.turn_esd_mrad, "mrad"]])
      if (values) axes.forEach((axis, k) => lines.push([`${word} ${axis} (${unit})`, estimate(values[k], esds && esds[k])]));
    if (row.prior_share !== null) lines.push(["share of the prior", show(row.prior_share, 2)]);
    if (row.note) lines.push(["note", row.note]);
    return lines;
  }

  function read(k) {
    const row = data.panels[k], list = document.createElement("dl");
    outlines.forEach((outline, n) => outline.classList.toggle("on", n === k));
    for (const [term, text] of figures(row)) {
      list.appendChild(document.createElement("dt")).textContent = term;
      list.appendChild(document.createElement("dd")).textContent = text;
    }
    const head = document.createElement("h3"), link = document.createElement("a");
    head.textContent = `Panel ${row.panel} (${row.name})`;
    link.href = "#panel-" + k;
    link.textContent = "its row in the table";
    link.addEventListener("click", event => { event.preventDefault(); toRow(k); });
    readout.replaceChildren(head, list, ...(document.getElementById("panel-" + k) ? [link] : []));
    readout.hidden = false;
    // On a narrow screen it is above or below the panel.
    readout.classList.toggle("above", outlines[k].getBoundingClientRect().y > innerHeight / 2);
  }

  function release() {
    pinned = -1;
    readout.hidden = true;
    outlines.forEach(outline => outline.classList.remove("on"));
  }

  function pin(k) {
    if (pinned === k) { release(); return; }
    read(k);
    pinned = k;
  }

  function toRow(k) {
    document.querySelectorAll("tr.on").forEach(row => row.classList.remove("on"));
    const row = document.getElementById("panel-" + k);
    release();
    row.classList.add("on");
    row.scrollIntoView({ block: "center" });
    row.querySelector("a").focus({ preventScroll: true });
  }

  function toPanel(k) {
    svg.scrollIntoView({ block: "center" });
    reach(k);
    pinned = k;
  }

  function reach(k) {
    outlines.forEach(outline => { outline.tabIndex = -1; });
    outlines[k].tabIndex = 0;
    outlines[k].focus({ preventScroll: true });
    read(k);
  }

  function neighbour(k, dx, dy) {
    const middle = n => { const b = outlines[n].getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; };
    const [x, y] = middle(k);
    let best = k, least = Infinity;
    for (let n = 0; n < outlines.length; n++) {
      const [u, v] = middle(n), along = (u - x) * dx + (v - y) * dy, across = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
      if (along > 1 && along + 3 * across < least) { least = along + 3 * across; best = n; }
    }
    return best;
  }
  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  outlines.forEach((outline, k) => {
    const row = data.panels[k];
    outline.id = "outline-" + k;
    outline.tabIndex = k === 0 ? 0 : -1;
    outline.setAttribute("role", "button");
    outline.setAttribute("aria-label", `panel ${k} (${row.name}): ${show(row.used)} reflections used` +
      (row.used ? `, RMSD ${show(row.rmsd[0])} and ${show(row.rmsd[1])} µm` : ""));
    // Figures that came up under a finger before its click would take the click away from the panel.
    outline.addEventListener("pointerenter", event => { if (pinned < 0 && event.pointerType === "mouse") read(k); });
    outline.addEventListener("focus", () => { if (pinned < 0 && outline.matches(":focus-visible")) read(k); });
    outline.addEventListener("click", () => pin(k));
    outline.addEventListener("keydown", event => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        pin(k);
        if (pinned === k) readout.querySelector("a")?.focus();
      }
      if (!STEPS[event.key]) return;
      event.preventDefault();
      pinned = -1;
      reach(neighbour(k, ...STEPS[event.key]));
    });
  });
  svg.addEventListener("pointerleave", event => { if (pinned < 0 && event.pointerType === "mouse") release(); });
  svg.addEventListener("focusout", event => { if (pinned < 0 && !svg.contains(event.relatedTarget)) release(); });
  document.addEventListener("keydown", event => {
    if (event.key !== "Escape" || readout.hidden) return;
    const back = pinned;
    release();
    if (back >= 0) outlines[back].focus({ preventScroll: true });
  });
  document.querySelectorAll("table.panels tbody a").forEach(link => link.addEventListener("click", event => {
    event.preventDefault();
    toPanel(Number(link.textContent));
  }));

  document.querySelectorAll("[data-set]").forEach(button => button.addEventListener("click", () => {
    const [key, value] = button.dataset.set.split("=");
    state[key] = value;
    history.replaceState(null, "", "#" + new URLSearchParams(state));
    paint();
  }));
  document.addEventListener("keydown", event => {
    if (event.key !== "b" || event.ctrlKey || event.metaKey || !map.vectors.before) return;
    state.when = state.when === "after" ? "before" : "after";
    paint();
  });

  // What a cell is worth is what it shows: without separators, before its ESD.
  const figure = text => text === "–" || text === "" ? NaN : Number(text.split(" ±")[0].replaceAll(",", "").replaceAll("−", "-"));
  const worth = cell => cell.classList.contains("n") ? figure(cell.textContent) : cell.textContent;
  document.querySelectorAll("table.sortable").forEach(table => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const x = worth(a.cells[column]), y = worth(b.cells[column]);
        if (typeof x === "string" || typeof y === "string") return (up ? 1 : -1) * String(x).localeCompare(String(y));
        if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
        return up ? x - y : y - x;
      });
      body.append(...rows);
    }));
  });
  paint();
})();
