// A place taken from the map into two inputs, and typed into them: the marker follows both. A third input is a radius in metres.
import { toDegrees, toMap, unitsPerMetre } from "/static/map/places.js";

export function addPick(map, ids) {
  const [lat, lon, radius] = ids.split(",").map((id) => document.getElementById(id.trim()));
  if (!lat || !lon) return undefined;
  const { Feature, geom } = window.ol, marker = new Feature({ role: "crime", title: "The place you chose" });
  const circle = new Feature({ role: "vicinity", title: "The radius about it" });

  function typed() {
    const [y, x] = [lat, lon].map((input) => (input.value.trim() === "" ? NaN : Number(input.value)));
    const known = Number.isFinite(x) && Number.isFinite(y) && Math.abs(x) <= 180 && Math.abs(y) <= 85;
    for (const each of [marker, circle]) if (map.overlay.hasFeature(each)) map.overlay.removeFeature(each);
    if (!known) return;
    marker.setGeometry(new geom.Point(toMap(x, y)));
    map.overlay.addFeature(marker);
    const metres = Number(radius?.value);
    if (metres > 0 && metres < 1e6) { circle.setGeometry(ring(x, y, metres)); map.overlay.addFeature(circle); }
  }
  function changed() {
    typed();
    const place = marker.getGeometry()?.getCoordinates();
    if (!place || !map.overlay.hasFeature(marker)) return;
    const [west, south, east, north] = map.ol.getView().calculateExtent();
    if (place[0] < west || place[0] > east || place[1] < south || place[1] > north) map.ol.getView().setCenter(place);
  }
  for (const input of [lat, lon, radius]) { input?.addEventListener("input", typed); input?.addEventListener("change", changed); }
  typed();
  return {
    take(place) {
      const [x, y] = toDegrees(place);
      lat.value = y.toFixed(6); lon.value = x.toFixed(6);
      for (const input of [lat, lon]) for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
      map.say(`Latitude ${lat.value}, longitude ${lon.value} taken.`);
    },
    extent: () => (map.overlay.hasFeature(circle) ? circle : map.overlay.hasFeature(marker) ? marker : undefined)?.getGeometry().getExtent(),
  };
}

// A circle of true metres as a polygon of the map.
export function ring(lon, lat, metres, n = 96) {
  const [x, y] = toMap(lon, lat), [east, north] = unitsPerMetre(lat), line = [];
  for (let k = 0; k <= n; k++) line.push([x + metres * east * Math.cos(2 * Math.PI * k / n), y + metres * north * Math.sin(2 * Math.PI * k / n)]);
  return new window.ol.geom.Polygon([line]);
}
