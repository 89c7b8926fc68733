// The maps of a page: each element with data-map shows the GeoJSON at that address. templates/map.html is its markup.
import { addBase, script } from "/static/map/base.js";
import { extentOf, fixLayer, fixSet } from "/static/map/fixes.js";
import { WORDS, coloursOf, lookOf, sample, styler } from "/static/map/looks.js";
import { addPick } from "/static/map/pick.js";
import { addTold } from "/static/map/told.js";
import { toMap } from "/static/map/places.js";

const NEAREST = 17, BRITAIN = [-8, 49.8, 2, 59];
const still = matchMedia("(prefers-reduced-motion: reduce)").matches;

class TagMap {
  constructor(element) {
    this.element = element;
    this.view = element.querySelector(".tw-map__view");
    this.themes = [];
    this.readColours();
    this.state = { set: fixSet([]), shown: [0, Infinity], now: -1, marked: [], gapEnds: new Set(), colours: this.colours, thinned: (yes) => this.tellThinned(yes) };
    this.build();
    this.told = addTold(this);
    if (element.dataset.pick) this.pick = addPick(this, element.dataset.pick);
    this.listen();
  }

  build() {
    const { Map, View, layer, source, interaction, control, events } = window.ol;
    const plain = (zIndex, style) => this.themed(new layer.Vector({ source: new source.Vector(), zIndex, declutter: "tagwatch" }), style);
    this.streets = plain(5, () => streetStyle(this.colours));
    this.features = plain(10, () => this.featureStyle());
    const over = plain(30, () => styler(this.colours));
    this.overlay = over.getSource();
    this.fixes = fixLayer(this.state);
    const wheel = new interaction.MouseWheelZoom({ condition: (e) => events.condition.platformModifierKeyOnly(e) || this.view.contains(document.activeElement) });
    const moves = interaction.defaults.defaults({ altShiftDragRotate: false, pinchRotate: false, mouseWheelZoom: false, zoomDuration: still ? 0 : 150 });
    this.ol = new Map({
      target: this.view, layers: [this.streets, this.features, this.fixes, over], interactions: moves.extend([wheel]),
      controls: control.defaults.defaults({ rotate: false, zoomOptions: { duration: still ? 0 : 150 }, attributionOptions: { collapsible: false } }).extend([new control.ScaleLine()]),
      view: new View({ maxZoom: 20, enableRotation: false, multiWorld: true }),
    });
    this.ol.addControl(this.allButton());
    this.fit(new window.ol.extent.boundingExtent([toMap(BRITAIN[0], BRITAIN[1]), toMap(BRITAIN[2], BRITAIN[3])]));
  }

  allButton() {
    const element = document.createElement("div"), button = Object.assign(document.createElement("button"), { type: "button", textContent: "All", title: "Show everything" });
    element.className = "tw-map__all ol-control";
    element.append(button);
    button.addEventListener("click", () => this.fitAll(true));
    return new window.ol.control.Control({ element });
  }

  listen() {
    const take = (pixel) => {
      if (this.pick) this.pick.take(this.ol.getCoordinateFromPixel(pixel));
      else if (!this.drawing?.() && !this.told.show(pixel)) this.say("Nothing is there.");
    };
    this.ol.on("singleclick", (event) => take(event.pixel));
    this.view.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target === this.view) { event.preventDefault(); take(this.ol.getSize().map((size) => size / 2)); }
    });
    new MutationObserver(() => this.changeTheme()).observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    matchMedia("(forced-colors: active)").addEventListener("change", () => this.changeTheme());
  }

  readColours() {
    this.colours = Object.assign(this.colours ?? {}, coloursOf(this.element));
  }

  changeTheme() {
    this.readColours();
    this.themes.forEach((change) => change());
    this.showKey();
    this.redraw();
  }

  onTheme(change) {
    this.themes.push(change);
  }

  // Gives a layer the style that `make` returns, now and after each change of theme.
  themed(layer, make) {
    layer.setStyle(make());
    this.onTheme(() => layer.setStyle(make()));
    return layer;
  }

  // While a trail is played its whole way stands back.
  dimWays(yes) {
    if (this.dim === yes) return;
    this.dim = yes;
    this.features.setStyle(this.featureStyle());
  }

  featureStyle() {
    const style = styler(this.colours);
    return this.dim ? (feature) => (["way", "gap"].includes(feature.get("role")) ? undefined : style(feature)) : style;
  }

  redraw() {
    this.fixes.changed();
  }

  say(text) {
    this.status ??= this.element.appendChild(Object.assign(document.createElement("p"), { className: "tw-map__said" }));
    this.status.setAttribute("role", "status");
    this.status.textContent = text;
  }

  tellThinned(yes) {
    if (!yes && !this.thin) return;
    this.thin ??= this.element.appendChild(Object.assign(document.createElement("p"), { className: "tw-map__said" }));
    this.thin.textContent = yes ? "Many fixes here: not every circle is drawn. Zoom in to see each." : "";
  }

  // Fetches and shows what lies at an address; what was shown before goes.
  async load(address) {
    this.element.dataset.map = address;
    const answer = await fetch(address, { headers: { accept: "application/geo+json, application/json" } });
    if (!answer.ok) { this.say("The map's data could not be had; open the page again."); return; }
    this.show(await answer.json());
  }

  show(collection) {
    const fixes = [], others = [];
    for (const feature of collection.features ?? []) (feature.properties?.role === "fix" && feature.geometry?.type === "Point" ? fixes : others).push(feature);
    this.state.set = fixSet(fixes);
    this.state.silentMs = collection.silent_s ? collection.silent_s * 1000 : undefined;
    this.state.marked = [];
    this.state.gapEnds = new Set(others.filter((f) => f.properties?.role === "gap").map((f) => Date.parse(f.properties.time ?? "")));
    const read = new window.ol.format.GeoJSON().readFeatures({ type: "FeatureCollection", features: others }, { featureProjection: "EPSG:3857" });
    const source = this.features.getSource();
    source.clear(true);
    source.addFeatures(read);
    const told = [...this.state.set.properties, ...read.map((feature) => feature.getProperties())];
    this.looks = [...new Set(told.flatMap((properties) => [lookOf(properties), properties.grade]))];
    this.showKey();
    this.fitAll();
    this.redraw();
    this.say(fixes.length + others.length ? "" : this.element.dataset.empty);
    this.element.dataset.shown = String(fixes.length + others.length);
    this.element.dispatchEvent(new CustomEvent("shown"));
  }

  // Shows everything; at first the scene of a crime with what lies about it, where there is one.
  fitAll(everything = false) {
    const { extent } = window.ol, all = extent.createEmpty();
    const scenes = everything ? [] : this.features.getSource().getFeatures().filter((feature) => feature.get("role") === "vicinity");
    for (const scene of scenes) extent.extend(all, scene.getGeometry().getExtent());
    if (scenes.length) { this.fit(extent.buffer(all, 1.5 * Math.max(extent.getWidth(all), extent.getHeight(all)))); return; }
    for (const part of [extentOf(this.state.set), this.features.getSource().getExtent(), this.pick?.extent()]) if (part && part[0] <= part[2]) extent.extend(all, part);
    if (!extent.isEmpty(all) || all[0] === all[2]) this.fit(all);
    else if (this.streets.getSource().getFeatures().length) this.fit(this.streets.getSource().getExtent());
  }

  fit(extent) {
    this.ol.getView().fit(extent, { padding: [30, 40, 40, 40], maxZoom: NEAREST, size: this.ol.getSize() });
  }

  showKey() {
    if (!this.looks?.length) { this.key?.replaceChildren(); return; }
    this.key ??= this.element.appendChild(Object.assign(document.createElement("ul"), { className: "tw-map__key" }));
    this.key.setAttribute("aria-label", "Key of the map");
    this.key.replaceChildren(...Object.keys(WORDS).filter((look) => this.looks.includes(look)).map((look) => {
      const line = document.createElement("li");
      line.append(sample(look, this.colours), WORDS[look]);
      return line;
    }));
  }
}

function streetStyle(colours) {
  const { Style, Stroke, Text, Fill } = window.ol.style;
  return (feature, resolution) => [
    new Style({ stroke: new Stroke({ color: colours.street, width: Math.max(1, Math.min(9, 8 / resolution)) }) }),
    ...(resolution < 2.5 && feature.get("name") ? [new Style({ text: new Text({
      text: feature.get("name"), placement: "line", font: "12px Arial, Helvetica, sans-serif", fill: new Fill({ color: colours.ink }), stroke: new Stroke({ color: colours.halo, width: 3 }) }) })] : []),
  ];
}

const maps = new Map();

// The map with this id, once it is there: `load(address)`, `show(collection)`, `fitAll()`.
export async function mapOf(id) {
  return maps.get(id);
}

async function start(element) {
  await script("/static/parts/ol/ol.js");
  const map = new TagMap(element);
  element.classList.add("tw-map--ready");
  const data = element.dataset.map ? map.load(element.dataset.map) : Promise.resolve();
  await Promise.all([addBase(map, data).catch(() => map.say("The base map could not be had.")), data]);
  if (!element.dataset.map) map.fitAll();
  if ("playback" in element.dataset) (await import("/static/map/playback.js")).addPlayback(map);
  if (element.dataset.draw) (await import("/static/map/draw.js")).addDraw(map, element.dataset.draw);
  element.dataset.ready = "";
  return map;
}

for (const element of document.querySelectorAll(".tw-map")) maps.set(element.id, start(element));
