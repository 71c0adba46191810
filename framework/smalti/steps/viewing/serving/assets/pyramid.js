// Which pixels are needed for the view, and which are there: the overview first, then tiles of the level that
// the zoom asks for. The old picture stays until the new one is fit to be seen.

import { about, pixels } from "./api.js";

const AHEAD = 2; // frames that are fetched before a key asks for them
const PATIENCE = 200; // ms that a new picture waits for its tiles before the overview is shown alone

export class Pyramid {
  constructor(app) {
    this.app = app;
    this.shown = null; // { key, roll, overview, tiles: Map }
    this.ticket = 0;
    this.lastFrame = null;
  }

  get words() {
    const { frame, sum, how, pool } = this.app.state.values;
    return { frame: frame - 1, n: sum, how, pool, ...this.app.tuning.picture };
  }

  get key() {
    return JSON.stringify(this.words);
  }

  get level() {
    const roll = this.app.camera.roll;
    const dpr = this.app.ratio;
    const wanted = Math.floor(Math.log2(1 / (this.app.camera.zoom * dpr)) + 0.05);
    return Math.max(0, Math.min(roll.overview, wanted));
  }

  // Names of the tiles of the level that are on the screen.
  wanted() {
    const { camera, session } = this.app;
    const level = this.level;
    if (level === camera.roll.overview) return [];
    const step = session.tile << level;
    const names = new Map();
    for (const patch of camera.patches) {
      const seen = camera.seen(patch);
      if (!seen) continue;
      const [left, top, right, bottom] = seen;
      for (let row = Math.floor(top / step); row * step < bottom; row += 1)
        for (let column = Math.floor(left / step); column * step < right; column += 1)
          names.set(`${level}:${column}:${row}`, { level, column, row });
    }
    return [...names.entries()];
  }

  // Bring what the present view needs; resolves when it is drawn.
  async update() {
    const words = this.words;
    const { key } = this;
    const ticket = (this.ticket += 1);
    if (this.shown && this.shown.key === key) return this.fill(this.shown, words);
    const step = this.lastFrame === null ? 1 : Math.sign(words.frame - this.lastFrame) || 1;
    this.lastFrame = words.frame;
    const { roll } = this.app.camera;
    const next = { key, roll, overview: null, tiles: new Map() };
    const tiles = this.fill(next, words, true);
    tiles.catch(() => {}); // what is wrong with a frame is told once, by its overview
    const base = await pixels({ ...words, level: roll.overview }, step).catch((error) => this.lose(ticket, error));
    next.overview = { ...base, level: roll.overview, x: 0, y: 0 };
    if (this.wanted().length) await Promise.race([tiles, new Promise((done) => setTimeout(done, PATIENCE))]);
    if (ticket !== this.ticket) return undefined; // the user has gone on
    this.release(this.shown);
    this.shown = next;
    this.app.hush();
    this.app.redraw();
    requestAnimationFrame(() => setTimeout(() => this.fetchAhead(words, step, ticket)));
    return tiles;
  }

  // Ask for the picture of the first view before there is anything to draw it with.
  begin() {
    const { words } = this;
    for (const work of [about(words), pixels({ ...words, level: this.app.camera.roll.overview }, 1)]) work.catch(() => {});
  }

  // What the next keys in the same direction would ask for, one frame after the other, until the user turns.
  async fetchAhead(words, step, ticket) {
    const { roll } = this.app.camera;
    for (let k = 1; k <= AHEAD; k += 1) {
      const frame = words.frame + k * step;
      // A finder's pictures take too long to be made for nobody.
      if (ticket !== this.ticket || words.map || frame < roll.first || frame >= roll.first + roll.count) return;
      const then = { ...words, frame };
      const tiles = this.wanted().map(([, place]) => pixels({ ...then, ...place }));
      await Promise.allSettled([about(then), pixels({ ...then, level: roll.overview }, step), ...tiles]);
    }
  }

  // A frame that cannot be had leaves nothing: the picture of another would be taken for it.
  lose(ticket, error) {
    if (ticket === this.ticket) {
      this.release(this.shown);
      this.shown = null;
      document.getElementById("title").textContent = `frame ${this.app.values.frame} cannot be shown`;
      this.app.redraw();
    }
    throw error;
  }

  async fill(target, words, silent = false) {
    const missing = this.wanted().filter(([name]) => !target.tiles.has(name));
    await Promise.all(missing.map(async ([name, { level, column, row }]) => {
      const found = await pixels({ ...words, level, column, row });
      const step = this.app.session.tile << level;
      target.tiles.set(name, { ...found, level, x: column * step, y: row * step });
      if (!silent || this.shown === target) this.app.redraw();
    }));
  }

  // What is to be drawn, coarse first: { data, width, height, level, x, y, ... } in pixels of the raw frame.
  drawn() {
    if (!this.shown) return [];
    const fine = this.wanted().map(([name]) => this.shown.tiles.get(name)).filter(Boolean);
    return [this.shown.overview, ...fine];
  }

  release(old) {
    if (!old) return;
    for (const part of [old.overview, ...old.tiles.values()]) this.app.painter.forget(part);
  }

  // Count of a pixel of the raw frame where full pixels are there: a number, a code (negative), or null.
  value(x, y) {
    const { tile } = this.app.session;
    const level0 = this.shown?.roll.overview === 0 ? this.shown.overview
      : this.shown?.tiles.get(`0:${Math.floor(x / tile)}:${Math.floor(y / tile)}`);
    if (!level0) return null;
    const value = level0.data[(y - level0.y) * level0.width + (x - level0.x)];
    return value === undefined ? null : { value, code: value - level0.lowest, divisor: level0.divisor };
  }
}
