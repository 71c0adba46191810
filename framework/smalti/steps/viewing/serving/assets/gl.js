// The picture by WebGL2: counts are an integer texture, and contrast is a few numbers for the shader, so that
// changing it asks nobody.

const VERTEX = `#version 300 es
layout(location = 0) in vec2 place;
layout(location = 1) in vec2 texel;
uniform vec2 centre, half_screen;
uniform float zoom;
out vec2 at;
void main() {
  at = texel;
  gl_Position = vec4((place - centre) * zoom / half_screen * vec2(1.0, -1.0), 0.0, 1.0);
}`;

// One program for each scale: the processor that has to stand in for a graphics card works out all three otherwise.
const SCALES = {
  linear: "t",
  sqrt: "sqrt(t)",
  log: "log(1.0 + t * span) / log(1.0 + span)",
};
const fragment = (scale) => `#version 300 es
precision highp float;
precision highp int;
precision highp isampler2D;
uniform isampler2D counts;
uniform sampler2D table;
uniform float low, span, divisor, footprint;
uniform vec2 last;
uniform int lowest;
uniform vec3 empty[4];
in vec2 at;
out vec4 colour;

int count(vec2 p) {
  return texelFetch(counts, ivec2(p), 0).r;
}
// Compared before it is subtracted: the difference of 32-bit numbers may not fit.
bool counted(int c) {
  return c >= lowest + 4;
}
float shade(int c) {
  float t = clamp((float(c) / divisor - low) / span, 0.0, 1.0);
  return ${SCALES[scale]};
}
vec4 painted(float t) {
  return texelFetch(table, ivec2(int(t * 255.0 + 0.5), 0), 0);
}
void main() {
  vec2 here = clamp(at, vec2(0.0), last);
  int middle = count(here);
  if (!counted(middle)) { colour = vec4(empty[middle - lowest], 1.0); return; } // gaps keep their width
  if (footprint <= 1.05) { colour = painted(shade(middle)); return; }
  // A screen pixel that covers more than one of the level shows the mean of four places in it.
  float reach = 0.25 * footprint;
  vec2 a = max(here - reach, vec2(0.0)), b = min(here + reach, last);
  ivec4 c = ivec4(count(a), count(vec2(b.x, a.y)), count(vec2(a.x, b.y)), count(b));
  float sum = 0.0, n = 0.0;
  for (int k = 0; k < 4; k++) if (counted(c[k])) { sum += shade(c[k]); n += 1.0; }
  colour = painted(n > 0.0 ? sum / n : shade(middle));
}`;
const UNIFORMS = [
  "centre", "half_screen", "zoom", "low", "span", "divisor", "footprint", "last", "lowest", "empty", "counts", "table",
];
const PATIENCE = 3000; // ms that a lost context has to come back

export class GlPainter {
  static make(canvas, back) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
    return gl ? new GlPainter(gl, back) : null;
  }

  // back(whether): called when a lost context is there again, or does not come back.
  constructor(gl, back) {
    this.gl = gl;
    this.name = "gl";
    this.build();
    // Drivers that are restarted, and browsers short of memory, take all textures away.
    gl.canvas.addEventListener("webglcontextlost", (event) => {
      event.preventDefault();
      this.lost = true;
      this.waiting = setTimeout(() => back(false), PATIENCE);
    });
    gl.canvas.addEventListener("webglcontextrestored", () => {
      clearTimeout(this.waiting);
      this.build();
      back(true);
    });
  }

  build() {
    const { gl } = this;
    this.lost = false;
    this.programs = {};
    this.textures = new Map();
    this.places = gl.createBuffer();
    gl.bindVertexArray(gl.createVertexArray());
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    for (const index of [0, 1]) {
      gl.enableVertexAttribArray(index);
      gl.vertexAttribPointer(index, 2, gl.FLOAT, false, 16, 8 * index);
    }
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.table = texture(gl);
  }

  setTable(bytes) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  }

  // Places of the uniforms in the program of a scale, which is made when it is first wanted.
  use(scale) {
    const { gl } = this;
    let found = this.programs[scale];
    if (!found) {
      const made = program(gl, fragment(scale));
      found = { made, where: Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(made, name)])) };
      this.programs[scale] = found;
    }
    gl.useProgram(found.made);
    return found.where;
  }

  draw(view) {
    const { gl } = this;
    if (this.lost) return;
    const { width, height } = gl.canvas;
    gl.viewport(0, 0, width, height);
    gl.clearColor(...view.nothing.map((value) => value / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (!view.parts.length) return;
    const where = this.use(view.scale);
    gl.uniform2f(where.centre, ...view.centre);
    gl.uniform2f(where.half_screen, width / 2, height / 2);
    gl.uniform1f(where.zoom, view.zoom);
    gl.uniform1f(where.low, view.low);
    gl.uniform1f(where.span, Math.max(view.high - view.low, 1e-9));
    gl.uniform3fv(where.empty, view.empty.flat().map((value) => value / 255));
    gl.uniform1i(where.counts, 0);
    gl.uniform1i(where.table, 1);
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.activeTexture(gl.TEXTURE0);
    for (const part of view.parts) {
      gl.bindTexture(gl.TEXTURE_2D, this.textureOf(part));
      gl.uniform1f(where.divisor, part.divisor);
      gl.uniform1i(where.lowest, part.lowest);
      gl.uniform1f(where.footprint, 1 / (view.zoom * (1 << part.level)));
      gl.uniform2f(where.last, part.width - 0.5, part.height - 0.5);
      const vertices = quads(part, view.patches);
      gl.bufferData(gl.ARRAY_BUFFER, vertices, gl.STREAM_DRAW);
      gl.drawArrays(gl.TRIANGLES, 0, vertices.length / 4);
    }
  }

  textureOf(part) {
    const { gl } = this;
    let found = this.textures.get(part);
    if (!found) {
      found = texture(gl);
      const [inside, kind] = part.narrow ? [gl.R16I, gl.SHORT] : [gl.R32I, gl.INT];
      gl.texImage2D(gl.TEXTURE_2D, 0, inside, part.width, part.height, 0, gl.RED_INTEGER, kind, part.data);
      this.textures.set(part, found);
    }
    return found;
  }

  forget(part) {
    this.gl.deleteTexture(this.textures.get(part) ?? null);
    this.textures.delete(part);
  }
}

// Two triangles for what each patch of the frame shows of a part: place on the layout, and texel.
function quads(part, patches) {
  const step = 1 << part.level;
  const out = [];
  for (const { rectangle: [left, top, right, bottom], window: [x0, y0], matrix: m } of cut(part, patches)) {
    const corners = [[left, top], [right, top], [left, bottom], [right, bottom]].map(([x, y]) => {
      const px = x - x0, py = y - y0;
      return [m[0] * px + m[1] * py + m[4], m[2] * px + m[3] * py + m[5], (x - part.x) / step, (y - part.y) / step];
    });
    for (const k of [0, 1, 2, 2, 1, 3]) out.push(...corners[k]);
  }
  return new Float32Array(out);
}

// The rectangles of the raw frame that a part and the patches have in common.
export function cut(part, patches) {
  const step = 1 << part.level;
  const [right, bottom] = [part.x + part.width * step, part.y + part.height * step];
  const found = [];
  for (const { window, matrix } of patches) {
    const [x0, y0, w, h] = window;
    const rectangle = [Math.max(x0, part.x), Math.max(y0, part.y), Math.min(x0 + w, right), Math.min(y0 + h, bottom)];
    if (rectangle[2] > rectangle[0] && rectangle[3] > rectangle[1]) found.push({ rectangle, window, matrix });
  }
  return found;
}

function texture(gl) {
  const made = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, made);
  for (const name of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, name, gl.NEAREST);
  for (const name of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, name, gl.CLAMP_TO_EDGE);
  return made;
}

function program(gl, source) {
  const made = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, source]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  return made;
}
