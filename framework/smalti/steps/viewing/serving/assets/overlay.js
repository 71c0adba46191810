// Lines, marks and words over the picture, on a canvas of their own.

import { RINGS } from "./layers.js";

const VALUES_FROM = 26; // screen px a pixel must have for its count to be written in it
const INDICES_FROM = 3;
const LEAST_MARK = 5;
const MOST_VALUES = 6000;

export class Overlay {
  constructor(app, canvas) {
    this.app = app;
    this.context = canvas.getContext("2d");
    this.labels = [];
  }

  draw() {
    const { context, app } = this;
    const { ratio } = app;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, context.canvas.width, context.canvas.height);
    context.lineJoin = "round";
    const shown = app.state.layers;
    if (app.camera.zoom >= VALUES_FROM) this.values();
    if (shown.has("threshold")) this.threshold();
    if (shown.has("panels") || shown.has("names")) this.panels(shown);
    for (const kind of RINGS) if (shown.has(kind)) this.rings(kind);
    if (shown.has("predicted")) this.predicted();
    this.spots(shown);
    this.regions();
    this.beam(shown);
    for (const label of this.labels) this.letters(...label); // last, so that no mark hides them
    this.labels = [];
  }

  ink(name, alpha = 1) {
    const [r, g, b] = this.app.session.inks[name];
    return `rgb(${r} ${g} ${b} / ${alpha})`;
  }

  // Lines are drawn twice, so that they stand out on light and dark.
  stroke(name, width = 1.5) {
    const { context } = this;
    context.strokeStyle = this.app.colouring.light ? "rgb(255 255 255 / .55)" : "rgb(0 0 0 / .45)";
    context.lineWidth = width + 1.6;
    context.stroke();
    context.strokeStyle = this.ink(name);
    context.lineWidth = width;
    context.stroke();
  }

  onScreen(x, y, margin = 30) {
    const { width, height } = this.app.camera;
    return x > -margin && y > -margin && x < width + margin && y < height + margin;
  }

  words(...label) {
    this.labels.push(label);
  }

  letters(text, x, y, name, align = "left") {
    const { context } = this;
    context.textAlign = align;
    context.font = "11px system-ui, sans-serif";
    context.lineWidth = 3;
    context.strokeStyle = this.app.colouring.light ? "rgb(255 255 255 / .85)" : "rgb(0 0 0 / .75)";
    context.strokeText(text, x, y);
    const ground = this.app.colouring.light ? "light" : "dark";
    context.fillStyle = `rgb(${this.app.session.word_inks[ground][name].join(" ")})`;
    context.fillText(text, x, y);
  }

  panels(shown) {
    const { context, app } = this;
    const { camera } = app;
    const { panels } = camera.detector;
    context.beginPath();
    panels.forEach(({ window: [, , w, h] }, k) => {
      const corners = [[0, 0], [w, 0], [w, h], [0, h]].map(([x, y]) => camera.panelToScreen(k, x, y));
      if (shown.has("panels")) {
        corners.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
        context.closePath();
      }
    });
    if (shown.has("panels")) this.stroke("panels", 1);
    if (!shown.has("names")) return;
    panels.forEach(({ name, window: [, , w, h] }, k) => {
      const corners = [[0, 0], [w, 0], [w, h], [0, h]].map(([x, y]) => camera.panelToScreen(k, x, y));
      const x = Math.min(...corners.map((c) => c[0])), y = Math.min(...corners.map((c) => c[1]));
      const wide = Math.max(...corners.map((c) => c[0])) - x;
      if (!this.onScreen(x + wide / 2, y, wide) || wide < 26) return;
      const text = wide > 9 * (name.length + 5) ? `${k}  ${name}` : String(k);
      this.words(text, Math.max(x, 0) + 5, Math.max(y, 0) + 14, "names");
    });
  }

  rings(kind) {
    const { context, app } = this;
    const named = [];
    for (const ring of app.layers.get(kind) ?? []) {
      let best = null;
      context.beginPath();
      for (const { panel, px } of ring.pieces) {
        px.forEach(([x, y], k) => {
          const at = app.camera.panelToScreen(panel, x, y);
          if (k) context.lineTo(...at); else context.moveTo(...at);
          if (this.onScreen(at[0], at[1], -40) && (!best || at[1] < best[1])) best = at;
        });
      }
      this.stroke(kind, 1.1);
      // Names that would lie on one another are left out.
      if (!best || named.some(([x, y]) => Math.abs(x - best[0]) < 90 && Math.abs(y - best[1]) < 13)) continue;
      named.push(best);
      this.words(ring.name, best[0], best[1] - 4, kind, "center");
    }
  }

  spots(shown) {
    const found = this.app.layers.get("spots");
    if (!found) return;
    const { camera } = this.app;
    const kinds = ["spots", "indexed", "outliers"];
    const labels = [];
    // Where there are very many, smaller marks leave the picture to be seen.
    const crowd = Math.min(1, Math.max(0.4, Math.sqrt(1500 / found.kind.length)));
    for (const [number, name] of kinds.entries()) {
      if (!shown.has(name)) continue;
      this.context.beginPath();
      found.kind.forEach((kind, k) => {
        if (kind !== number) return;
        const [x, y] = camera.panelToScreen(found.panel[k], found.x[k], found.y[k]);
        const radius = Math.max(LEAST_MARK * crowd, (found.size[k] + 1) * camera.zoom);
        if (!this.onScreen(x, y, radius)) return;
        this.mark(name, x, y, radius);
        if (kind && camera.zoom > INDICES_FROM) labels.push([found.hkl[k].join(" "), x + radius + 3, y - radius, name]);
      });
      this.stroke(name, 1.5 * crowd);
    }
    for (const label of labels.slice(0, 400)) this.words(...label);
    if (shown.has("arrows")) this.arrows(found);
  }

  // A shape for each kind, so that nobody has to tell them by colour.
  mark(name, x, y, r) {
    const { context } = this;
    if (name === "spots") context.rect(x - r, y - r, 2 * r, 2 * r);
    else if (name === "indexed") {
      context.moveTo(x + r, y);
      context.arc(x, y, r, 0, 2 * Math.PI);
    } else if (name === "outliers") {
      context.moveTo(x - r, y - r); context.lineTo(x + r, y + r);
      context.moveTo(x - r, y + r); context.lineTo(x + r, y - r);
    } else {
      context.moveTo(x - r, y); context.lineTo(x + r, y);
      context.moveTo(x, y - r); context.lineTo(x, y + r);
    }
  }

  arrows(found) {
    const { context, app } = this;
    const { camera } = app;
    const { magnify } = app.state.values;
    context.beginPath();
    found.kind.forEach((kind, k) => {
      if (found.dx[k] === null) return;
      const [x, y] = camera.panelToScreen(found.panel[k], found.x[k], found.y[k]);
      const [u, v] = camera.panelToScreen(found.panel[k], found.x[k] + magnify * found.dx[k], found.y[k] + magnify * found.dy[k]);
      if (!this.onScreen(x, y) && !this.onScreen(u, v)) return;
      const length = Math.hypot(u - x, v - y) || 1;
      const [a, b] = [(u - x) / length, (v - y) / length];
      const head = Math.min(6, length / 2);
      context.moveTo(x, y); context.lineTo(u, v);
      context.lineTo(u - head * (a + b * 0.5), v - head * (b - a * 0.5));
      context.moveTo(u, v); context.lineTo(u - head * (a - b * 0.5), v - head * (b + a * 0.5));
    });
    this.stroke("arrows", 1.6);
  }

  predicted() {
    const found = this.app.layers.get("predicted");
    if (!found) return;
    const { camera } = this.app;
    const radius = Math.max(LEAST_MARK, 2 * camera.zoom);
    this.context.beginPath();
    const labels = [];
    found.panel.forEach((panel, k) => {
      const [x, y] = camera.panelToScreen(panel, found.x[k], found.y[k]);
      if (!this.onScreen(x, y)) return;
      this.mark("predicted", x, y, radius);
      if (camera.zoom > INDICES_FROM) labels.push([found.hkl[k].join(" "), x + 4, y + radius + 10, "predicted"]);
    });
    this.stroke("predicted", 1.2);
    for (const label of labels.slice(0, 400)) this.words(...label);
  }

  threshold() {
    const strong = this.app.layers.get("threshold");
    if (!strong) return;
    const { context, app } = this;
    const { camera } = app;
    context.fillStyle = this.ink("threshold", 0.75);
    const side = Math.max(1.6, camera.zoom);
    for (let k = 0; k < strong.length; k += 3) {
      const [x, y] = camera.panelToScreen(strong[k], strong[k + 1] + 0.5, strong[k + 2] + 0.5);
      if (this.onScreen(x, y, side)) context.fillRect(x - side / 2, y - side / 2, side, side);
    }
  }

  values() {
    const { context, app } = this;
    const { camera, pyramid } = app;
    context.font = `${Math.min(14, camera.zoom / 2.6)}px ui-monospace, monospace`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    let written = 0;
    for (const patch of camera.patches) {
      const seen = camera.seen(patch);
      if (!seen) continue;
      const { window: [x0, y0], matrix: m } = patch;
      for (let y = Math.floor(seen[1]); y < seen[3]; y += 1) {
        for (let x = Math.floor(seen[0]); x < seen[2] && written < MOST_VALUES; x += 1) {
          const found = pyramid.value(x, y);
          if (!found || found.code < 4) continue;
          const value = found.value / found.divisor;
          const px = x - x0 + 0.5, py = y - y0 + 0.5;
          const at = camera.toScreen(m[0] * px + m[1] * py + m[4], m[2] * px + m[3] * py + m[5]);
          if (!this.onScreen(...at)) continue;
          context.fillStyle = app.colouring.inkOn(value);
          context.fillText(found.divisor > 1 ? value.toFixed(2) : String(value), ...at);
          written += 1;
        }
      }
    }
    context.textBaseline = "alphabetic";
  }

  regions() {
    const { context, app } = this;
    for (const [points, kind, drawing] of app.regions.visible()) {
      const at = points.map(([x, y]) => app.camera.toScreen(x, y));
      context.beginPath();
      outline(context, kind, at, drawing);
      context.fillStyle = this.ink("regions", 0.25);
      if (kind !== "line") context.fill();
      this.stroke("regions", 1.6);
    }
  }

  beam(shown) {
    const { beam } = this.app.camera.layout;
    if (!beam || !RINGS.some((kind) => shown.has(kind))) return;
    const [x, y] = this.app.camera.toScreen(...beam);
    this.context.beginPath();
    this.mark("beam", x, y, 9);
    this.stroke("resolution", 1.2);
  }
}

function outline(context, kind, at, drawing) {
  if (at.length < 2) return;
  const [[x0, y0], [x1, y1]] = at;
  if (kind === "rectangle") context.rect(Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0));
  else if (kind === "circle") context.arc(x0, y0, Math.hypot(x1 - x0, y1 - y0), 0, 2 * Math.PI);
  else {
    at.forEach(([x, y], k) => (k ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (kind === "polygon" && !drawing) context.closePath();
  }
}
