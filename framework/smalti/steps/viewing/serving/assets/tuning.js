// The spot finder that is tried and its options, and which of its pictures is shown; all of it in the address.

export const COUNTS = "counts";

export class Tuning {
  constructor(app) {
    this.app = app;
    const { finders } = app.session;
    this.chosen = finders.find((item) => item.chosen) ?? finders[0];
    this.given = Object.fromEntries(
      this.chosen.options.filter(({ value, default: usual }) => value !== usual).map(({ name, value }) => [name, value]),
    );
  }

  get finder() {
    const { finders } = this.app.session;
    return finders.find(({ name }) => name === this.app.state.values.finder) ?? this.chosen;
  }

  // Options that differ from the defaults: those of the command line until one is changed here.
  get values() {
    const { finder, tuned } = this.app.state.values;
    if (!finder && !tuned) return this.given;
    return Object.fromEntries(new URLSearchParams(tuned));
  }

  get words() {
    return { finder: this.finder.name, ...Object.fromEntries(Object.entries(this.values).map(([name, value]) => ["o." + name, value])) };
  }

  // What a question about the picture needs beside the frames: nothing where counts are shown.
  get picture() {
    const { map } = this.app.state.values;
    return map === COUNTS ? {} : { map, ...this.words };
  }

  get pictures() {
    return [COUNTS, ...this.finder.pictures];
  }

  choose(name) {
    const { pictures } = this.app.session.finders.find((item) => item.name === name);
    const { map } = this.app.state.values;
    this.app.set({ finder: name, tuned: "", ...(map === COUNTS || pictures.includes(map) ? {} : this.shown(COUNTS)) });
  }

  // An empty value is the default again.
  set(option, value) {
    const values = { ...this.values };
    if (value === "") delete values[option];
    else values[option] = value;
    this.app.set({ finder: this.finder.name, tuned: new URLSearchParams(values).toString() });
  }

  // Limits that suit counts do not suit a dispersion.
  shown(map) {
    return { map, low: null, high: null };
  }
}
