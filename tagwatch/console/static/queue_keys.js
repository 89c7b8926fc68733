// Keys of the queue, and what they do to the alert that has the focus.
const byId = (id) => document.getElementById(id);
const csrf = document.querySelector("meta[name=csrf]").content;
const DIALOGS = { n: "note", e: "escalate", s: "shelve", c: "close" };
const on = () => localStorage.getItem("keys") !== "off";

export function listenToKeys({ list, load, unfold }) {
  document.addEventListener("keydown", (event) => {
    const row = event.target.closest?.(".tw-row");
    if (!row || !list().contains(row) || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.key === " " && event.target.dataset.under) { event.preventDefault(); unfold(event.target); return; }
    if (!on()) return;
    if (press(event.key, row, { list, load })) event.preventDefault();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-do]");
    if (button) acknowledge(button.closest("tr"));
    if (event.target.closest?.("[data-close]")) event.target.closest("dialog").close();
  });
  for (const form of document.querySelectorAll(".tw-dialog__form")) form.addEventListener("submit", send);
  byId("show-keys").addEventListener("click", () => byId("dialog-keys").showModal());
  byId("keys-on").checked = on();
  byId("keys-on").addEventListener("change", (event) => localStorage.setItem("keys", event.target.checked ? "on" : "off"));
}

function press(key, row, { list, load }) {
  if (key === "j") return move(list(), row, 1);
  if (key === "k") return move(list(), row, -1);
  if (key === "u") { load(); return true; }
  if (key === "?") { byId("dialog-keys").showModal(); return true; }
  if (!row.dataset.id) return false;
  if (key === "a") { if (row.querySelector("[data-do]")) acknowledge(row); return true; }
  return key in DIALOGS && open(DIALOGS[key], row);
}

function move(list, row, by) {
  const rows = [...list.querySelectorAll(".tw-row")];
  const next = rows[rows.indexOf(row) + by];
  next?.querySelector("a").focus();
  next?.scrollIntoView({ block: "nearest" });
  return true;
}

function open(kind, row) {
  const dialog = byId(`dialog-${kind}`);
  if (!dialog) { tell(`You may not ${kind}.`); return true; }
  const form = dialog.querySelector("form");
  form.reset();
  form.dataset.id = row.dataset.id;
  form.elements.upon.value = row.dataset.mark;
  form.querySelector(".tw-dialog__about").textContent = row.dataset.name;
  form.querySelector(".tw-dialog__fault").hidden = true;
  dialog.addEventListener("close", () => byId(`alert-${row.dataset.id}`)?.querySelector("a").focus(), { once: true });
  dialog.showModal();
  form.querySelector("textarea, input:not([type=hidden]), select").focus();
  return true;
}

async function acknowledge(row) {
  const fault = await post(row.dataset.id, "acknowledge", new URLSearchParams({ upon: row.dataset.mark }));
  tell(fault || `Acknowledged: ${row.dataset.name}`);
}

async function send(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const fault = await post(form.dataset.id, form.dataset.kind, new URLSearchParams(new FormData(form)));
  const box = form.querySelector(".tw-dialog__fault");
  box.hidden = !fault;
  box.querySelector("p").textContent = fault;
  if (!fault) { form.closest("dialog").close(); tell(`Done: ${form.querySelector("h2").textContent.toLowerCase()}.`); }
}

// What went wrong in a sentence, empty where nothing did.
async function post(id, kind, body) {
  try {
    const answer = await fetch(`/alerts/${encodeURIComponent(id)}/${kind}`, {
      method: "POST", body, headers: { "X-CSRF-Token": csrf, Accept: "application/json" },
    });
    if (answer.ok) return "";
    if (answer.status === 401) return "You are signed out; sign in again in another window, then repeat it.";
    const told = answer.headers.get("content-type")?.includes("json") ? (await answer.json()).detail : "";
    return told || `The server refused it (${answer.status}).`;
  } catch { return "The server does not answer; nothing was done."; }
}

function tell(text) { byId("polite").textContent = text; }
