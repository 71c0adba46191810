// Between pixels of panels, the layout that they are drawn on, and the screen.

export class Camera {
  constructor(session, state) {
    this.session = session;
    this.state = state;
    this.width = 1;
    this.height = 1;
    this.cache = new Map();
  }

  // The set of images that the frame is of; asked for every point that is drawn, so that it is remembered.
  get roll() {
    const { frame } = this.state.values;
    if (this.rollFrame !== frame) {
      const { rolls } = this.session;
      let k = rolls.length - 1;
      while (k > 0 && rolls[k].first > frame - 1) k -= 1;
      this.rollFrame = frame;
      this.rollFound = rolls[k];
    }
    return this.rollFound;
  }

  get detector() {
    return this.session.detectors[this.roll.detector];
  }

  // Name of what is drawn; everything that depends on the places of panels is kept under it.
  get key() {
    const { place, which, moved } = this.state.values;
    return place === "image" ? `${this.roll.detector}:image` : `${this.roll.detector}:${place}:${which}:${moved}`;
  }

  get layout() {
    return this.detector.layouts[this.state.values.place === "lab" ? "lab" : "image"];
  }

  // Affine places of the panels on the layout, [l00, l01, l10, l11, x, y] each.
  get matrices() {
    const { place, which, moved } = this.state.values;
    const { detector } = this.roll;
    const last = this.last;
    if (last && last.place === place && last.which === which && last.moved === moved && last.detector === detector)
      return last.matrices;
    const key = this.key;
    if (!this.cache.has(key)) this.cache.set(key, this.makeMatrices());
    const matrices = this.cache.get(key);
    this.last = { place, which, moved, detector, matrices };
    return matrices;
  }

  makeMatrices() {
    const { place, which, moved } = this.state.values;
    const { lab, image, before } = this.detector.layouts;
    if (place !== "lab") return image.panels;
    if (which !== "before" || !before) return lab.panels;
    // What moved may be shown larger than it is: the other geometry, away from this one by so many times.
    return lab.panels.map((a, k) => a.map((value, i) => value + moved * (before.panels[k][i] - value)));
  }

  // Pieces of the raw frame that are drawn in one go: { window, matrix }.
  get patches() {
    const key = "patches:" + this.key;
    if (!this.cache.has(key)) {
      const patches = this.state.values.place === "lab"
        ? this.detector.panels.map((panel, k) => ({ window: panel.window, matrix: this.matrices[k] }))
        : [{ window: [0, 0, ...this.roll.size], matrix: [1, 0, 0, 1, 0, 0] }];
      this.cache.set(key, patches);
    }
    return this.cache.get(key);
  }

  get fitZoom() {
    const [w, h] = this.layout.size;
    return Math.min(this.width / w, this.height / h) * 0.985;
  }

  get zoom() {
    return this.state.values.zoom || this.fitZoom;
  }

  get centre() {
    const { x, y } = this.state.values;
    const [w, h] = this.layout.size;
    return [x ?? w / 2, y ?? h / 2];
  }

  // The part of the layout that is seen, in steps that small moves do not change.
  get view() {
    const { place } = this.state.values;
    const [left, top] = this.fromScreen(0, 0), [right, bottom] = this.fromScreen(this.width, this.height);
    const step = (right - left) / 16;
    const whole = (value, round) => Number((round(value / step) * step).toFixed(2));
    return {
      place, zoom: this.zoom.toFixed(4), left: whole(left, Math.floor), top: whole(top, Math.floor),
      right: whole(right, Math.ceil), bottom: whole(bottom, Math.ceil),
    };
  }

  toScreen(vx, vy) {
    const [cx, cy] = this.centre;
    return [(vx - cx) * this.zoom + this.width / 2, (vy - cy) * this.zoom + this.height / 2];
  }

  fromScreen(sx, sy) {
    const [cx, cy] = this.centre;
    return [(sx - this.width / 2) / this.zoom + cx, (sy - this.height / 2) / this.zoom + cy];
  }

  panelToLayout(panel, x, y) {
    const m = this.matrices[panel];
    return [m[0] * x + m[1] * y + m[4], m[2] * x + m[3] * y + m[5]];
  }

  panelToScreen(panel, x, y) {
    return this.toScreen(...this.panelToLayout(panel, x, y));
  }

  // Position on the raw frame of a point of the layout; null between panels in the laboratory.
  toRaw(vx, vy) {
    if (this.state.values.place !== "lab") return [vx, vy];
    for (const { window: [x0, y0, w, h], matrix: m } of this.patches) {
      const det = m[0] * m[3] - m[1] * m[2];
      const dx = vx - m[4], dy = vy - m[5];
      const x = (m[3] * dx - m[1] * dy) / det, y = (m[0] * dy - m[2] * dx) / det;
      if (x >= 0 && x < w && y >= 0 && y < h) return [x + x0, y + y0];
    }
    return null;
  }

  // The panel of a pixel of the raw frame, or -1.
  panelAt(x, y) {
    return this.detector.panels.findIndex(({ window: [x0, y0, w, h] }) => x >= x0 && x < x0 + w && y >= y0 && y < y0 + h);
  }

  // The part of the raw frame that may be on the screen, for the patch of this window and matrix; null where none.
  seen({ window: [x0, y0, w, h], matrix: m }) {
    const det = m[0] * m[3] - m[1] * m[2];
    let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const corner of [[0, 0], [this.width, 0], [0, this.height], [this.width, this.height]]) {
      const [vx, vy] = this.fromScreen(...corner);
      const dx = vx - m[4], dy = vy - m[5];
      const x = (m[3] * dx - m[1] * dy) / det, y = (m[0] * dy - m[2] * dx) / det;
      left = Math.min(left, x); right = Math.max(right, x);
      top = Math.min(top, y); bottom = Math.max(bottom, y);
    }
    left = Math.max(0, left); top = Math.max(0, top);
    right = Math.min(w, right); bottom = Math.min(h, bottom);
    return right > left && bottom > top ? [left + x0, top + y0, right + x0, bottom + y0] : null;
  }

  zoomAt(sx, sy, factor) {
    const [vx, vy] = this.fromScreen(sx, sy);
    const zoom = Math.min(100, Math.max(this.fitZoom / 4, this.zoom * factor));
    this.state.set({ zoom, x: vx - (sx - this.width / 2) / zoom, y: vy - (sy - this.height / 2) / zoom });
  }

  pan(dx, dy) {
    const [cx, cy] = this.centre;
    this.state.set({ zoom: this.zoom, x: cx - dx / this.zoom, y: cy - dy / this.zoom });
  }

  fit() {
    this.state.set({ zoom: 0, x: null, y: null });
  }
}
