// Small charts: the histogram with the limits of contrast, the mean count by resolution, the counts along a line.

import { ask, send } from "./api.js";

const NS = "http://www.w3.org/2000/svg";
const BOX = { left: 40, right: 6, top: 8, bottom: 20, width: 290, height: 150 };

export class Charts {
  constructor(app) {
    this.app = app;
    this.places = {};
    this.keys = {};
  }

  get shot() {
    const { frame, sum, how } = this.app.state.values;
    return { frame: frame - 1, n: sum, how, ...this.app.tuning.picture };
  }

  // Draw what is unfolded again; what is folded costs nothing.
  async update() {
    await Promise.all([this.open("histogram") && this.histogram(), this.open("radial") && this.radial(), this.open("line") && this.line()]);
  }

  open(name) {
    return this.places[name]?.closest("details").open;
  }

  async fresh(name) {
    const key = JSON.stringify(this.shot);
    if (this.keys[name]?.key !== key) this.keys[name] = { key, value: ask(name, this.shot) };
    return this.keys[name].value;
  }

  async histogram() {
    const { edges, pixels } = await this.fresh("histogram");
    const points = pixels.map((n, k) => [edges[k], Math.log10(n / Math.max(edges[k + 1] - edges[k], 1e-9) + 1)]);
    const { low, high } = this.app.limits;
    const right = Math.max(high * 1.6, low + 1);
    draw(this.places.histogram, points.filter(([x]) => x <= right), {
      steps: true, x: [Math.min(edges[0], low), right], limits: [low, high], xName: "counts", yName: "log10 pixels",
    });
  }

  async radial() {
    const { q, mean } = await this.fresh("radial");
    draw(this.places.radial, q.map((value, k) => [value, mean[k]]), {
      xName: "d, Å", yName: "mean count", xLabel: (value) => (value > 0 ? (1 / value).toPrecision(2) : "∞"),
    });
  }

  async line() {
    const place = this.places.line;
    if (!this.app.regions.line) {
      note(place, "Press l and draw a line on the picture.");
      return;
    }
    const samples = this.app.regions.samples();
    const inside = samples.filter(({ raw }) => raw);
    if (!inside.length) return;
    const values = await send("line", this.shot, inside.map(({ raw }) => raw.map((value) => Number(value.toFixed(2)))));
    place.closest("details").open = true;
    draw(place, inside.map(({ at }, k) => [at, values[k]]), { xName: "px", yName: "counts" });
  }
}

function note(svg, text) {
  svg.setAttribute("viewBox", `0 0 ${BOX.width} ${BOX.height}`);
  svg.replaceChildren(make("text", { x: BOX.width / 2, y: BOX.height / 2, "text-anchor": "middle" }, text));
}

function make(tag, attributes, text = "") {
  const item = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) item.setAttribute(name, value);
  item.textContent = text;
  return item;
}

function draw(svg, points, { steps = false, x, limits = [], xName, yName, xLabel = short }) {
  const known = points.filter(([, value]) => value !== null);
  if (!known.length) {
    note(svg, "No counts here.");
    return;
  }
  const { left, right, top, bottom, width, height } = BOX;
  const [x0, x1] = x ?? [known[0][0], known[known.length - 1][0]];
  const values = known.map(([, value]) => value);
  const y0 = Math.min(0, ...values), y1 = Math.max(...values, y0 + 1e-9);
  const px = (value) => left + ((value - x0) / (x1 - x0 || 1)) * (width - left - right);
  const py = (value) => height - bottom - ((value - y0) / (y1 - y0)) * (height - top - bottom);
  let path = "", pen = false, before = null;
  for (const [at, value] of points) {
    if (value === null) { pen = false; continue; }
    if (steps && pen) path += `L${px(at).toFixed(1)} ${before}`;
    before = py(value).toFixed(1);
    path += `${pen ? "L" : "M"}${px(at).toFixed(1)} ${before}`;
    pen = true;
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const items = [make("path", { class: "axis", d: `M${left} ${top}V${height - bottom}H${width - right}` })];
  for (const k of [0, 0.5, 1]) {
    const anchor = k === 0 ? "start" : k === 1 ? "end" : "middle";
    items.push(make("text", { x: px(x0 + k * (x1 - x0)), y: height - 7, "text-anchor": anchor }, xLabel(x0 + k * (x1 - x0)) + (k === 0.5 ? `  ${xName}` : "")));
    items.push(make("text", { x: left - 4, y: py(y0 + k * (y1 - y0)) + 3, "text-anchor": "end" }, short(y0 + k * (y1 - y0))));
  }
  items.push(make("text", { x: width - right - 2, y: top + 8, "text-anchor": "end" }, yName));
  for (const value of limits) {
    if (value >= x0 && value <= x1) items.push(make("path", { class: "limit", d: `M${px(value).toFixed(1)} ${top}V${height - bottom}` }));
  }
  items.push(make("path", { class: "curve", d: path }));
  svg.replaceChildren(...items);
}

function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e5 || size < 1e-3) return value.toExponential(0);
  return String(Number(value.toPrecision(3)));
}
