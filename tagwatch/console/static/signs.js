// Signs: the banners, the state of the feed, and what screen readers are told.
const byId = (id) => document.getElementById(id);
const AT_MOST_MS = 5000, TOGETHER_MS = 1500;
const SILENT = "Nothing was heard from the server for more than 20 seconds. New alerts may be missing here; it is tried again.";
let waiting = [], grave = [];
let timer = null, loudTimer = null;
let loud = -AT_MOST_MS;

// One of the banners with a text, or without a text none.
export function say(name, text) {
  byId(name).hidden = !text;
  const holder = byId(`${name}-text`);
  if (holder) holder.textContent = text;
}

// New alerts are told together: one polite line, and for critical ones an assertive one, at most one in five seconds.
export function announce(told) {
  waiting.push(told);
  timer ??= setTimeout(tellAll, TOGETHER_MS);
  if (told.grade !== "critical") return;
  grave.push(told);
  loudTimer ??= setTimeout(tellLoud, Math.max(0, loud + AT_MOST_MS - performance.now()));
}

function tellAll() {
  const n = waiting.length, n_grave = waiting.filter((one) => one.grade === "critical").length;
  byId("polite").textContent = `${n} new ${n === 1 ? "alert" : "alerts"}${n_grave ? `, ${n_grave} critical` : ""}`;
  waiting = [];
  timer = null;
}

function tellLoud() {
  byId("assertive").textContent = grave.length > 1 ? `${grave.length} critical alerts` : grave[0].words ?? "Critical alert";
  loud = performance.now();
  grave = [];
  loudTimer = null;
}

// The state of the feed beside the title, and the red banner where it is silent.
export function showFeed(feed, paused = () => false) {
  const live = byId("live"), text = byId("live-text");
  const show = (state, words) => { if (live) { live.dataset.state = state; text.textContent = words; } };
  const calm = () => (paused() ? show("paused", "Live, list paused") : show("on", "Live"));
  feed.addEventListener("heartbeat", calm);
  feed.addEventListener("paused", calm);
  feed.addEventListener("live", () => { say("stale", ""); calm(); });
  feed.addEventListener("stale", () => {
    show("stale", "Not live");
    if (byId("stale").hidden) say("stale", SILENT);
    document.title = `Not live – ${document.title.replace(/^Not live – /, "")}`;
  });
  feed.addEventListener("live", () => { document.title = document.title.replace(/^Not live – /, ""); });
  feed.addEventListener("signed-out", () => {
    show("stale", "Signed out");
    say("stale", "You are signed out, so nothing new is shown.");
  });
}

// Whether sound is on, and whether the browser blocks it.
export function showSound(sound) {
  const button = byId("sound");
  const show = () => {
    button.setAttribute("aria-pressed", String(sound.on));
    button.textContent = sound.on ? "Sound on" : "Sound off";
    byId("blocked").hidden = !sound.blocked;
  };
  sound.addEventListener("changed", show);
  button.addEventListener("click", () => sound.set(!sound.on));
  byId("test-sound").addEventListener("click", () => sound.test());
  byId("unblock").addEventListener("click", () => sound.wake());
  sound.begin();
}
