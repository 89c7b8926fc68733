// The form of a zone: only the fields of the chosen shape are shown, what is drawn fills them in, what they say is on the map.
import { mapOf } from "/static/map.js";

const form = document.getElementById("entry-form");
const field = (name) => form.elements[name];
const drawn = document.getElementById("drawn");
let waiting = 0, syncing = false;

function showShape() {
  for (const part of form.querySelectorAll("[data-shape]")) part.hidden = part.dataset.shape !== field("shape").value;
}

// What is typed goes to the server, which knows grid references and true metres; the map shows it, and it can be moved there.
async function preview() {
  const body = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string"));
  const answer = await fetch("/configuration/zones/preview.json", { method: "POST", body, headers: { "x-csrf-token": document.querySelector("meta[name=csrf]").content } });
  const map = await mapOf("zone-map");
  if (!answer.ok || !map) return;
  const told = await answer.json();
  map.show(told);
  if (told.drawn) map.say("");
  syncing = true;
  drawn.value = told.drawn ? JSON.stringify(told.drawn) : "";
  drawn.dispatchEvent(new Event("input"));
  syncing = false;
}

function soon() {
  clearTimeout(waiting);
  waiting = setTimeout(() => preview().catch(() => {}), 400);  // gone to another page, or the server is away: the form still works
}

const pair = ([lon, lat]) => `${Number(lat.toFixed(7))}, ${Number(lon.toFixed(7))}`;

// What the map drew: a polygon, or a point with a radius, as a geometry or a feature.
function take(text) {
  if (!text) {
    for (const name of ["centre", "radius_m", "corners", "geometry"]) field(name).value = "";
    return;
  }
  const told = JSON.parse(text), geometry = told.geometry ?? told, radius = told.properties?.radius_m ?? told.radius_m;
  if (geometry.type === "Point") {
    field("shape").value = "circle";
    field("centre").value = pair(geometry.coordinates);
    if (radius) field("radius_m").value = String(Math.round(radius));
  } else if (geometry.type === "Polygon" && geometry.coordinates.length === 1) {
    field("shape").value = "polygon";
    field("corners").value = geometry.coordinates[0].slice(0, -1).map(pair).join("\n");
  } else {
    field("shape").value = "geojson";
    field("geometry").value = JSON.stringify(geometry);
  }
  showShape();
}

drawn.addEventListener("change", () => { if (!syncing) { take(drawn.value); if (field("buffer_m").value) soon(); } });
form.addEventListener("input", (event) => { if (event.target !== drawn) { showShape(); soon(); } });
showShape();
preview().catch(() => {});
