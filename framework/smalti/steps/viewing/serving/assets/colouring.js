// From counts to colours: the table that the painters are given, and ink that can be read on it.

export class Colouring {
  constructor(app) {
    this.app = app;
    this.key = "";
  }

  // The table of colours and what goes with it; made again only when the choice changes.
  current() {
    const { session, state, painter } = this.app;
    const { colours, invert } = state.values;
    const key = `${colours}:${invert}`;
    if (this.key === key) return this;
    this.key = key;
    const steps = invert ? [...session.colours[colours]].reverse() : session.colours[colours];
    this.table = interpolated(steps);
    this.light = this.table[0] + this.table[1] + this.table[2] > 3 * 128;
    const none = session.no_count[this.light ? "light" : "dark"];
    this.empty = Object.entries(session.codes).sort((a, b) => a[1] - b[1]).map(([name]) => none[name]);
    this.nothing = none.nothing;
    painter.setTable(this.table);
    return this;
  }

  // Black or white, whichever can be read on the colour of a count.
  inkOn(value) {
    const { low, high } = this.app.limits;
    const t = Math.round(255 * Math.min(1, Math.max(0, (value - low) / Math.max(high - low, 1e-9))));
    const [r, g, b] = this.current().table.slice(4 * t, 4 * t + 3);
    return r * 0.3 + g * 0.59 + b * 0.11 > 140 ? "#000" : "#fff";
  }
}

// 256 colours, four bytes each, along even steps.
function interpolated(steps) {
  const table = new Uint8Array(1024);
  for (let k = 0; k < 256; k += 1) {
    const at = (k / 255) * (steps.length - 1), i = Math.min(steps.length - 2, Math.floor(at));
    for (let c = 0; c < 3; c += 1) table[4 * k + c] = Math.round(steps[i][c] + (at - i) * (steps[i + 1][c] - steps[i][c]));
    table[4 * k + 3] = 255;
  }
  return table;
}
