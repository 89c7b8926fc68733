// An area drawn into an input as a GeoJSON feature: a polygon, or a point with radius_m. What is typed there is drawn.
import { toDegrees, toMap, unitsPerMetre } from "/static/map/places.js";
import { ring } from "/static/map/pick.js";

const LOOK = { role: "zone", kind: "exclusion" };

export function addDraw(map, id) {
  const input = document.getElementById(id), { Feature, Collection, interaction, style } = window.ol;
  if (!input) return;
  const drawn = new Collection(), bar = Object.assign(document.createElement("div"), { className: "tw-map__bar" });
  bar.setAttribute("role", "group"); bar.setAttribute("aria-label", "Drawing");
  let drawing, written = "";
  const modify = new interaction.Modify({ features: drawn });
  map.ol.addInteraction(modify);
  modify.on("modifyend", () => { const feature = drawn.item(0); if (feature) { if (feature.get("radius_m")) reshape(feature); write(); } });

  const buttons = { Polygon: () => start("Polygon"), Circle: () => start("Circle"), "Take back a corner": () => drawing?.removeLastPoint(), "Delete the area": () => { stop(); clear(); write(); map.say("The area is deleted."); } };
  for (const [text, work] of Object.entries(buttons)) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "tw-map__button", textContent: text === "Polygon" || text === "Circle" ? `Draw a ${text.toLowerCase()}` : text });
    button.addEventListener("click", work);
    bar.append(button);
  }
  map.view.after(bar);
  map.drawing = () => Boolean(drawing);
  map.view.addEventListener("keydown", (event) => { if (event.key === "Escape") stop(); });

  function stop() {
    if (drawing) map.ol.removeInteraction(drawing);
    drawing = undefined;
    modify.setActive(true);
  }
  function start(type) {
    stop();
    modify.setActive(false);
    drawing = new interaction.Draw({ type, stopClick: true, style: new style.Style({
      stroke: new style.Stroke({ color: map.colours.now, width: 3 }), fill: new style.Fill({ color: `${map.colours.now}22` }),
      image: new style.Circle({ radius: 6, fill: new style.Fill({ color: map.colours.now }) }) }) });
    drawing.on("drawend", ({ feature }) => { take(feature); setTimeout(stop); });
    map.ol.addInteraction(drawing);
    map.say(type === "Circle" ? "Click the middle, then the edge." : "Click corner after corner; double-click the last one.");
  }
  function clear() {
    drawn.forEach((feature) => map.overlay.removeFeature(feature));
    drawn.clear();
  }
  function put(feature) {
    clear();
    feature.setProperties(LOOK);
    drawn.push(feature); map.overlay.addFeature(feature);
  }
  function take(feature) {
    const geometry = feature.getGeometry();
    if (geometry.getType() === "Circle") {
      const [lon, lat] = toDegrees(geometry.getCenter());
      put(disc(lon, lat, Math.max(1, Math.round(geometry.getRadius() / unitsPerMetre(lat)[0]))));
    } else put(new Feature(geometry));
    write();
  }
  function disc(lon, lat, metres) {
    return new Feature({ geometry: ring(lon, lat, metres), centre: [lon, lat], radius_m: metres });
  }
  // A corner of a circle was moved: it stays a circle, through that corner.
  function reshape(feature) {
    const [lon, lat] = feature.get("centre"), [x, y] = toMap(lon, lat), [east, north] = unitsPerMetre(lat), old = feature.get("radius_m");
    const far = feature.getGeometry().getCoordinates()[0].map(([cx, cy]) => Math.hypot((cx - x) / east, (cy - y) / north));
    const moved = far.reduce((a, b) => (Math.abs(b - old) > Math.abs(a - old) ? b : a), old);
    put(disc(lon, lat, Math.max(1, Math.round(moved))));
  }
  function write() {
    const feature = drawn.item(0);
    written = feature ? JSON.stringify(geoJson(feature)) : "";
    input.value = written;
    for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
    if (feature) map.say("The area is drawn; its numbers are in the form.");
  }
  function typed() {
    if (input.value === written) return;
    written = input.value;
    clear();
    try { const feature = read(JSON.parse(input.value), disc); if (feature) { put(feature); map.fit(feature.getGeometry().getExtent()); } } catch { /* not yet GeoJSON: the form tells */ }
  }
  input.addEventListener("input", typed); input.addEventListener("change", typed);
  typed();
}

const seven = ([lon, lat]) => [+lon.toFixed(7), +lat.toFixed(7)];

function geoJson(feature) {
  const metres = feature.get("radius_m");
  if (metres) return { type: "Feature", properties: { radius_m: metres }, geometry: { type: "Point", coordinates: seven(feature.get("centre")) } };
  const rings = (polygon) => polygon.map((line) => line.map((place) => seven(toDegrees(place))));
  const geometry = feature.getGeometry(), many = geometry.getType() === "MultiPolygon";
  return { type: "Feature", properties: {}, geometry: { type: geometry.getType(), coordinates: many ? geometry.getCoordinates().map(rings) : rings(geometry.getCoordinates()) } };
}

function read(told, disc) {
  const feature = told.type === "Feature" ? told : { properties: {}, geometry: told }, { geometry, properties } = feature;
  const metres = Number(properties?.radius_m ?? told.radius_m);
  if (geometry?.type === "Point") return metres > 0 ? disc(...geometry.coordinates, metres) : undefined;
  return geometry?.type ? new window.ol.Feature(new window.ol.format.GeoJSON().readGeometry(geometry, { featureProjection: "EPSG:3857" })) : undefined;
}
