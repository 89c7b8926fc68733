// Fixes drawn straight onto a canvas out of flat arrays: 100,000 of them stay smooth. Circles are true metres.
import { symbol, lookOf, FONT } from "/static/map/looks.js";
import { toMap, unitsPerMetre } from "/static/map/places.js";

const MANY = 1500, CELL_PX = 4, CIRCLE_CELL_PX = 24, EDGE_PX = 100, SLOW_MS = 8, MOST_FILLED_PX = 110;

// Features of role "fix", oldest first where they have times.
export function fixSet(features) {
  const timed = features.map((f) => [Date.parse(f.properties.time ?? ""), f]);
  if (timed.every(([time]) => Number.isFinite(time))) timed.sort((a, b) => a[0] - b[0]);
  const n = timed.length, xs = new Float64Array(n), ys = new Float64Array(n), east = new Float32Array(n), north = new Float32Array(n);
  const times = new Float64Array(n), properties = new Array(n);
  timed.forEach(([time, f], k) => {
    const [lon, lat] = f.geometry.coordinates, radius = f.properties.accuracy_m;
    [xs[k], ys[k]] = toMap(lon, lat);
    if (radius > 0) { const [e, nn] = unitsPerMetre(lat); east[k] = radius * e; north[k] = radius * nn; }
    times[k] = time;
    properties[k] = f.properties;
  });
  return { n, xs, ys, east, north, times, properties, looks: properties.map(lookOf) };
}

export function extentOf(set) {
  const extent = [Infinity, Infinity, -Infinity, -Infinity];
  for (let k = 0; k < set.n; k++) {
    extent[0] = Math.min(extent[0], set.xs[k]); extent[1] = Math.min(extent[1], set.ys[k]);
    extent[2] = Math.max(extent[2], set.xs[k]); extent[3] = Math.max(extent[3], set.ys[k]);
  }
  return extent;
}

// Indices of the fixes within so many pixels of a place, the nearest first.
export function fixesAt(set, [x, y], units, last) {
  const found = [];
  for (let k = 0; k <= Math.min(last, set.n - 1); k++) {
    const far = Math.hypot(set.xs[k] - x, set.ys[k] - y);
    if (far <= units) found.push([far, k]);
  }
  return found.sort((a, b) => a[0] - b[0]).map(([, k]) => k);
}

// The layer; `state` holds set, colours, `shown` (indices from, to), `now` (index or -1) and `marked` (indices). While the map is
// dragged or zoomed, what was drawn last is moved along; it is drawn anew when the map rests.
export function fixLayer(state) {
  const canvas = document.createElement("canvas");
  canvas.className = "tw-map__fixes";
  let kept;
  const draw = (frame) => {
    const moving = frame.viewHints[0] || frame.viewHints[1];
    if (moving && kept && kept.took > SLOW_MS && kept.size === String(frame.size)) {
      const t = frame.coordinateToPixelTransform, [x, y, scale] = [kept.t[4], kept.t[5], t[0] / kept.t[0]];
      const [fx, fy] = [-x / kept.t[0], -y / kept.t[3]];
      canvas.style.transform = `matrix(${scale},0,0,${scale},${t[0] * fx + t[4] - EDGE_PX * (scale - 1)},${t[3] * fy + t[5] - EDGE_PX * (scale - 1)})`;
      return canvas;
    }
    const began = performance.now(), scale = frame.pixelRatio, [width, height] = frame.size.map((side) => side + 2 * EDGE_PX);
    const sides = [Math.round(width * scale), Math.round(height * scale)];
    if (canvas.width !== sides[0] || canvas.height !== sides[1]) [canvas.width, canvas.height] = sides;
    Object.assign(canvas.style, { left: `${-EDGE_PX}px`, top: `${-EDGE_PX}px`, width: `${width}px`, height: `${height}px`, transform: "" });
    const c = canvas.getContext("2d"), t = [...frame.coordinateToPixelTransform];
    c.setTransform(1, 0, 0, 1, 0, 0);
    c.clearRect(0, 0, ...sides);
    c.setTransform(scale, 0, 0, scale, EDGE_PX * scale, EDGE_PX * scale);
    drawFixes(c, state, t, frame.size, scale);
    kept = { t, took: performance.now() - began, size: String(frame.size) };
    return canvas;
  };
  return new window.ol.layer.Layer({ render: draw, zIndex: 20 });
}

function drawFixes(c, state, t, size, scale) {
  const { set, colours } = state, seen = inView(state, t, size), many = seen.length > MANY;
  state.thinned(many);
  drawCircles(c, set, colours, many ? thinned(seen, CIRCLE_CELL_PX, size) : seen, t[0], seen.length <= 400);
  if (state.now >= 0) drawTail(c, state, t);
  if (many) drawSquares(c, set, colours, thinned(seen, CELL_PX, size));
  else drawSymbols(c, set, colours, seen, scale);
  drawLabels(c, set, colours, seen);
  for (const k of [...state.marked, ...(state.now >= 0 ? [state.now] : [])]) {
    const [x, y] = [t[0] * set.xs[k] + t[4], t[3] * set.ys[k] + t[5]];
    drawCircles(c, set, colours, [[k, x, y]], t[0], true);
    drawMark(c, colours, x, y);
  }
}

function drawSymbols(c, set, colours, seen, scale) {
  const sprites = new Map();
  for (const [k, x, y] of seen) {
    const { grade = "" } = set.properties[k], key = set.looks[k] + grade;
    if (!sprites.has(key)) sprites.set(key, symbol(set.looks[k], colours, { size: 4.5, scale, grade }));
    const sprite = sprites.get(key), half = sprite.width / scale / 2;
    c.drawImage(sprite, x - half, y - half, 2 * half, 2 * half);
  }
}

// Many fixes as small squares, hollow where a fix does not count: far cheaper than symbols.
function drawSquares(c, set, colours, seen) {
  for (const look of new Set(set.looks)) {
    const some = seen.filter(([k]) => set.looks[k] === look);
    c.fillStyle = colours[look] || colours.fix;
    for (const [, x, y] of some) c.fillRect(Math.round(x) - 2, Math.round(y) - 2, 5, 5);
    if (look !== "hollow") continue;
    c.fillStyle = colours.halo;
    for (const [, x, y] of some) c.fillRect(Math.round(x) - 1, Math.round(y) - 1, 3, 3);
  }
}

// [index, x, y] in pixels of what is shown and touches the view.
function inView({ set, shown }, t, [width, height]) {
  const found = [], last = Math.min(set.n - 1, shown[1]);
  for (let k = Math.max(0, shown[0]); k <= last; k++) {
    const x = t[0] * set.xs[k] + t[4], y = t[3] * set.ys[k] + t[5], edge = EDGE_PX + 12 + set.east[k] * t[0];
    if (x > -edge && y > -edge && x < width + edge && y < height + edge) found.push([k, x, y]);
  }
  return found;
}

// One fix a cell of the view: the others would be drawn over it.
function thinned(seen, cell, [width, height]) {
  const columns = Math.ceil((width + 2 * EDGE_PX) / cell), taken = new Uint8Array(columns * Math.ceil((height + 2 * EDGE_PX) / cell));
  return seen.filter(([, x, y]) => {
    const column = Math.floor((x + EDGE_PX) / cell), row = Math.floor((y + EDGE_PX) / cell), at = row * columns + column;
    return column >= 0 && column < columns && row >= 0 && at < taken.length && !taken[at] && (taken[at] = 1);
  });
}

function drawCircles(c, set, colours, seen, pixels, filled) {
  c.lineWidth = 1.2;
  for (const [k, x, y] of seen) {
    const rx = set.east[k] * pixels, ry = set.north[k] * pixels;
    if (!(rx > 4)) continue;
    const colour = colours[set.looks[k]] || colours.fix;
    c.beginPath(); c.ellipse(x, y, rx, ry, 0, 0, 7);
    c.setLineDash(set.looks[k] === "hollow" ? [4, 4] : []);
    if (filled && rx < MOST_FILLED_PX) { c.globalAlpha = 0.08; c.fillStyle = colour; c.fill(); }
    c.globalAlpha = filled ? 0.8 : 0.35; c.strokeStyle = colour; c.stroke();
  }
  c.globalAlpha = 1; c.setLineDash([]);
}

// The way before the present fix of a playback, gaps dotted.
function drawTail(c, { set, now, gapEnds, colours, tail = 500 }, t) {
  for (const [width, colour] of [[6, colours.halo], [3.5, colours.now]]) {
    c.lineWidth = width; c.strokeStyle = colour; c.lineJoin = "round";
    for (let k = Math.max(1, now - tail); k <= now; k++) {
      c.setLineDash(gapEnds.has(set.times[k]) ? [2, 8] : []);
      c.beginPath();
      c.moveTo(t[0] * set.xs[k - 1] + t[4], t[3] * set.ys[k - 1] + t[5]); c.lineTo(t[0] * set.xs[k] + t[4], t[3] * set.ys[k] + t[5]);
      c.stroke();
    }
  }
  c.setLineDash([]);
}

function drawLabels(c, set, colours, seen) {
  const taken = new Set();
  c.font = `bold 12px ${FONT}`; c.textBaseline = "middle"; c.lineJoin = "round";
  for (const [k, x, y] of seen) {
    const label = set.properties[k].label;
    if (!label) continue;
    const cells = [];
    for (let step = 0; step <= label.length * 7; step += 20) cells.push(`${Math.round((x + step) / 20)},${Math.round(y / 16)}`);
    if (cells.some((cell) => taken.has(cell))) continue;
    cells.forEach((cell) => taken.add(cell));
    c.strokeStyle = colours.halo; c.lineWidth = 4; c.strokeText(label, x + 9, y);
    c.fillStyle = colours.ink; c.fillText(label, x + 9, y);
  }
}

function drawMark(c, colours, x, y) {
  for (const [width, colour] of [[7, colours.halo], [4, colours.now]]) {
    c.beginPath(); c.arc(x, y, 11, 0, 7); c.lineWidth = width; c.strokeStyle = colour; c.stroke();
  }
}
