// Drawing on the picture: untrusted regions that are saved as a mask, and a line whose counts are shown.

import { ask, send } from "./api.js";

export const MASKS = ["pan", "rectangle", "circle", "polygon"];

export class Regions {
  constructor(app) {
    this.app = app;
    this.shapes = [];
    this.line = null;
    this.tool = "pan";
    this.points = [];
    this.saved = true;
  }

  async load() {
    this.shapes = await ask("mask");
    this.app.redraw(false);
    this.app.controls.showRegions();
  }

  // What is to be drawn: [points on the present layout, kind, still being drawn].
  visible() {
    const { place } = this.app.state.values;
    const found = this.shapes.filter((shape) => shape.place === place).map((shape) => [shape.points, shape.kind, false]);
    if (this.line && this.line.place === place) found.push([this.line.points, "line", true]);
    if (this.points.length) found.push([this.points, this.tool, true]);
    return found;
  }

  choose(tool) {
    this.tool = tool;
    this.points = [];
    this.app.controls.showRegions();
    this.app.redraw(false);
  }

  start(point) {
    if (this.tool === "polygon") {
      this.points.push(point, point);
    } else this.points = [point, point];
    if (this.tool === "polygon" && this.points.length > 2) this.points.splice(-3, 1);
    this.app.redraw(false);
  }

  move(point) {
    if (!this.points.length) return;
    this.points[this.points.length - 1] = point;
    this.app.redraw(false);
  }

  end() {
    if (this.tool === "polygon" || this.points.length < 2) return;
    const [[x0, y0], [x1, y1]] = this.points;
    if (Math.hypot(x1 - x0, y1 - y0) * this.app.camera.zoom < 4) this.points = [];
    else this.finish();
  }

  finish() {
    const { place } = this.app.state.values;
    let { points } = this;
    this.points = [];
    if (this.tool === "line") {
      this.line = { place, points };
      this.app.charts.line();
    } else {
      if (this.tool === "polygon") points = points.slice(0, -1);
      if (this.tool !== "polygon" || points.length > 2) this.shapes.push({ kind: this.tool, place, points });
      this.saved = false;
    }
    this.app.controls.showRegions();
    this.app.redraw(false);
  }

  undo() {
    if (this.points.length) this.points = [];
    else if (this.shapes.length) {
      this.shapes.pop();
      this.saved = false;
    }
    this.app.controls.showRegions();
    this.app.redraw(false);
  }

  async save() {
    const { frame } = this.app.state.values;
    const told = await send("mask", { frame: frame - 1 }, this.shapes);
    this.saved = true;
    this.app.controls.showRegions();
    this.app.say(
      `Saved ${told.regions} regions (${told.pixels} pixels) as ${told.files.join(" and ")}.\n` +
      `Use it: smalti find-spots ${this.app.session.files[0]} --mask ${told.files[0]}`,
    );
  }

  // Points along the line, a pixel apart, on the raw frame, with their distance from its start.
  samples() {
    const { camera } = this.app;
    const [[x0, y0], [x1, y1]] = this.line.points;
    const length = Math.hypot(x1 - x0, y1 - y0);
    const n = Math.max(2, Math.min(4000, Math.round(length) + 1));
    const found = [];
    for (let k = 0; k < n; k += 1) {
      const t = k / (n - 1);
      found.push({ at: t * length, raw: camera.toRaw(x0 + t * (x1 - x0), y0 + t * (y1 - y0)) });
    }
    return found;
  }
}
