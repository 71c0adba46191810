// The line at the foot of the page: what is under the cursor. One question at a time, the last place counts.

import { ask } from "./api.js";
import { COUNTS } from "./tuning.js";

export class Probe {
  constructor(app, line) {
    this.app = app;
    this.line = line;
    this.next = null;
    this.busy = false;
    this.told = null;
    this.leave();
  }

  at(sx, sy) {
    const [vx, vy] = this.app.camera.fromScreen(sx, sy);
    const raw = this.app.camera.toRaw(vx, vy);
    this.next = raw;
    this.last = [sx, sy];
    if (!raw) this.leave();
    else if (!this.busy) this.run();
  }

  // Ask again for the same place: the frame has changed.
  again() {
    if (this.last && this.next) this.at(...this.last);
  }

  async run() {
    this.busy = true;
    while (this.next) {
      const [x, y] = this.next;
      const here = this.next;
      const { frame, sum, how, which } = this.app.state.values;
      const { picture } = this.app.tuning;
      try {
        const told = await ask("probe", { frame: frame - 1, n: sum, how, which, ...picture, x: x.toFixed(3), y: y.toFixed(3) });
        if (this.next) this.show(told, x, y);
      } catch { /* the page says elsewhere that the server is away */ }
      if (here === this.next) break;
    }
    this.busy = false;
  }

  leave() {
    this.next = null;
    this.line.replaceChildren(word("", "Point at the picture; ? shows the keys.", "quiet"));
  }

  show(told, x, y) {
    this.told = told;
    const { map } = this.app.state.values;
    const number = typeof told.value === "number";
    const value = !number ? told.value : map === COUNTS ? count(told.value) : `${map} ${Number(told.value.toFixed(3))}`;
    const parts = [word("", value, "count")];
    if (told.panel !== undefined) {
      parts.push(word("panel", `${told.panel} ${told.name}`), word("fast, slow", `${told.px[0].toFixed(1)}, ${told.px[1].toFixed(1)} px`));
      parts.push(word("", `${told.mm[0].toFixed(3)}, ${told.mm[1].toFixed(3)} mm`));
      parts.push(word("d", told.d === null ? "beam" : `${told.d.toFixed(told.d < 10 ? 3 : 1)} Å`), word("2θ", `${told.two_theta.toFixed(3)}°`));
      if (told.angle !== null) parts.push(word("φ", `${told.angle.toFixed(2)}°`));
      parts.push(...spot(told));
    }
    parts.push(word("image", `${Math.floor(x)}, ${Math.floor(y)}`));
    this.line.replaceChildren(...parts);
  }

  // The line as text, for the clipboard.
  get text() {
    return [...this.line.children].map((item) => item.textContent).join("  ");
  }
}

function spot(told) {
  const near = told.spot;
  if (near && near.kind !== "spots") {
    const [dx, dy] = near.residual;
    const off = dx === null ? "" : `  (${signed(dx)}, ${signed(dy)} px calc − obs)`;
    return [word(near.kind === "outliers" ? "outlier" : "hkl", near.hkl.join(" ") + off)];
  }
  const lattice = told.hkl_here[0];
  const here = lattice ? [word("h k l here", lattice.hkl.map((value) => value.toFixed(2)).join(" "))] : [];
  return near ? [word("spot", `${near.away} px away`), ...here] : here;
}

function word(label, text, style = "") {
  const item = document.createElement("span");
  item.className = style;
  if (label) {
    const name = document.createElement("b");
    name.textContent = label;
    item.append(name);
  }
  item.append(text);
  return item;
}

function signed(value) {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
}

function count(value) {
  return value === 1 ? "1 count" : `${Number.isInteger(value) ? value : value.toFixed(3)} counts`;
}
