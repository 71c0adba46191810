// Mouse, pen and touch on the picture: pan, zoom, draw, and what is under the cursor.

export class Pointer {
  constructor(app, stage) {
    this.app = app;
    this.stage = stage;
    this.down = new Map();
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, (event) => this.release(event));
    stage.addEventListener("pointerleave", () => app.probe.leave());
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("dblclick", () => {
      if (app.regions.tool === "polygon") app.regions.finish();
    });
  }

  at(event) {
    const box = this.stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  get drawing() {
    return this.app.regions.tool !== "pan";
  }

  press(event) {
    if (event.target.closest?.("#message")) return;
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(event.pointerId);
    this.down.set(event.pointerId, this.at(event));
    const panning = !this.drawing || event.button === 1 || event.ctrlKey;
    this.mode = panning ? "pan" : "draw";
    if (panning) this.stage.classList.add("panning");
    else this.app.regions.start(this.app.camera.fromScreen(...this.at(event)));
  }

  move(event) {
    const here = this.at(event);
    const before = this.down.get(event.pointerId);
    if (this.down.size === 2 && before) this.pinch(event.pointerId, before, here);
    else if (before && this.mode === "pan") this.app.camera.pan(here[0] - before[0], here[1] - before[1]);
    else if (this.drawing) this.app.regions.move(this.app.camera.fromScreen(...here));
    if (before) this.down.set(event.pointerId, here);
    if (!before || this.mode !== "pan") this.app.probe.at(...here);
  }

  pinch(id, before, here) {
    const other = [...this.down].find(([key]) => key !== id)[1];
    const ratio = Math.hypot(here[0] - other[0], here[1] - other[1]) / (Math.hypot(before[0] - other[0], before[1] - other[1]) || 1);
    this.app.camera.zoomAt((here[0] + other[0]) / 2, (here[1] + other[1]) / 2, ratio);
  }

  release(event) {
    this.down.delete(event.pointerId);
    this.stage.classList.remove("panning");
    if (this.mode === "draw") this.app.regions.end();
    this.mode = null;
  }

  wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 18 : 1;
    this.app.camera.zoomAt(...this.at(event), Math.exp(-event.deltaY * unit * 0.0018));
  }
}
