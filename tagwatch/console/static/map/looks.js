// How each role looks: shape, line and pattern first, colour besides. Colours come from the style sheet, so a theme changes them.
const ol = () => window.ol;
const NAMES = ["ink", "halo", "fix", "hollow", "way", "gap", "exclusion", "inclusion", "buffer", "home", "crime", "vicinity", "position",
  "street", "now", "critical", "high", "medium", "low", "placed", "possible", "excluded", "unmonitored", "land", "sea", "coast", "graticule"];
export const FONT = "Arial, Helvetica, sans-serif";

export function coloursOf(element) {
  const style = getComputedStyle(element);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--map-${name}`).trim() || "#777777"]));
}

export const WORDS = {
  fix: "Fix, with its accuracy in true metres", hollow: "Fix that does not count", way: "Way from fix to fix", gap: "No position measured",
  exclusion: "Exclusion zone", inclusion: "Inclusion zone", buffer: "Early warning about a zone", home: "Home or place of a curfew",
  crime: "Crime", vicinity: "Vicinity", position: "Last position", placed: "Placed", possible: "Possible", excluded: "Excluded",
  unmonitored: "Not monitored", street: "Street", critical: "Ring: open alert, critical", high: "Ring: open alert, high",
  medium: "Ring: open alert, medium", low: "Ring: open alert, low",
};

// What a feature is in the key and in its look.
export function lookOf(properties) {
  const { role, kind, verdict, weight } = properties;
  if (role === "zone") return kind === "inclusion" || kind === "buffer" ? kind : "exclusion";
  if (role === "fix" && weight === false) return "hollow";
  if ((role === "fix" || role === "position") && verdict in WORDS) return verdict;
  return role in WORDS ? role : "vicinity";
}

const outline = (c, n, r, turn = -Math.PI / 2) => {
  c.beginPath();
  for (let k = 0; k < n; k++) c.lineTo(r * Math.cos(turn + 2 * Math.PI * k / n), r * Math.sin(turn + 2 * Math.PI * k / n));
  c.closePath();
};
const POINTS = {
  fix: (c, r) => { c.beginPath(); c.arc(0, 0, r, 0, 7); },
  placed: (c, r) => outline(c, 4, r * 1.3),
  possible: (c, r) => outline(c, 3, r * 1.3),
  excluded: (c, r) => { c.beginPath(); for (const s of [1, -1]) { c.moveTo(-r, -r * s); c.lineTo(r, r * s); } },
  unmonitored: (c, r) => { c.beginPath(); c.rect(-r * 0.9, -r * 0.9, r * 1.8, r * 1.8); },
  home: (c, r) => { c.beginPath(); [[-1.1, 0], [0, -1.2], [1.1, 0], [0.8, 0], [0.8, 1], [-0.8, 1], [-0.8, 0]].forEach(([x, y]) => c.lineTo(x * r, y * r)); c.closePath(); },
  crime: (c, r) => { c.beginPath(); for (let k = 0; k < 10; k++) { const q = (k % 2 ? 0.5 : 1.25) * r, a = k * Math.PI / 5 - Math.PI / 2; c.lineTo(q * Math.cos(a), q * Math.sin(a)); } c.closePath(); },
  position: (c, r) => { c.beginPath(); c.arc(0, 0, r, 0, 7); c.moveTo(r * 1.7, 0); c.arc(0, 0, r * 1.7, 0, 7); },
};
const OPEN = new Set(["hollow", "possible", "unmonitored"]);

// A point's symbol on a small canvas; `grade` puts a ring about it, the worse the thicker.
export function symbol(look, colours, { size = 5, scale = 1, grade = "" } = {}) {
  const half = size * 1.9 + 3, canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.ceil(2 * half * scale);
  const c = canvas.getContext("2d"), colour = colours[look] || colours.fix;
  c.setTransform(scale, 0, 0, scale, canvas.width / 2, canvas.height / 2);
  (POINTS[look] || POINTS.fix)(c, size);
  c.lineJoin = "round";
  c.strokeStyle = colours.halo; c.lineWidth = 4; c.stroke();
  c.fillStyle = OPEN.has(look) ? colours.halo : colour;
  if (look === "position") { c.strokeStyle = colour; c.lineWidth = 2; c.stroke(); c.beginPath(); c.arc(0, 0, size, 0, 7); }
  if (look !== "excluded") c.fill();
  c.strokeStyle = colour; c.lineWidth = look === "excluded" ? 2.5 : 2; c.stroke();
  if (grade && colours[grade]) {
    c.beginPath(); c.arc(0, 0, size * 1.7, 0, 7);
    c.strokeStyle = colours[grade]; c.lineWidth = { critical: 4, high: 3, medium: 2, low: 1.5 }[grade] || 2; c.stroke();
  }
  return canvas;
}

const hatches = new Map();
function hatch(colour) {
  if (!hatches.has(colour)) {
    const canvas = document.createElement("canvas"), c = canvas.getContext("2d");
    canvas.width = canvas.height = 10;
    c.strokeStyle = colour; c.globalAlpha = 0.5; c.lineWidth = 1.2;
    for (const k of [-10, 0, 10]) { c.moveTo(k, 10); c.lineTo(k + 10, 0); }
    c.stroke();
    hatches.set(colour, c.createPattern(canvas, "repeat"));
  }
  return hatches.get(colour);
}

const LINES = {
  way: { width: 2.5 }, gap: { width: 2, dash: [2, 6] }, street: { width: 3 }, exclusion: { width: 2.5 }, inclusion: { width: 2.5, dash: [12, 4] },
  buffer: { width: 1.5, dash: [6, 5] }, home: { width: 2.5, dash: [14, 3, 3, 3] }, vicinity: { width: 2, dash: [8, 4] }, crime: { width: 2 },
};
const ORDER = ["street", "buffer", "inclusion", "exclusion", "vicinity", "home", "gap", "way"];

// The style function of all roles but fixes.
export function styler(colours) {
  const { Style, Stroke, Fill, Icon, Text } = ol().style, kept = new Map();
  const made = (look, grade) => {
    const line = LINES[look] || LINES.vicinity, colour = colours[look];
    const image = new Icon({ img: symbol(look, colours, { size: 7, scale: 2, grade }), scale: 0.5, declutterMode: "obstacle" });
    const fill = look === "exclusion" ? new Fill({ color: hatch(colour) }) : look === "inclusion" || look === "home" ? new Fill({ color: `${colour}1c` }) : undefined;
    const stroke = new Stroke({ color: colour, width: line.width, lineDash: line.dash });
    const zIndex = ORDER.indexOf(look) < 0 ? 20 : ORDER.indexOf(look);
    return [new Style({ stroke: new Stroke({ color: colours.halo, width: line.width + 2 }), zIndex: zIndex - 0.5 }), new Style({ image, fill, stroke, zIndex })];
  };
  return (feature) => {
    const look = lookOf(feature.getProperties()), grade = feature.get("grade") || "", key = look + grade;
    if (!kept.has(key)) kept.set(key, made(look, grade));
    const label = feature.get("label");
    if (!label) return kept.get(key);
    const point = feature.getGeometry().getType() === "Point";
    const text = new Text({
      text: String(label), font: `bold 13px ${FONT}`, fill: new Fill({ color: colours.ink }), stroke: new Stroke({ color: colours.halo, width: 4 }),
      offsetX: point ? 18 : 0, textAlign: point ? "left" : undefined, overflow: true, declutterMode: "declutter",
    });
    return [...kept.get(key), new Style({ text, zIndex: 30 })];
  };
}

// The sample in the key.
const GRADES = new Set(["critical", "high", "medium", "low"]);
export function sample(look, colours) {
  if (GRADES.has(look)) return Object.assign(symbol("fix", { ...colours, fix: colours.halo }, { scale: 2, size: 5, grade: look }), { className: "tw-map__point" });
  if (look in POINTS || look === "hollow") {
    const canvas = symbol(look, colours, { scale: 2, size: 5 });
    canvas.className = "tw-map__point";
    return canvas;
  }
  const canvas = document.createElement("canvas"), c = canvas.getContext("2d"), line = LINES[look] || LINES.vicinity;
  canvas.width = 60; canvas.height = 32; canvas.className = "tw-map__line";
  c.scale(2, 2);
  c.strokeStyle = colours[look]; c.lineWidth = line.width; c.setLineDash(line.dash || []);
  if (["exclusion", "inclusion", "buffer", "vicinity"].includes(look)) {
    c.beginPath(); c.rect(2, 2, 26, 12);
    if (look === "exclusion") { c.fillStyle = hatch(colours[look]); c.fill(); }
  } else { c.beginPath(); c.moveTo(1, 8); c.lineTo(29, 8); }
  c.stroke();
  return canvas;
}
