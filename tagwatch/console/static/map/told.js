// What lies under a click, or in the middle of the map: a list in a corner of it, texts only.
import { fixesAt } from "/static/map/fixes.js";
import { lookOf, WORDS } from "/static/map/looks.js";
import { timeWords } from "/static/map/places.js";

const NEAR_PX = 9, MOST = 30;

export function addTold(map) {
  const box = document.createElement("div"), list = document.createElement("ul"), close = document.createElement("button");
  box.className = "tw-map__told"; box.hidden = true;
  box.setAttribute("role", "status");
  close.type = "button"; close.className = "tw-map__close"; close.textContent = "Close";
  close.addEventListener("click", () => { hide(); map.view.focus(); });
  box.append(close, list);
  map.view.append(box);
  for (const kind of ["pointerdown", "click", "dblclick", "wheel", "keydown"]) {
    box.addEventListener(kind, (event) => { if (event.key !== "Escape") event.stopPropagation(); });
  }

  function hide() {
    box.hidden = true; map.state.marked = []; map.redraw();
  }
  function show(pixel) {
    const found = under(map, pixel);
    map.state.marked = found.map(({ fix }) => fix).filter((k) => k !== undefined);
    list.replaceChildren(...found.slice(0, MOST).map(({ properties }) => line(properties)));
    if (found.length > MOST) list.append(item(`and ${found.length - MOST} more: zoom in`));
    box.hidden = !found.length;
    map.redraw();
    return found.length;
  }
  map.view.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !box.hidden) { hide(); event.stopPropagation(); }
  });
  return { show, hide };
}

// Features under a pixel, fixes first, each once.
function under(map, pixel) {
  const units = NEAR_PX * map.ol.getView().getResolution(), place = map.ol.getCoordinateFromPixel(pixel);
  const found = fixesAt(map.state.set, place, units, map.state.shown[1]).map((fix) => ({ fix, properties: map.state.set.properties[fix] }));
  const touched = new Set(), take = (feature) => { if (feature.get("role")) touched.add(feature); };
  map.ol.forEachFeatureAtPixel(pixel, take, { hitTolerance: NEAR_PX - 4, layerFilter: (layer) => layer === map.features });
  map.features.getSource().getFeaturesAtCoordinate(place).forEach(take);
  return [...found, ...[...touched].map((feature) => ({ properties: feature.getProperties() }))];
}

function line(properties) {
  const { title, label, time, accuracy_m: accuracy, grade } = properties, words = WORDS[lookOf(properties)] || "";
  const facts = [title || [properties.role === "fix" ? "Fix" : words, label].filter(Boolean).join(" ")];
  if (time && !String(title ?? "").includes(String(time).slice(0, 10))) facts.push(timeWords(Date.parse(time)));
  if (accuracy > 0 && !/±|accura/i.test(title ?? "")) facts.push(`± ${Math.round(accuracy)} m`);
  if (properties.weight === false) facts.push("does not count");
  if (grade) facts.push(`grade ${grade}`);
  return item(facts.join(" · "));
}

function item(text) {
  const found = document.createElement("li");
  found.textContent = text;
  return found;
}
