// The picture by WebGL2: counts are an integer texture, and contrast is a few numbers for the shader, so that
// changing it asks nobody.

const VERTEX = `#version 300 es
in vec2 place;
in vec2 texel;
uniform vec2 centre, half_screen;
uniform float zoom;
out vec2 at;
void main() {
  at = texel;
  gl_Position = vec4((place - centre) * zoom / half_screen * vec2(1.0, -1.0), 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp isampler2D;
uniform isampler2D counts;
uniform sampler2D table;
uniform float low, high, divisor, footprint;
uniform int mode, lowest;
uniform vec3 empty[4];
in vec2 at;
out vec4 colour;

int count(vec2 p) {
  return texelFetch(counts, clamp(ivec2(floor(p)), ivec2(0), textureSize(counts, 0) - 1), 0).r;
}
float shade(int c) {
  float span = max(high - low, 1e-9);
  float t = clamp((float(c) / divisor - low) / span, 0.0, 1.0);
  return mode == 1 ? sqrt(t) : mode == 2 ? log(1.0 + t * span) / log(1.0 + span) : t;
}
void main() {
  int c = count(at);
  // Compared before it is subtracted: the difference of 32-bit numbers may not fit.
  if (c < lowest + 4) { colour = vec4(empty[c - lowest], 1.0); return; }
  float t = shade(c);
  if (footprint > 1.05) {
    // A screen pixel that covers more than one of the level shows the mean of four places in it.
    float sum = 0.0, n = 0.0;
    for (int k = 0; k < 4; k++) {
      int near = count(at + (vec2(k & 1, k >> 1) - 0.5) * 0.5 * footprint);
      if (near >= lowest + 4) { sum += shade(near); n += 1.0; }
    }
    if (n > 0.0) t = sum / n;
  }
  colour = texture(table, vec2((t * 255.0 + 0.5) / 256.0, 0.5));
}`;

export class GlPainter {
  static make(canvas) {
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: false, preserveDrawingBuffer: true });
    return gl ? new GlPainter(gl) : null;
  }

  constructor(gl) {
    this.gl = gl;
    this.name = "gl";
    this.program = program(gl);
    gl.useProgram(this.program);
    this.where = {};
    for (const name of ["centre", "half_screen", "zoom", "low", "high", "divisor", "footprint", "mode", "lowest", "empty", "counts", "table"])
      this.where[name] = gl.getUniformLocation(this.program, name);
    this.places = gl.createBuffer();
    const array = gl.createVertexArray();
    gl.bindVertexArray(array);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.places);
    ["place", "texel"].forEach((name, k) => {
      const index = gl.getAttribLocation(this.program, name);
      gl.enableVertexAttribArray(index);
      gl.vertexAttribPointer(index, 2, gl.FLOAT, false, 16, 8 * k);
    });
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
    this.table = texture(gl);
    this.textures = new Map();
    this.lost = false;
    gl.canvas.addEventListener("webglcontextlost", (event) => { event.preventDefault(); this.lost = true; });
  }

  setTable(bytes) {
    const { gl } = this;
    gl.activeTexture(gl.TEXTURE1);
    gl.bindTexture(gl.TEXTURE_2D, this.table);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  }

  draw(view) {
    const { gl, where } = this;
    const { width, height } = gl.canvas;
    gl.viewport(0, 0, width, height);
    gl.clearColor(...view.nothing.map((value) => value / 255), 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform2f(where.centre, ...view.centre);
    gl.uniform2f(where.half_screen, width / 2, height / 2);
    gl.uniform1f(where.zoom, view.zoom);
    gl.uniform1f(where.low, view.low);
    gl.uniform1f(where.high, view.high);
    gl.uniform1i(where.mode, ["linear", "sqrt", "log"].indexOf(view.scale));
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

function program(gl) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  return made;
}
