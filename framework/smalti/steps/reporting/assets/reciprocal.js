"use strict";
(() => {
  const canvas = document.getElementById("reciprocal-view");
  const data = JSON.parse(document.getElementById("reciprocal-data").textContent);
  const pen = canvas.getContext("2d");
  if (!pen) return;
  const longest = Math.max(...["indexed", "unindexed"].map(kind => {
    let most = 1;
    for (let k = 0; k < data[kind].length; k += 3) most = Math.max(most, Math.hypot(data[kind][k], data[kind][k + 1], data[kind][k + 2]));
    return most;
  }));
  const shown = { indexed: true, unindexed: true };
  const START = [[0.94, 0.10, 0.33], [-0.02, 0.97, -0.24], [-0.35, 0.22, 0.91]];
  let turn, zoom = 1;

  const unit = v => { const n = Math.hypot(...v) || 1; return v.map(x => x / n); };
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  // Rows are what is right, up and towards the reader; made orthogonal again after many small turns.
  const frame = (right, up) => {
    const x = unit(right), z = unit(cross(x, up));
    return [x, cross(z, x), z];
  };
  const along = axis => {
    const z = unit(data.axes[axis]), other = data.axes[(axis + 1) % 3];
    const x = unit(other.map((v, k) => v - dot(other, z) * z[k]));
    return [x, cross(z, x), z];
  };
  const VIEWS = { free: () => frame(START[0], START[1]), a: () => along(0), b: () => along(1), c: () => along(2) };

  // Turning the reader's frame by small angles about its own vertical (dx) and horizontal (dy).
  function turned(dx, dy) {
    const [x, y, z] = turn;
    const mix = (p, q, a) => p.map((v, k) => v * Math.cos(a) + q[k] * Math.sin(a));
    const x1 = mix(x, z, -dx);
    turn = frame(x1, mix(y, cross(x1, y), dy));
    press("view", null);
    draw();
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
    const w = Math.max(box.width, 100), h = Math.max(box.height, 100);
    canvas.width = Math.round(w * ratio); canvas.height = Math.round(h * ratio);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement), colour = name => style.getPropertyValue(name).trim();
    pen.fillStyle = colour("--card"); pen.fillRect(0, 0, w, h);
    const scale = 0.47 * Math.min(w, h) / longest * zoom, place = v => [w / 2 + scale * dot(turn[0], v), h / 2 - scale * dot(turn[1], v)];
    const size = Math.max(1.1, Math.min(3, 1.3 * Math.sqrt(zoom)));
    if (shown.indexed) points(data.indexed, colour("--one"), place, (x, y, near) => {
      pen.globalAlpha = 0.35 + 0.6 * near;
      pen.beginPath(); pen.arc(x, y, size * (0.7 + 0.6 * near), 0, 7); pen.fill();
    });
    if (shown.unindexed) points(data.unindexed, colour("--two"), place, (x, y, near) => {
      const s = size * (1.3 + near);
      pen.globalAlpha = 0.45 + 0.55 * near;
      pen.beginPath(); pen.moveTo(x - s, y); pen.lineTo(x, y - s); pen.lineTo(x + s, y); pen.lineTo(x, y + s); pen.closePath(); pen.stroke();
    });
    pen.globalAlpha = 1;
    axes(place, colour("--ink"), w, h);
  }

  function points(list, colour, place, mark) {
    pen.fillStyle = pen.strokeStyle = colour; pen.lineWidth = 1;
    for (let k = 0; k < list.length; k += 3) {
      const v = [list[k], list[k + 1], list[k + 2]], [x, y] = place(v);
      mark(x, y, 0.5 + 0.5 * dot(turn[2], v) / longest);
    }
  }

  // The axes as long as four of their steps, but at least a quarter of the cloud.
  function axes(place, colour, w, h) {
    pen.strokeStyle = pen.fillStyle = colour; pen.lineWidth = 1.6; pen.font = "13px system-ui, sans-serif";
    data.axes.forEach((axis, k) => {
      const length = Math.hypot(...axis) / data.step, far = Math.max(4, 0.25 * longest / length);
      const [x, y] = place(axis.map(v => v / data.step * far));
      pen.beginPath(); pen.moveTo(w / 2, h / 2); pen.lineTo(x, y); pen.stroke();
      pen.fillText("abc"[k] + "*", x + 4, y - 4);
    });
  }

  function press(key, value) {
    document.querySelectorAll(`[data-${key}]`).forEach(button => button.setAttribute("aria-pressed", String(button.dataset[key] === value)));
  }
  function look(view) { turn = VIEWS[view](); press("view", view); draw(); }
  function toggle(kind) {
    shown[kind] = !shown[kind];
    document.querySelector(`[data-kind="${kind}"]`).setAttribute("aria-pressed", String(shown[kind]));
    draw();
  }
  function closer(factor) { zoom = Math.min(40, Math.max(0.5, zoom * factor)); draw(); }

  document.querySelectorAll("[data-view]").forEach(button => button.addEventListener("click", () => look(button.dataset.view)));
  document.querySelectorAll("[data-kind]").forEach(button => button.addEventListener("click", () => toggle(button.dataset.kind)));
  let from = null;
  canvas.addEventListener("pointerdown", event => { from = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", event => {
    if (!from) return;
    turned((event.clientX - from[0]) / 200, (event.clientY - from[1]) / 200);
    from = [event.clientX, event.clientY];
  });
  ["pointerup", "pointercancel"].forEach(name => canvas.addEventListener(name, () => { from = null; }));
  // The wheel belongs to the page until the view was clicked or reached by the tab key.
  canvas.addEventListener("wheel", event => {
    if (document.activeElement !== canvas) return;
    event.preventDefault();
    closer(Math.exp(-event.deltaY / 500));
  }, { passive: false });
  const KEYS = { ArrowLeft: () => turned(-0.06, 0), ArrowRight: () => turned(0.06, 0), ArrowUp: () => turned(0, -0.06), ArrowDown: () => turned(0, 0.06), "+": () => closer(1.2), "-": () => closer(1 / 1.2), a: () => look("a"), b: () => look("b"), c: () => look("c"), i: () => toggle("indexed"), u: () => toggle("unindexed"), Home: () => { zoom = 1; look("free"); } };
  canvas.addEventListener("keydown", event => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    KEYS[event.key]();
  });
  window.addEventListener("resize", draw);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  look("free");
})();
