// What lies below the data: tiles where a base map is set, else land and coast; a graticule; the streets of the demo.
import { FONT } from "/static/map/looks.js";

let told;
const baseOf = () => (told ??= fetch("/map/base.json").then((answer) => answer.json()));

// The coast is large to read: it comes once the data is shown.
export async function addBase(map, data) {
  const base = await baseOf(), { layer, source, format } = window.ol;
  map.view.classList.toggle("tw-map__view--land", base.kind === "pmtiles");
  const options = { attributions: base.attribution ? [asText(base.attribution)] : undefined };
  if (base.kind === "xyz") {
    add(map, new layer.Tile({ source: new source.XYZ({ url: "/map/tiles/{z}/{x}/{y}", maxZoom: base.max_zoom, ...options }), className: "tw-map__tiles" }));
  } else if (base.kind === "pmtiles") {
    await script("/static/parts/ol-pmtiles/olpmtiles.js");
    add(map, await archiveTiles(map, base.vector, options));
  } else {
    data.finally(() => setTimeout(() => addLand(map, options).catch(() => map.say("The coast could not be had.")), 50));
  }
  addGraticule(map);
  if (base.streets) {
    map.streets.getSource().addFeatures(new format.GeoJSON().readFeatures(base.streets, { featureProjection: "EPSG:3857" }));
  }
  return base;
}

const scripts = new Map();
export function script(address) {
  if (!scripts.has(address)) {
    scripts.set(address, new Promise((done, failed) => {
      const element = document.createElement("script");
      element.src = address; element.onload = done; element.onerror = () => failed(new Error(`${address} cannot be had`));
      document.head.append(element);
    }));
  }
  return scripts.get(address);
}

function add(map, made) {
  made.setZIndex(0);
  map.ol.addLayer(made);
}

async function addLand(map, options) {
  const atlas = await (await fetch("/static/parts/world-atlas/land-10m.json")).json();
  add(map, land(map, atlas, options));
}

function land(map, atlas, options) {
  const { format, layer, source } = window.ol;
  const read = new format.TopoJSON({ layers: ["land"] }).readFeatures(atlas, { featureProjection: "EPSG:3857" });
  const parts = read.flatMap((feature) => feature.getGeometry().getPolygons?.() ?? [feature.getGeometry()]);
  const { Style, Fill, Stroke } = window.ol.style;
  const style = () => new Style({ fill: new Fill({ color: map.colours.land }), stroke: new Stroke({ color: map.colours.coast, width: 1 }) });
  const features = parts.map((geometry) => new window.ol.Feature(geometry));
  return map.themed(new layer.Vector({ source: new source.Vector({ features, ...options }) }), style);
}

function addGraticule(map) {
  const { Stroke, Text, Fill } = window.ol.style;
  const make = () => {
    const label = (place) => new Text({ ...place, font: `12px ${FONT}`, fill: new Fill({ color: map.colours.ink }), stroke: new Stroke({ color: map.colours.halo, width: 3 }) });
    return new window.ol.layer.Graticule({
      strokeStyle: new Stroke({ color: map.colours.graticule, width: 1, lineDash: [1, 4] }), showLabels: true, wrapX: false, zIndex: 2, targetSize: 160,
      lonLabelStyle: label({ textBaseline: "top" }), latLabelStyle: label({ textAlign: "right" }), lonLabelPosition: 0.99, latLabelPosition: 0.995,
      intervals: [30, 10, 5, 2, 1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001],
      lonLabelFormatter: (lon) => `${+Math.abs(lon).toFixed(4)}° ${lon < 0 ? "W" : "E"}`, latLabelFormatter: (lat) => `${+Math.abs(lat).toFixed(4)}° ${lat < 0 ? "S" : "N"}`,
    });
  };
  let made = make();
  map.ol.addLayer(made);
  map.onTheme(() => { map.ol.removeLayer(made); made = make(); map.ol.addLayer(made); });
}

// OpenLayers takes attributions for markup.
const asText = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);

// Tiles out of one file, read by ranges. Of the PMTiles bundle only its reader is used: the sources in it are of another OpenLayers.
async function archiveTiles(map, vector, options) {
  const reader = new window.olpmtiles.PMTilesVectorSource({ url: "/map/base.pmtiles" }).pmtiles_, { minZoom, maxZoom } = await reader.getHeader();
  const data = async (tile) => (await reader.getZxy(...tile.getTileCoord()))?.data;
  const { layer, source, format } = window.ol, given = { ...options, url: "/{z}/{x}/{y}", minZoom, maxZoom };
  if (vector) {
    const load = (tile) => tile.setLoader(async (extent, _, projection) => {
      const found = await data(tile).catch(() => undefined);
      tile.setFeatures(found ? tile.getFormat().readFeatures(found, { extent, featureProjection: projection }) : []);
    });
    return map.themed(new layer.VectorTile({ source: new source.VectorTile({ ...given, format: new format.MVT(), tileLoadFunction: load }), declutter: true }), () => tileStyle(map));
  }
  const load = async (tile) => {
    const image = tile.getImage(), found = await data(tile).catch(() => undefined);
    image.src = URL.createObjectURL(new Blob(found ? [found] : []));
    image.onload = image.onerror = () => URL.revokeObjectURL(image.src);
  };
  return new layer.Tile({ source: new source.XYZ({ ...given, tileLoadFunction: load }), className: "tw-map__tiles" });
}

const WATER = /water|sea|ocean|river|lake|stream/i, ROAD = /road|street|transport|rail|path|highway/i, BUILT = /build|urban|site/i;
function tileStyle(map) {
  const { Style, Fill, Stroke, Text } = window.ol.style;
  return (feature) => {
    const name = String(feature.get("layer") ?? ""), type = feature.getType(), c = map.colours;
    if (type.includes("Point")) {
      const text = feature.get("name") ?? feature.get("name1");
      return text && new Style({ text: new Text({ text: String(text), font: `12px ${FONT}`, fill: new Fill({ color: c.ink }), stroke: new Stroke({ color: c.halo, width: 3 }) }) });
    }
    if (type.includes("Polygon")) return new Style({ fill: new Fill({ color: WATER.test(name) ? c.sea : BUILT.test(name) ? `${c.street}66` : c.land }) });
    return new Style({ stroke: new Stroke({ color: WATER.test(name) ? c.sea : ROAD.test(name) ? c.street : c.coast, width: ROAD.test(name) ? 2 : 1 }) });
  };
}
