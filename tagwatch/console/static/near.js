// The form of "who was near": a place typed in one line is shown on the map, and a place taken from the map empties that line.
const [place, lat, lon, said] = ["place", "lat", "lon", "place-said"].map((id) => document.getElementById(id));
let asking = 0;

async function look() {
  const mine = ++asking, text = place.value.trim();
  if (!text) { said.textContent = ""; return; }
  const token = document.querySelector('meta[name="csrf"]').content;
  const answer = await fetch("/near/place", { method: "POST", headers: { "x-csrf-token": token }, body: new URLSearchParams({ text }) }).catch(() => undefined);
  if (mine !== asking || !answer) return;
  const told = await answer.json();
  said.textContent = told.fault ?? `${told.form[0].toUpperCase()}${told.form.slice(1)}: ${told.lat.toFixed(6)}, ${told.lon.toFixed(6)}${told.uncertainty_m ? `, the centre of a square; off by up to ${Math.round(told.uncertainty_m)} m` : ""}.`;
  if (told.fault) return;
  lat.value = told.lat.toFixed(6); lon.value = told.lon.toFixed(6);
  for (const input of [lat, lon]) for (const kind of ["input", "change"]) input.dispatchEvent(new CustomEvent(kind, { detail: "place" }));
}

place.addEventListener("change", look);
for (const input of [lat, lon]) {
  input.addEventListener("input", (event) => {
    if (event.detail === "place") return;
    asking++; place.value = ""; said.textContent = "";
  });
}
