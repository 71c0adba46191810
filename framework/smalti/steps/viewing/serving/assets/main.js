// The page: one object that has all parts, and what the keys and buttons do.

import { about as known } from "./api.js";
import { Camera } from "./camera.js";
import { Charts } from "./charts.js";
import { Colouring } from "./colouring.js";
import { Controls } from "./controls.js";
import { hear } from "./events.js";
import { FlatPainter } from "./flat.js";
import { GlPainter } from "./gl.js";
import { Keys } from "./keys.js";
import { Layers, RINGS } from "./layers.js";
import { Overlay } from "./overlay.js";
import { Pointer } from "./pointer.js";
import { Probe } from "./probe.js";
import { Pyramid } from "./pyramid.js";
import { MASKS, Regions } from "./regions.js";
import { State } from "./state.js";
import { COUNTS, Tuning } from "./tuning.js";

const SHOT = new Set(["frame", "sum", "how", "map", "finder", "tuned"]);
const PICTURE = new Set([...SHOT, "pool", "zoom", "x", "y", "place", "which", "moved"]);
const DATA = new Set([...SHOT, "show", "which"]);
const VIEW = new Set(["zoom", "x", "y", "place"]);

class App {
  constructor(session) {
    this.session = session;
    this.state = new State(session.options);
    this.camera = new Camera(session, this.state);
    this.tuning = new Tuning(this);
    this.pictureCanvas = document.getElementById("picture");
    this.overCanvas = document.getElementById("over");
    this.stage = document.getElementById("stage");
    this.pyramid = new Pyramid(this);
    this.pyramid.begin(); // to make a context of WebGL takes as long as to read a frame
    this.painter = this.makePainter();
    this.about = null;
    this.resting = {};
    this.colouring = new Colouring(this);
    this.auto = { low: 0, high: 10, key: "" };
    this.layers = new Layers(this);
    this.charts = new Charts(this);
    this.regions = new Regions(this);
    this.overlay = new Overlay(this, this.overCanvas);
    this.probe = new Probe(this, document.getElementById("cursor"));
    this.controls = new Controls(this);
    this.keys = new Keys(this, document.getElementById("keys"));
    new Pointer(this, this.stage);
    this.state.listen((changed) => this.changed(changed));
    new ResizeObserver(() => this.resize()).observe(this.stage);
    hear(({ frame }) => this.go(frame));
    this.go(this.values.frame, true);
  }

  get values() { return this.state.values; }
  get ratio() { return window.devicePixelRatio || 1; }

  makePainter() {
    const back = (there) => this.paintAgain(there);
    const made = this.values.painter === "2d" ? null : GlPainter.make(this.pictureCanvas, back);
    return made ?? new FlatPainter(this.pictureCanvas);
  }

  // A context that was lost is there again with nothing in it; where it stays away, a plain canvas has to do.
  paintAgain(there) {
    this.colouring.key = "";
    if (there) this.redraw();
    else this.set({ painter: "2d" });
  }

  // --- what is shown -----------------------------------------------------------------------------------------

  get limits() {
    const { low, high } = this.values;
    return { low: low ?? this.auto.low, high: high ?? this.auto.high };
  }

  set(changes) { this.state.set(changes); }
  changed(changed) {
    if (changed.has("painter")) { this.state.write(); location.reload(); } // a canvas keeps its kind of context
    const has = (names) => [...changed].some((name) => names.has(name));
    if (has(SHOT)) this.guard(this.tellAbout());
    if (has(PICTURE)) this.guard(this.bring());
    if (has(DATA)) this.guard(this.layers.update());
    else if (has(VIEW) && RINGS.some((kind) => this.state.layers.has(kind))) this.later("layers", () => this.layers.update());
    if (changed.has("finder")) this.controls.showFinder();
    if (changed.has("low") || changed.has("high")) this.guard(this.charts.update());
    // Another frame is drawn when it is there; what is drawn over the old one goes at once.
    this.redraw(![...changed].every((name) => SHOT.has(name) || name === "show"));
  }

  // Bring the picture of the present view, with a sign where it takes long.
  async bring() {
    const busy = document.getElementById("busy");
    const timer = setTimeout(() => { busy.hidden = false; }, 250);
    try {
      await this.pyramid.update();
    } finally {
      clearTimeout(timer);
      busy.hidden = true;
    }
  }

  async tellAbout() {
    const { how, map } = this.values;
    const { key: asked, words } = this.pyramid;
    const about = await known(words);
    if (asked !== this.pyramid.key) return; // the user has gone on
    this.about = about;
    // The contrast stays from frame to frame, so that they can be compared, unless it would be wrong.
    const key = `${this.camera.roll.first}:${about.n}:${how}:${map}`;
    const before = this.limits;
    if (this.auto.key !== key || about.high > 2 * this.auto.high || about.high < 0.5 * this.auto.high)
      this.auto = { low: about.low, high: about.high, key };
    const angles = about.angles ? `  φ ${about.angles[0].toFixed(2)}–${about.angles[1].toFixed(2)}°` : "";
    const taken = (about.n > 1 ? `, ${how} of ${about.n}` : "") + (map === COUNTS ? "" : `, ${map}`);
    const title = document.getElementById("title");
    title.textContent = `${about.file.split("/").pop()}  image ${about.image}${taken}${angles}`;
    title.title = about.file;
    document.title = `${about.image}: ${this.camera.roll.name} – smalti`;
    this.controls.show();
    this.probe.again();
    this.redraw(before.low !== this.limits.low || before.high !== this.limits.high || !this.firstPaint);
    // Charts wait until the user does: they would take the time of the next frame.
    this.later("charts", () => this.charts.update());
  }

  later(name, action) {
    clearTimeout(this.resting[name]);
    this.resting[name] = setTimeout(() => (this.firstPaint ? this.guard(action()) : this.later(name, action)), 150);
  }

  // Draw before the screen is next refreshed: all, or only what is over the picture.
  redraw(picture = true) {
    this.stale = this.stale || picture;
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      if (this.stale) this.draw();
      else this.overlay.draw();
    });
  }

  draw() {
    const parts = this.pyramid.drawn();
    if (!this.firstPaint && !(parts.length && this.about)) return; // the first picture is not to wait for an empty one
    this.stale = false;
    const { empty, nothing } = this.colouring.current();
    const { low, high } = this.limits;
    this.painter.draw({
      centre: this.camera.centre, zoom: this.camera.zoom * this.ratio, low, high, scale: this.values.scale,
      empty, nothing, parts: this.about ? parts : [], patches: this.camera.patches,
    });
    this.overlay.draw();
    document.body.dataset.ready = parts.length && this.about ? this.pyramid.shown.key : "";
    if (parts.length && this.about && !this.firstPaint) this.firstPaint = performance.now();
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    Object.assign(this.camera, { width, height });
    for (const canvas of [this.pictureCanvas, this.overCanvas]) {
      canvas.width = Math.max(1, Math.round(width * this.ratio));
      canvas.height = Math.max(1, Math.round(height * this.ratio));
    }
    this.draw();
    this.guard(this.bring());
    this.later("layers", () => this.layers.update());
  }

  // --- what keys and buttons do ------------------------------------------------------------------------------

  go(frame, again = false) {
    const last = this.session.frames;
    const to = Math.min(last, Math.max(1, Math.round(frame) || 1));
    this.set({ frame: to });
    this.controls.show();
    if (again) for (const work of [this.bring(), this.tellAbout(), this.layers.update()]) this.guard(work);
  }

  step(n) { this.go(this.values.frame + n); }

  stepRoll(n) {
    const k = this.session.rolls.indexOf(this.camera.roll) + n;
    if (this.session.rolls[k]) this.go(this.session.rolls[k].first + 1);
  }

  // One frame after the other, each as soon as the one before is there, and not more than ten a second.
  async play() {
    const button = document.getElementById("play");
    this.playing = !this.playing;
    button.setAttribute("aria-pressed", String(this.playing));
    while (this.playing) {
      const { frame } = this.values;
      const pause = new Promise((done) => setTimeout(done, 100));
      this.set({ frame: frame >= this.session.frames ? 1 : frame + 1 });
      await Promise.allSettled([this.bring(), pause]);
    }
  }

  focusFrame() { const field = document.getElementById("frame"); field.focus(); field.select(); }
  zoom(factor) { this.camera.zoomAt(this.camera.width / 2, this.camera.height / 2, factor); }
  zoomTo(zoom) { this.zoom(zoom / this.camera.zoom); }
  cycle(name, known) { this.set({ [name]: known[(known.indexOf(this.values[name]) + 1) % known.length] }); }

  // The two views have other coordinates: what is in the middle stays there.
  turnPlace() {
    const [x, y] = this.camera.centre;
    const raw = this.values.x === null ? null : this.camera.toRaw(x, y);
    this.set({ place: this.values.place === "lab" ? "image" : "lab" });
    const panel = raw ? this.camera.panelAt(...raw) : -1;
    if (panel < 0) { this.set({ x: null, y: null }); return; }
    const [x0, y0] = this.camera.detector.panels[panel].window;
    const [vx, vy] = this.camera.panelToLayout(panel, raw[0] - x0, raw[1] - y0);
    this.set({ x: vx, y: vy });
  }

  blink() {
    if (!this.session.two) { this.say("There is no other geometry: give one with --before EXPT."); return; }
    this.set({ which: this.values.which === "before" ? "after" : "before" });
    this.probe.again();
  }

  autoBlink() {
    if (this.blinking) clearInterval(this.blinking);
    this.blinking = this.blinking || !this.session.two ? 0 : setInterval(() => this.blink(), 600);
  }

  turnSide() {
    const wide = document.body.classList.toggle("wide");
    document.getElementById("panel").setAttribute("aria-expanded", String(!wide));
  }

  contrast(factor) { const { low, high } = this.limits; this.set({ high: low + Math.max((high - low) * factor, 1e-3) }); }
  autoContrast() { if (this.about) this.auto = { ...this.auto, low: this.about.low, high: this.about.high }; this.set({ low: null, high: null }); this.controls.show(); this.redraw(); }
  toSlider(high) { return Math.min(1, Math.log1p(Math.max(high, 0)) / Math.log1p(this.top)); }
  fromSlider(part) { return Number(Math.expm1(part * Math.log1p(this.top)).toPrecision(3)); }
  get top() { return Math.max(20, Math.min(this.about?.largest ?? 100, 1e6)); }

  nextMap() {
    const { pictures } = this.tuning;
    if (pictures.length < 2) { this.say(`The spot finder ${this.tuning.finder.name} has no pictures to show.`); return; }
    this.map(pictures[(pictures.indexOf(this.values.map) + 1) % pictures.length]);
  }

  map(name) {
    this.set(this.tuning.shown(name));
    if (name !== COUNTS) this.controls.unfold("threshold");
  }

  layer(name) {
    const shown = this.state.layers;
    if (!shown.delete(name)) shown.add(name);
    this.set({ show: this.session.layers.filter((item) => shown.has(item)).join(",") || "none" });
    if (name === "threshold" && shown.has(name)) this.controls.unfold("threshold");
  }

  tool(name) {
    this.regions.choose(name);
    if (name !== "pan") this.controls.unfold(name === "line" ? "line" : "mask");
  }

  nextMask() {
    this.tool(MASKS[(MASKS.indexOf(this.regions.tool) + 1) % MASKS.length]);
  }

  async copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      this.say(`Copied: ${text}`);
    } catch {
      this.say(text);
    }
  }

  copyAddress() { this.state.write(); this.copy(location.href); }

  // --- telling -----------------------------------------------------------------------------------------------

  say(text, bad = false) {
    const box = document.getElementById("message");
    box.textContent = text;
    box.className = bad ? "bad" : "";
    box.hidden = false;
    clearTimeout(this.silence);
    this.silence = setTimeout(() => { box.hidden = true; }, bad ? 12000 : 7000);
  }

  hush() { const box = document.getElementById("message"); if (box.className === "bad") box.hidden = true; }

  guard(work) {
    return Promise.resolve(work).catch((error) => this.say(error.message || "The server does not answer.", true));
  }
}

window.viewer = new App(JSON.parse(document.getElementById("session").textContent));
window.viewer.guard(window.viewer.regions.load());
