// The queue: rows come with the feed and are put where the server orders them; nothing moves under the hands of whoever works.
import { Feed } from "/static/feed.js";
import { announce, say, showFeed, showSound } from "/static/signs.js";
import { listenToKeys } from "/static/queue_keys.js";
import { Sound } from "/static/sound.js";

const SETTLE_MS = [8000, 16000];  // after changes the list is loaded anew once, not by all consoles at the same time
const byId = (id) => document.getElementById(id);
let list = byId("list");
let paused = false;
let missed = new Set();
let settling = null;
let loading = null;

const feed = new Feed(Number(list.dataset.number));
const sound = new Sound();
export const frozen = () => paused || (list.contains(document.activeElement) && document.hasFocus());

feed.addEventListener("change", ({ detail }) => {
  if (detail.calls) { sound.play(detail.grade); announce(detail); }
  if (detail.section === undefined) { missed.add(detail.id); settle(300 + Math.random() * 1500); }
  else put(detail);
  showFresh();
});
feed.addEventListener("reload", () => load());
feed.addEventListener("heartbeat", ({ detail }) => tick(detail.now_us));
feed.addEventListener("live", () => load());
showFeed(feed, () => paused);
showSound(sound);

// --- one change

function rowOf(html) {
  const holder = document.createElement("tbody");
  holder.innerHTML = html;  // rendered and escaped by the server, as the page itself is
  return holder.querySelector("tr");
}

function put(told) {
  const old = byId(`alert-${told.id}`);
  if (!old && told.kind === "version") { settle(); return; }
  const fresh = told.html ? rowOf(told.html) : null;
  if (old && (frozen() || old.dataset.section === (told.section ?? "") && old.dataset.key === told.key)) {
    if (frozen() && old.dataset.section !== (told.section ?? "")) { missed.add(told.id); fresh?.classList.add("tw-row--gone"); }
    replace(old, fresh);
    return;
  }
  if (frozen()) { if (told.section) missed.add(told.id); return; }
  if (old) { count(old.dataset.section, -1); old.remove(); }
  if (old || told.kind === "raised") count(told.section, 1);
  if (told.section) insert(told, fresh);
  settle(old || told.kind === "raised" ? null : 1000 + Math.random() * 2000);  // it was counted somewhere that is not shown
}

function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.className : null;
  if (old.classList.contains("tw-row--under")) fresh.classList.add("tw-row--under");
  old.replaceWith(fresh);
  if (focused !== null) (fresh.querySelector(`.${focused.split(" ").pop()}`) ?? fresh.querySelector("a")).focus();
}

function insert(told, fresh) {
  const section = byId(`section-${told.section}`);
  const rows = [...section.querySelectorAll("tbody > tr:not(.tw-row--under)")];
  const next = rows.find((row) => row.dataset.key > told.key);
  const begins = list.dataset.section === told.section && list.dataset.first !== "0";
  if (begins && next === rows[0]) return;
  if (!next && section.dataset.whole === "no") return;
  if (told.calls) fresh.classList.add("tw-row--fresh");
  section.querySelector("tbody").insertBefore(fresh, next ?? null);
  section.querySelector("table").hidden = false;
  section.querySelector(".tw-section__none")?.remove();
}

function count(name, by) {
  const shown = name ? document.querySelector(`#section-${name} [data-count]`) : null;
  if (!shown) return;
  shown.dataset.count = Math.max(0, Number(shown.dataset.count) + by);
  shown.textContent = shown.dataset.count;
}

// --- the whole list

function settle(within = null) {
  const [least, most] = SETTLE_MS;
  const wait = within ?? least + Math.random() * (most - least);
  if (settling !== null && within === null) return;
  clearTimeout(settling);
  settling = setTimeout(() => { settling = null; if (frozen()) { settle(); } else load(); }, wait);
}

export async function load() {
  loading?.abort();
  const mine = loading = new AbortController();
  try {
    const answer = await fetch(`/queue/list${location.search}`, { cache: "no-store", signal: mine.signal });
    if (!answer.ok) throw new Error(String(answer.status));
    const holder = document.createElement("div");
    holder.innerHTML = await answer.text();  // rendered and escaped by the server
    take(holder.querySelector("#list"));
  } catch (fault) {
    if (fault.name === "AbortError") return;
    say("stale", fault.message === "401" ? "You are signed out." : "The list could not be loaded; it is tried again.");
    settle(3000);
  }
}

function take(fresh) {
  const focus = document.activeElement?.closest?.(".tw-row")?.id;
  const opened = [...list.querySelectorAll("[aria-expanded=true]")].map((link) => link.dataset.under);
  list.replaceWith(fresh);
  list = fresh;
  feed.holds(Number(fresh.dataset.number));
  missed.clear();
  showFresh();
  say("stale", "");
  for (const under of opened) {
    const link = list.querySelector(`[data-under="${CSS.escape(under)}"]`);
    if (link) unfold(link);
  }
  if (focus) (byId(focus)?.querySelector("a") ?? list.querySelector(".tw-row a"))?.focus();
}

async function unfold(link) {
  const head = link.closest("tr");
  if (link.getAttribute("aria-expanded") === "true") {
    link.setAttribute("aria-expanded", "false");
    while (head.nextElementSibling?.classList.contains("tw-row--under")) head.nextElementSibling.remove();
    return;
  }
  link.setAttribute("aria-expanded", "true");
  const answer = await fetch(`/queue/under/${encodeURIComponent(link.dataset.under)}`, { cache: "no-store" });
  if (!answer.ok) { location.assign(link.href); return; }
  const holder = document.createElement("tbody");
  holder.innerHTML = await answer.text();  // rendered and escaped by the server
  for (const row of holder.querySelectorAll("tr")) row.classList.add("tw-row--under");
  head.after(...holder.childNodes);
}

// --- what is around the list

function showFresh() {
  const button = byId("fresh");
  button.hidden = missed.size === 0;
  button.textContent = missed.size ? `${missed.size} new or changed: show` : "";
}

function tick(now_us) {
  for (const time of list.querySelectorAll("time[data-us]")) time.textContent = duration((now_us - Number(time.dataset.us)) / 1e6);
}

function duration(seconds) {
  const minutes = Math.round(seconds / 60), hours = Math.floor(minutes / 60);
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  if (minutes < 60) return `${minutes} min`;
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

byId("tools").hidden = false;
byId("fresh").addEventListener("click", () => load());
byId("pause").addEventListener("click", (event) => {
  paused = !paused;
  event.currentTarget.setAttribute("aria-pressed", String(paused));
  event.currentTarget.textContent = paused ? "Go on" : "Pause the list";
  if (!paused && missed.size) load();
  feed.dispatchEvent(new Event("paused"));
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-under]");
  if (link) { event.preventDefault(); unfold(link); }
});
document.addEventListener("focusout", () => setTimeout(() => { if (!frozen() && missed.size) load(); }, 300));
listenToKeys({ list: () => list, load, unfold });
