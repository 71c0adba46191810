// What is drawn over the picture, fetched when it is wanted and the frame is there to stay.

import { ask, bytes } from "./api.js";

export const RINGS = ["resolution", "ice", "cell"];
export const FROM_TABLES = ["spots", "indexed", "outliers", "arrows"];

export class Layers {
  constructor(app) {
    this.app = app;
    this.data = {}; // name -> { key, value }
    this.threshold = { strong: 0, command: "" };
  }

  get(name) {
    return this.data[name]?.value ?? null;
  }

  // Fetch what is shown and not there; what belongs to other frames is not shown meanwhile.
  async update() {
    const { state, session, camera } = this.app;
    const shown = state.layers;
    const { frame, sum, how, which } = state.values;
    const shot = { frame: frame - 1, n: sum, how };
    const wanted = [];
    if (session.tables.length && FROM_TABLES.some((name) => shown.has(name))) wanted.push(["spots", shot]);
    if (shown.has("predicted") && camera.roll.lattices) wanted.push(["predicted", { ...shot, which }]);
    for (const kind of RINGS) {
      if (shown.has(kind) && camera.width > 1) wanted.push([kind, { frame: camera.roll.first, kind, which, ...camera.view }]);
    }
    const work = wanted.map(([name, words]) => this.fetch(name, words));
    if (shown.has("threshold")) work.push(this.fetchThreshold(shot));
    await Promise.all(work);
  }

  // Ask for a layer unless it is there or on its way; resolves when it is there.
  fetch(name, words) {
    const key = JSON.stringify(words);
    const old = this.data[name];
    if (old?.key === key) return old.promise;
    const entry = { key, value: null };
    if (RINGS.includes(name) && old) entry.value = old.value; // rings hardly move from one set to the next
    this.data[name] = entry;
    entry.promise = this.fill(name, entry, words);
    return entry.promise;
  }

  async fill(name, entry, words) {
    try {
      entry.value = await ask(RINGS.includes(name) ? "rings" : name, words);
    } catch (error) {
      if (this.data[name] === entry) delete this.data[name];
      throw error;
    }
    if (this.data[name] !== entry) return;
    this.app.redraw(false);
    if (name === "cell" && !entry.value.length) this.app.say("No ring of the cell can be told from the next here: zoom in, or go towards the beam.");
  }

  async fetchThreshold(shot) {
    const words = { ...shot, ...this.app.tuning.words };
    const key = JSON.stringify(words);
    if (this.data.threshold?.key === key) return;
    const entry = { key, value: null };
    this.data.threshold = entry;
    try {
      const { data, headers } = await bytes("threshold", words);
      if (this.data.threshold !== entry) return;
      const width = Number(headers.get("X-Shape").split(",")[1]);
      entry.value = placed(data, width, this.app.camera);
      this.threshold.strong = Number(headers.get("X-Strong"));
      this.threshold.command = headers.get("X-Command");
      this.app.controls.showThreshold();
    } catch (error) {
      if (this.data.threshold === entry) delete this.data.threshold;
      throw error;
    }
    this.app.redraw(false);
  }
}

// Strong pixels as [panel, x, y, panel, x, y ...], x and y on the panel.
function placed(marks, width, camera) {
  const { panels } = camera.detector;
  const found = [];
  panels.forEach(({ window: [x0, y0, w, h] }, panel) => {
    for (let y = 0; y < h; y += 1) {
      const row = (y0 + y) * width + x0;
      let at = marks.indexOf(1, row);
      while (at !== -1 && at < row + w) {
        found.push(panel, at - row, y);
        at = marks.indexOf(1, at + 1);
      }
    }
  });
  return Float32Array.from(found);
}
