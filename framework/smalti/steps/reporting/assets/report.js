"use strict";
// The page is complete without this script; it switches layers of the map, shows a panel's figures, sorts tables.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const map = data.map, LEVELS = 6, NEEDLE = 0.13;
  const layers = Object.fromEntries(map.layers.map(layer => [layer.key, layer]));
  const svg = document.getElementById("map");
  const rects = [...svg.querySelectorAll("#cells rect")];
  const outlines = [...svg.querySelectorAll(".outline")];
  const arrows = [...svg.querySelectorAll(".a")];
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
      const u = dx * scale, v = dy * scale, a = -NEEDLE * v, b = NEEDLE * u;
      arrow.setAttribute("d", dx === null ? "" : `M${x + a} ${y + b}L${x + u} ${y + v}L${x - a} ${y - b}Z`);
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
    document.getElementById("low").textContent = layer.kind === "sequential" ? "0" : show(-layer.limit);
    document.getElementById("high").textContent = `${show(layer.limit)} ${layer.unit}`;
    document.getElementById("what").textContent = layer.label;
    const key = state.arrows === "moves" ? map.displacements : map.vectors;
    document.getElementById("scale").textContent = state.arrows === "none" || !key ? "" :
      `${state.arrows === "moves" ? "Displacement" : "Mean residual"} arrows magnified ${show(key.magnification)} times.`;
  }

  const triple = (values, digits) => values ? values.map(v => show(v, digits)).join(", ") : "–";
  function read(k) {
    const row = data.panels[k];
    outlines.forEach(outline => outline.classList.toggle("on", Number(outline.dataset.panel) === k));
    const lines = [
      ["used / rejected", `${show(row.used)} / ${show(row.rejected)}`],
      ["mean X, Y (µm)", triple(row.mean.slice(0, 2))],
      ["RMSD X, Y (µm)", triple(row.rmsd.slice(0, 2))],
      ["RMSD X, Y (px)", triple(row.rmsd_px.slice(0, 2))],
      [`RMSD ${data.third === "phi" ? "φ" : "ΔΨ"} (mdeg)`, show(row.rmsd[2])],
    ];
    if (row.rmsd_before) lines.push(["RMSD before (µm)", triple(row.rmsd_before.slice(0, 2))]);
    if (row.displacement_um) lines.push(["moved f, s, n (µm)", triple(row.displacement_um)]);
    if (row.displacement_esd_um) lines.push(["  its ESD (µm)", triple(row.displacement_esd_um, 2)]);
    if (row.turn_mrad) lines.push(["turned f, s, n (mrad)", triple(row.turn_mrad)]);
    if (row.turn_esd_mrad) lines.push(["  its ESD (mrad)", triple(row.turn_esd_mrad, 2)]);
    if (row.prior_share !== null) lines.push(["share of the prior", show(row.prior_share, 2)]);
    if (row.note) lines.push(["note", row.note]);
    const list = document.createElement("dl");
    for (const [term, text] of lines) {
      list.appendChild(document.createElement("dt")).textContent = term;
      list.appendChild(document.createElement("dd")).textContent = text;
    }
    const head = document.createElement("h3");
    head.textContent = `Panel ${row.panel} (${row.name})`;
    document.getElementById("readout").replaceChildren(head, list);
  }

  function toRow(k) {
    document.querySelectorAll("tr.on").forEach(row => row.classList.remove("on"));
    const row = document.getElementById("panel-" + k);
    row.classList.add("on");
    row.scrollIntoView({ block: "center" });
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
    outline.addEventListener("mouseenter", () => read(k));
    outline.addEventListener("focus", () => read(k));
    outline.addEventListener("click", () => toRow(k));
    outline.addEventListener("keydown", event => {
      if (event.key === "Enter") toRow(k);
      if (!STEPS[event.key]) return;
      event.preventDefault();
      const next = neighbour(k, ...STEPS[event.key]);
      outline.tabIndex = -1;
      outlines[next].tabIndex = 0;
      outlines[next].focus({ preventScroll: true });
    });
  });

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

  const worth = cell => cell.classList.contains("n") ? (cell.dataset.v === "" ? NaN : Number(cell.dataset.v)) : cell.textContent;
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
