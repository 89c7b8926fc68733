"use strict";
// Keeps the page up to date: server-sent events say that something changed, the parts are then fetched anew as HTML.
(() => {
  const SILENT_MS = 25000, TOGETHER_MS = 150, RECONNECT_MS = 3000;
  const byId = (id) => document.getElementById(id);
  const banner = byId("banner"), link = byId("link"), pause = byId("pause"), status = byId("status");
  let heardAt = Date.now(), seq = Number(document.querySelector("[data-seq]").dataset.seq);
  let source = null, timer = 0, loading = false, again = false, paused = false, failed = false;
  let fresh = new Map();

  function heard() { heardAt = Date.now(); look(); }

  function look() {
    const silent = Date.now() - heardAt > SILENT_MS;
    let text = "";
    if (silent) text = `No word from the server since ${new Date(heardAt).toISOString().slice(11, 19)} UTC: what you see may be out of date.`;
    else if (failed) text = "The list could not be loaded: what you see may be out of date. Trying again.";
    else if (paused) text = fresh.size ? `Updates are paused: ${fresh.size} changed since.` : "Updates are paused.";
    const calm = !silent && !failed;
    if (banner.textContent !== text) banner.textContent = text;
    banner.classList.toggle("calm", calm);
    banner.hidden = !text;
    const open = source && source.readyState === EventSource.OPEN && !silent;
    link.textContent = open ? (paused ? "Paused" : "Live") : "Not connected";
    link.className = "link " + (open ? "on" : "off");
  }

  async function fetchInto(id) {
    const answer = await fetch("/" + id, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const open = [...byId(id).querySelectorAll("details")].map((d) => d.open);
    byId(id).innerHTML = await answer.text();
    byId(id).querySelectorAll("details").forEach((d, k) => { d.open = Boolean(open[k]); });
  }

  function tell() {
    if (!fresh.size) return;
    const critical = [...fresh.values()].filter((e) => e.grade === "critical").length;
    status.textContent = `${fresh.size} alert${fresh.size > 1 ? "s" : ""} changed` + (critical ? `, ${critical} critical` : "");
    for (const id of fresh.keys()) byId("alert-" + id)?.classList.add("fresh");
    fresh = new Map();
  }

  async function load() {
    if (paused) return;
    if (loading) { again = true; return; }
    loading = true;
    try {
      const focused = document.activeElement?.closest("#queue tr")?.id;
      await fetchInto("queue");
      if (focused) byId(focused)?.querySelector("a")?.focus({ preventScroll: true });
      await fetchInto("scene");
      failed = false;
      tell();
    } catch { failed = true; soon(RECONNECT_MS); }
    loading = false;
    look();
    if (again) { again = false; soon(TOGETHER_MS); }
  }

  function soon(wait) { if (!timer) timer = setTimeout(() => { timer = 0; load(); }, wait); }

  function connect() {
    source = new EventSource("/events?after=" + seq);
    source.addEventListener("alert", (event) => {
      const told = JSON.parse(event.data);
      seq = told.seq;
      fresh.set(told.id, told);
      heard();
      soon(TOGETHER_MS);
    });
    source.addEventListener("heartbeat", () => { heard(); soon(TOGETHER_MS); });
    source.onerror = () => {
      look();
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
    };
  }

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume updates" : "Pause updates";
    look();
    load();
  });
  document.addEventListener("visibilitychange", look);
  setInterval(look, 1000);
  connect();
})();
