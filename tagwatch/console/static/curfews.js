// The form of a curfew: its places are on the map while they are typed.
import { mapOf } from "/static/map.js";

const form = document.getElementById("entry-form");
let waiting = 0;

async function preview() {
  const body = new URLSearchParams([...new FormData(form)].filter(([, value]) => typeof value === "string"));
  const answer = await fetch("/configuration/curfews/preview.json", { method: "POST", body, headers: { "x-csrf-token": document.querySelector("meta[name=csrf]").content } });
  const map = await mapOf("curfew-map");
  if (answer.ok && map) map.show(await answer.json());
}

form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => preview().catch(() => {}), 400);  // gone to another page, or the server is away: the form still works
});
preview().catch(() => {});
