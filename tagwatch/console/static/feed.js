// The feed of changes: stays connected, goes on after the last number it has, and says so when it has gone silent.
const STALE_MS = 20000;
const FIRST_MS = 150, LONGEST_MS = 5000;

export class Feed extends EventTarget {
  #source = null;
  #wait = FIRST_MS;
  #heard = performance.now();
  #stale = false;
  #away = false;

  // A browser opens six connections to a server: pages that need not listen while nobody sees them leave theirs to others.
  constructor(number, { hidden = true } = {}) {
    super();
    this.number = number;
    if (hidden || !document.hidden) this.#connect();
    else this.#away = true;
    setInterval(() => this.#watch(), 1000);
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", (event) => { if (event.persisted) this.#connect(); });
    if (!hidden) document.addEventListener("visibilitychange", () => (document.hidden ? this.#leave() : this.#connect()));
  }

  #leave() {
    this.#source?.close();
    this.#source = null;
    this.#away = true;
  }

  // The list was loaded anew and holds everything up to this number.
  holds(number) { this.number = Math.max(this.number, number); }

  #connect() {
    this.#source?.close();
    if (this.#away) this.#heard = performance.now();
    this.#away = false;
    const source = this.#source = new EventSource(`/events?after=${this.number}`);
    source.addEventListener("change", (event) => {
      const told = JSON.parse(event.data);
      if (told.number <= this.number) return;
      this.number = told.number;
      this.#tell("change", told);
    });
    source.addEventListener("heartbeat", (event) => {
      const told = JSON.parse(event.data);
      this.number = Math.max(this.number, told.number);
      this.#heard = performance.now();
      this.#wait = FIRST_MS;
      if (this.#stale) this.#tell("live", told);
      this.#stale = false;
      this.#tell("heartbeat", told);
    });
    source.addEventListener("reload", (event) => {
      this.number = JSON.parse(event.data).number;
      this.#tell("reload");
    });
    source.onerror = () => this.#again(source);
  }

  // The browser's own way back does not tell why it failed and may wait for long.
  async #again(source) {
    if (source !== this.#source) return;
    source.close();
    this.#source = null;
    const first = this.#wait === FIRST_MS;
    await new Promise((go) => setTimeout(go, this.#wait * (0.5 + Math.random())));
    this.#wait = Math.min(this.#wait * 2, LONGEST_MS);
    if (!first && await this.#signedOut()) { this.#tell("signed-out"); return; }
    if (!this.#away) this.#connect();
  }

  async #signedOut() {
    try { return (await fetch("/events/number", { cache: "no-store" })).status === 401; } catch { return false; }
  }

  #watch() {
    const silent = performance.now() - this.#heard;
    if (this.#away || silent < STALE_MS) return;
    this.#stale = true;
    this.#tell("stale", { silent });
  }

  #tell(name, detail) { this.dispatchEvent(new CustomEvent(name, { detail })); }
}
