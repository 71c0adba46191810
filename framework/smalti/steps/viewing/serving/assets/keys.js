// Every key, in one table: what is pressed, what it says in the help, what it does.

const SUMS = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];

export const KEYS = [
  ["Frames", [
    ["ArrowRight", "→", "next frame", (app) => app.step(1)],
    ["ArrowLeft", "←", "previous frame", (app) => app.step(-1)],
    ["PageDown", "Page ↓", "ten frames on", (app) => app.step(10)],
    ["PageUp", "Page ↑", "ten frames back", (app) => app.step(-10)],
    ["Home", "Home", "first frame", (app) => app.go(1)],
    ["End", "End", "last frame", (app) => app.go(app.session.frames)],
    [".", ".", "next set of images", (app) => app.stepRoll(1)],
    [",", ",", "previous set of images", (app) => app.stepRoll(-1)],
    [" ", "Space", "play, and stop", (app) => app.play()],
    ["/", "/", "go to a frame by its number", (app) => app.focusFrame()],
    ["]", "]", "take more frames together", (app) => app.set({ sum: SUMS.find((n) => n > app.values.sum) ?? 1000 })],
    ["[", "[", "take fewer", (app) => app.set({ sum: SUMS.findLast((n) => n < app.values.sum) ?? 1 })],
    ["\\", "\\", "sum, mean, maximum", (app) => app.cycle("how", ["sum", "mean", "max"])],
  ]],
  ["View", [
    ["+", "+", "closer", (app) => app.zoom(1.5)],
    ["-", "−", "farther", (app) => app.zoom(1 / 1.5)],
    ["0", "0", "all of the detector", (app) => app.camera.fit()],
    ["1", "1", "one screen pixel for a pixel", (app) => app.zoomTo(1)],
    ["4", "4", "40 screen pixels for a pixel: counts are written in them", (app) => app.zoomTo(40)],
    ["Shift+ArrowRight", "Shift →", "move right", (app) => app.camera.pan(-120, 0)],
    ["Shift+ArrowLeft", "Shift ←", "move left", (app) => app.camera.pan(120, 0)],
    ["Shift+ArrowDown", "Shift ↓", "move down", (app) => app.camera.pan(0, -120)],
    ["Shift+ArrowUp", "Shift ↑", "move up", (app) => app.camera.pan(0, 120)],
    ["v", "v", "raw image, or laboratory", (app) => app.turnPlace()],
    ["b", "b", "the other geometry (--before)", (app) => app.blink()],
    ["Shift+B", "Shift B", "blink between the two", (app) => app.autoBlink()],
    ["f", "f", "hide the side, or show it", (app) => app.turnSide()],
  ]],
  ["Contrast", [
    ["ArrowUp", "↑", "darker: spots stand out more", (app) => app.contrast(1 / 1.25)],
    ["ArrowDown", "↓", "paler", (app) => app.contrast(1.25)],
    ["h", "h", "choose the contrast by itself", (app) => app.autoContrast()],
    ["c", "c", "next colours", (app) => app.cycle("colours", Object.keys(app.session.colours))],
    ["i", "i", "invert", (app) => app.set({ invert: !app.values.invert })],
    ["g", "g", "linear, square root, logarithm", (app) => app.cycle("scale", ["linear", "sqrt", "log"])],
    ["w", "w", "mean or largest of pixels that share a screen pixel", (app) => app.cycle("pool", ["mean", "max"])],
  ]],
  ["Over the picture", [
    ["s", "s", "spots that are not indexed", (app) => app.layer("spots")],
    ["x", "x", "indexed spots", (app) => app.layer("indexed")],
    ["o", "o", "outliers", (app) => app.layer("outliers")],
    ["p", "p", "predictions", (app) => app.layer("predicted")],
    ["a", "a", "residual arrows", (app) => app.layer("arrows")],
    ["e", "e", "edges of panels", (app) => app.layer("panels")],
    ["n", "n", "names of panels", (app) => app.layer("names")],
    ["r", "r", "resolution rings", (app) => app.layer("resolution")],
    ["y", "y", "ice rings", (app) => app.layer("ice")],
    ["u", "u", "rings of the unit cell", (app) => app.layer("cell")],
    ["t", "t", "what the spot finder marks", (app) => app.layer("threshold")],
    ["d", "d", "pictures of the spot finder: mean, variance, dispersion ...", (app) => app.nextMap()],
  ]],
  ["Measure and mask", [
    ["l", "l", "counts along a line", (app) => app.tool("line")],
    ["m", "m", "untrusted rectangle, circle, polygon, none", (app) => app.nextMask()],
    ["Enter", "Enter", "end a polygon", (app) => app.regions.tool === "polygon" && app.regions.finish()],
    ["Backspace", "⌫", "take back the last region", (app) => app.regions.undo()],
    ["Shift+S", "Shift S", "save the regions as a mask", (app) => app.guard(app.regions.save())],
    ["q", "q", "mean count by resolution", (app) => app.controls.unfold("radial")],
    ["z", "z", "histogram", (app) => app.controls.unfold("histogram")],
    ["k", "k", "copy what is under the cursor", (app) => app.copy(app.probe.text)],
    ["Shift+L", "Shift L", "copy the address of this view", (app) => app.copyAddress()],
    ["Escape", "Esc", "leave the tool", (app) => app.tool("pan")],
    ["?", "?", "these keys", (app) => app.keys.help()],
  ]],
];

export class Keys {
  constructor(app, dialog) {
    this.app = app;
    this.dialog = dialog;
    this.actions = new Map(KEYS.flatMap(([, rows]) => rows.map(([key, , , action]) => [key, action])));
    this.actions.set("=", this.actions.get("+"));
    document.addEventListener("keydown", (event) => this.press(event));
    dialog.append(...this.content());
  }

  press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const field = event.target.closest?.("input, select, textarea");
    if (field) {
      if (event.key === "Escape") field.blur();
      return;
    }
    if (this.dialog.open && event.key !== "?") return; // the dialog closes itself with Escape
    // Keys that work a button or a fold stay with it.
    if (event.target.closest?.("button, summary, a") && [" ", "Enter"].includes(event.key)) return;
    const single = event.key.length === 1 ? event.key : null;
    const letter = single && /[a-z]/i.test(single) ? (event.shiftKey ? "Shift+" + single.toUpperCase() : single.toLowerCase()) : single;
    const name = letter ?? (event.shiftKey ? "Shift+" + event.key : event.key);
    const action = this.actions.get(name);
    if (!action) return;
    event.preventDefault();
    action(this.app);
  }

  help() {
    if (this.dialog.open) this.dialog.close();
    else this.dialog.showModal();
  }

  content() {
    const title = make("h2", "Keys");
    title.id = "keys-title";
    const columns = make("div");
    columns.className = "columns";
    for (const [name, rows] of KEYS) {
      const list = make("dl");
      for (const [, shown, text] of rows) {
        const term = make("dt");
        term.append(make("kbd", shown));
        list.append(term, make("dd", text));
      }
      const section = make("section");
      section.append(make("h3", name), list);
      columns.append(section);
    }
    const mouse = make("p", "Mouse: drag to move, wheel to zoom, two fingers on a touch screen. With a tool on, Ctrl and drag moves.");
    mouse.className = "quiet";
    const close = make("button", "Close");
    close.addEventListener("click", () => this.dialog.close());
    return [title, columns, mouse, close];
  }
}

function make(tag, text = "") {
  const item = document.createElement(tag);
  item.textContent = text;
  return item;
}
