// The bar above and the side: what the keys do, for the mouse, and the forms.

import { KEYS } from "./keys.js";
import { MASKS } from "./regions.js";
import { COUNTS } from "./tuning.js";
import { chart, choice, element, fold, row, symbol } from "./widgets.js";

const LAYER_NAMES = {
  spots: "spots, not indexed", indexed: "indexed spots", outliers: "outliers", predicted: "predictions",
  arrows: "residual arrows", panels: "edges of panels", names: "names of panels", resolution: "resolution rings",
  ice: "ice rings", cell: "rings of the cell", threshold: "threshold",
};

export class Controls {
  constructor(app) {
    this.app = app;
    this.bar = Object.fromEntries([...document.querySelectorAll("#bar [id]")].map((item) => [item.id, item]));
    this.wireBar();
    this.side = document.getElementById("side");
    this.build();
    app.state.listen(() => this.show());
  }

  wireBar() {
    const { bar, app } = this;
    const click = {
      first: () => app.go(1), previous: () => app.step(-1), next: () => app.step(1), last: () => app.go(app.session.frames),
      play: () => app.play(), fit: () => app.camera.fit(), whole: () => app.zoomTo(1), place: () => app.turnPlace(),
      which: () => app.blink(), panel: () => app.turnSide(), help: () => app.keys.help(),
    };
    for (const [name, action] of Object.entries(click)) bar[name].addEventListener("click", action);
    bar.frame.addEventListener("change", () => app.go(Number(bar.frame.value)));
    bar.sum.addEventListener("change", () => app.set({ sum: Math.round(Math.min(1000, Math.max(1, Number(bar.sum.value) || 1))) }));
    bar.how.addEventListener("change", () => app.set({ how: bar.how.value }));
    bar.of.textContent = `of ${app.session.frames}`;
    bar.which.hidden = !app.session.two;
  }

  build() {
    const { app } = this;
    this.side.replaceChildren(
      this.contrastPart(), this.layerPart(), this.thresholdPart(), this.radialPart(), this.linePart(), this.maskPart(),
    );
    this.side.addEventListener("toggle", () => app.guard(app.charts.update()), true);
    this.show();
  }

  contrastPart() {
    const { app } = this;
    const limit = (name) => element("input", {
      type: "text", inputmode: "decimal", "aria-label": name, onchange: (event) => {
        const value = event.target.value.trim();
        app.set({ [name]: value === "" || !Number.isFinite(Number(value)) ? null : Number(value) });
      },
    });
    this.low = limit("low");
    this.high = limit("high");
    this.slider = element("input", {
      type: "range", min: 0, max: 1000, "aria-label": "Count shown as the last colour",
      oninput: (event) => app.set({ high: app.fromSlider(Number(event.target.value) / 1000) }),
    });
    this.colours = choice("Colours", Object.keys(app.session.colours), (colours) => app.set({ colours }));
    this.scale = choice("Scale", ["linear", "sqrt", "log"], (scale) => app.set({ scale }));
    this.pool = choice("Pixels that share a screen pixel", ["mean", "max"], (pool) => app.set({ pool }));
    this.invert = element("input", { type: "checkbox", id: "invert", onchange: (event) => app.set({ invert: event.target.checked }) });
    app.charts.places.histogram = chart("Histogram of the counts, with the limits of contrast");
    return fold("Contrast", "histogram", true,
      row("counts", this.low, "to", this.high, element("button", { id: "auto", title: "By quantiles (h)", onclick: () => app.autoContrast() }, "Auto")),
      row("", this.slider),
      row("colours", this.colours, element("label", { for: "invert" }, this.invert, " invert")),
      row("scale", this.scale), row("zoomed out", this.pool), app.charts.places.histogram);
  }

  layerPart() {
    const { app } = this;
    const keys = Object.fromEntries(KEYS.find(([name]) => name === "Over the picture")[1].map(([key], k) => [app.session.layers[k], key]));
    this.boxes = {};
    const lines = app.session.layers.map((name) => {
      const box = element("input", { type: "checkbox", id: "layer-" + name, onchange: () => app.layer(name) });
      this.boxes[name] = box;
      return element("div", { class: "layer" }, box, symbol(name, app.session.inks[name]),
        element("label", { for: "layer-" + name }, LAYER_NAMES[name]), element("kbd", {}, keys[name]));
    });
    this.magnify = element("input", {
      type: "text", inputmode: "decimal", "aria-label": "Magnification of arrows",
      onchange: (event) => Number(event.target.value) > 0 && app.set({ magnify: Number(event.target.value) }),
    });
    this.moved = element("input", {
      type: "text", inputmode: "decimal", "aria-label": "Magnification of displacements",
      onchange: (event) => Number(event.target.value) > 0 && app.set({ moved: Number(event.target.value) }),
    });
    const parts = [...lines, row("arrows", "×", this.magnify)];
    if (app.session.two) parts.push(row("moved", "×", this.moved, element("span", { class: "quiet" }, "panels, in the laboratory")));
    return fold("Over the picture", "layers", true, ...parts);
  }

  thresholdPart() {
    const { app } = this;
    this.finderForm = element("div");
    this.strong = element("p", { class: "quiet", "aria-live": "polite" }, "Switch the threshold on (t) to see what is marked.");
    this.command = element("div", { class: "code", hidden: true });
    const copy = element("button", { id: "copy-command", onclick: () => app.copy(app.layers.threshold.command) }, "Copy as command");
    this.finder = choice("Spot finder", app.session.finders.map(({ name }) => name), (name) => { app.tuning.choose(name); this.tryThreshold(); });
    this.map = choice("Picture", [], (name) => app.map(name));
    this.showFinder();
    return fold("Threshold", "threshold", false, row("finder", this.finder), row("shown", this.map, element("kbd", {}, "d")), this.finderForm, this.strong, this.command, row("", copy));
  }

  // The form of the finder that is tried now.
  showFinder() {
    const { tuning } = this.app;
    const { finder, values } = tuning;
    if (this.formOf === finder.name) return;
    this.formOf = finder.name;
    this.finder.value = finder.name;
    this.map.replaceChildren(...tuning.pictures.map((name) => element("option", { value: name }, name)));
    this.finderForm.replaceChildren(...finder.options.map((option) => {
      const id = "option-" + option.name;
      const help = `${option.help} Default ${option.default}${option.unit ? " " + option.unit : ""}${option.range ? ", " + option.range : ""}.`;
      const field = element("input", {
        type: "text", id, value: values[option.name] ?? option.default, title: help, inputmode: option.kind === "number" ? "decimal" : "text",
        oninput: (event) => this.option(option.name, event.target.value.trim()),
      });
      return element("div", { class: "row" }, element("label", { for: id, title: help }, option.name.replaceAll("_", " ")), field);
    }));
  }

  option(name, value) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.app.tuning.set(name, value);
      this.tryThreshold();
    }, 200);
  }

  // Who changes the finder wants to see what it does.
  tryThreshold() {
    if (!this.app.state.layers.has("threshold") && this.app.state.values.map === COUNTS) this.app.layer("threshold");
  }

  showThreshold() {
    const { strong, command } = this.app.layers.threshold;
    this.strong.textContent = `${strong.toLocaleString("en")} strong pixels in what is shown.`;
    this.command.textContent = command;
    this.command.hidden = false;
  }

  radialPart() {
    this.app.charts.places.radial = chart("Mean count by resolution");
    return fold("Mean count by resolution", "radial", false, this.app.charts.places.radial);
  }

  linePart() {
    this.app.charts.places.line = chart("Counts along a line");
    return fold("Counts along a line", "line", false,
      row("", element("button", { onclick: () => this.app.tool("line") }, "Draw a line")), this.app.charts.places.line);
  }

  maskPart() {
    const { app } = this;
    this.tools = Object.fromEntries(MASKS.map((name) => [name, element("button", {
      "aria-pressed": "false", id: "tool-" + name, onclick: () => app.tool(name),
    }, name)]));
    this.told = element("p", { class: "quiet", "aria-live": "polite" });
    const save = element("button", { id: "save-mask", onclick: () => app.guard(app.regions.save()) }, "Save mask");
    const undo = element("button", { onclick: () => app.regions.undo() }, "Take back");
    return fold("Untrusted regions", "mask", false, row("", ...Object.values(this.tools)), this.told, row("", undo, save),
      element("p", { class: "quiet" }, `Saved as ${app.session.mask_file}`));
  }

  showRegions() {
    const { shapes, tool, saved } = this.app.regions;
    for (const [name, button] of Object.entries(this.tools)) button.setAttribute("aria-pressed", String(name === tool));
    const n = shapes.length === 1 ? "1 region" : `${shapes.length} regions`;
    this.told.textContent = saved ? `${n}.` : `${n}, not saved yet.`;
  }

  unfold(name) {
    const part = document.getElementById("fold-" + name);
    document.body.classList.remove("wide");
    part.open = true;
    part.scrollIntoView({ block: "nearest" });
    this.app.resize();
  }

  // Bring everything in line with the state.
  show() {
    const { bar, app } = this;
    const { values } = app.state;
    bar.frame.value = values.frame;
    bar.sum.value = values.sum;
    bar.how.value = values.how;
    bar.place.textContent = values.place === "lab" ? "Raw image" : "Laboratory";
    bar.which.setAttribute("aria-pressed", String(values.which === "before"));
    const { low, high } = app.limits;
    for (const [field, name, value] of [[this.low, "low", low], [this.high, "high", high]]) {
      if (document.activeElement !== field) field.value = values[name] === null ? "" : String(Number(value.toPrecision(4)));
      field.placeholder = String(Number(value.toPrecision(3)));
    }
    if (document.activeElement !== this.slider) this.slider.value = app.toSlider(high) * 1000;
    this.colours.value = values.colours;
    this.map.value = values.map;
    this.scale.value = values.scale;
    this.pool.value = values.pool;
    this.invert.checked = values.invert;
    this.magnify.value = values.magnify;
    this.moved.value = values.moved;
    const shown = app.state.layers;
    for (const [name, box] of Object.entries(this.boxes)) box.checked = shown.has(name);
  }
}
