// The picture on a plain canvas, where there is no WebGL2: each part is coloured once for a contrast and then
// drawn to its places.

import { cut } from "./gl.js";

export class FlatPainter {
  constructor(canvas) {
    this.context = canvas.getContext("2d", { alpha: false });
    this.name = "2d";
    this.coloured = new Map();
    this.bytes = new Uint8Array(1024);
  }

  setTable(bytes) {
    this.bytes = bytes;
    this.coloured.clear();
  }

  draw(view) {
    const { context } = this;
    const { width, height } = context.canvas;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = `rgb(${view.nothing.join(",")})`;
    context.fillRect(0, 0, width, height);
    const [cx, cy] = view.centre;
    const z = view.zoom;
    for (const part of view.parts) {
      const image = this.imageOf(part, view);
      const step = 1 << part.level;
      context.imageSmoothingEnabled = z * step < 0.95; // a screen pixel that covers more than one shows their mean
      for (const { rectangle: [left, top, right, bottom], window: [x0, y0], matrix: m } of cut(part, view.patches)) {
        context.setTransform(
          m[0] * z, m[2] * z, m[1] * z, m[3] * z, (m[4] - cx) * z + width / 2, (m[5] - cy) * z + height / 2,
        );
        context.drawImage(
          image, (left - part.x) / step, (top - part.y) / step, (right - left) / step, (bottom - top) / step,
          left - x0, top - y0, right - left, bottom - top,
        );
      }
    }
  }

  imageOf(part, view) {
    const key = `${view.low}:${view.high}:${view.scale}`;
    const known = this.coloured.get(part);
    if (known && known.key === key) return known.canvas;
    const canvas = known ? known.canvas : new OffscreenCanvas(part.width, part.height);
    const context = canvas.getContext("2d");
    const image = context.createImageData(part.width, part.height);
    paint(new Uint32Array(image.data.buffer), part, view, new Uint32Array(this.bytes.buffer, this.bytes.byteOffset, 256));
    context.putImageData(image, 0, 0);
    this.coloured.set(part, { key, canvas });
    return canvas;
  }

  forget(part) {
    this.coloured.delete(part);
  }
}

function paint(out, part, view, table) {
  const { data, divisor, lowest, narrow } = part;
  const colour = colourer(view, divisor, lowest, table);
  if (!narrow) {
    for (let k = 0; k < data.length; k += 1) out[k] = colour(data[k]);
    return;
  }
  // There are 65536 counts of 16 bits and millions of pixels: every count is coloured once.
  const known = new Uint32Array(65536);
  const done = new Uint8Array(65536);
  for (let k = 0; k < data.length; k += 1) {
    const at = data[k] + 32768;
    if (!done[at]) {
      known[at] = colour(data[k]);
      done[at] = 1;
    }
    out[k] = known[at];
  }
}

function colourer({ low, high, scale, empty }, divisor, lowest, table) {
  const span = Math.max(high - low, 1e-9);
  const codes = empty.map(([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0);
  const log = Math.log1p(span);
  return (count) => {
    const code = count - lowest;
    if (code < 4) return codes[code];
    let t = Math.min(1, Math.max(0, (count / divisor - low) / span));
    if (scale === "sqrt") t = Math.sqrt(t);
    else if (scale === "log") t = Math.log1p(t * span) / log;
    return table[Math.round(t * 255)];
  };
}
