// What every page does: GOV.UK's behaviours, and the switch between day and night.
import { initAll } from "/static/parts/govuk-frontend/govuk-frontend.min.js";

document.body.classList.add("js-enabled", "govuk-frontend-supported");
initAll();

const root = document.documentElement, button = document.getElementById("theme");
if (button) {
  const show = () => button.setAttribute("aria-pressed", String(root.dataset.theme === "night"));
  button.addEventListener("click", () => {
    root.dataset.theme = root.dataset.theme === "night" ? "day" : "night";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a browser that keeps nothing */ }
    show();
  });
  addEventListener("storage", (event) => {
    if (event.key === "theme" && event.newValue) { root.dataset.theme = event.newValue; show(); }
  });
  show();
}
