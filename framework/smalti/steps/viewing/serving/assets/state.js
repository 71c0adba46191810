// The view as plain values, kept in the address so that it can be sent; parts of the page listen to changes.

const NUMBERS = new Set(["frame", "sum", "zoom", "x", "y", "low", "high", "magnify", "moved"]);
const KEPT = [
  "frame", "sum", "how", "place", "zoom", "x", "y", "low", "high", "scale", "colours", "invert", "pool", "show",
  "magnify", "which", "moved", "painter", "map", "finder", "tuned",
];

export class State {
  constructor(options) {
    const { centre, width, height, ...given } = options;
    this.defaults = {
      ...given, x: centre ? centre[0] : null, y: centre ? centre[1] : null,
      which: "after", moved: 1, painter: "gl", finder: "", tuned: "",
    };
    this.values = { ...this.defaults };
    this.listeners = [];
    this.timer = 0;
    this.read();
    window.addEventListener("hashchange", () => {
      if (location.hash.slice(1) === this.written) return;
      const before = { ...this.values };
      this.values = { ...this.defaults };
      this.read();
      this.tell(before);
    });
  }

  get layers() {
    return new Set(this.values.show.split(",").filter((name) => name && name !== "none"));
  }

  // Read the address; words that are not known are passed over.
  read() {
    for (const [name, word] of new URLSearchParams(location.hash.slice(1))) {
      if (!KEPT.includes(name)) continue;
      if (NUMBERS.has(name)) {
        const value = word === "" ? null : Number(word);
        if (value === null || Number.isFinite(value)) this.values[name] = value;
      } else if (name === "invert") this.values.invert = word === "1";
      else this.values[name] = word;
    }
  }

  set(changes) {
    const before = { ...this.values };
    Object.assign(this.values, changes);
    this.tell(before);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.write(), 120);
  }

  tell(before) {
    const changed = new Set(KEPT.filter((name) => before[name] !== this.values[name]));
    if (changed.size) for (const listener of this.listeners) listener(changed, this.values);
  }

  // What differs from the defaults goes into the address; browsers allow only so many changes a second.
  write() {
    const words = new URLSearchParams();
    for (const name of KEPT) {
      const value = this.values[name];
      if (value === this.defaults[name]) continue;
      if (name === "invert") words.set(name, value ? "1" : "0");
      else if (value === null) words.set(name, "");
      else words.set(name, typeof value === "number" ? String(Number(value.toPrecision(7))) : value);
    }
    this.written = words.toString();
    history.replaceState(null, "", "#" + this.written);
  }

  listen(listener) {
    this.listeners.push(listener);
  }
}
