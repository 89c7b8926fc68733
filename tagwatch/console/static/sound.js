// Sound: a tone of its own for each grade, made here; on only after somebody clicked, as browsers want it.
const TONES = {  // [frequency Hz, begin s, length s]
  critical: [[988, 0, 0.16], [740, 0.2, 0.16], [988, 0.4, 0.16], [740, 0.6, 0.16], [988, 0.8, 0.3]],
  high: [[784, 0, 0.2], [784, 0.3, 0.2]],
  medium: [[523, 0, 0.3]],
  low: [[330, 0, 0.18]],
};
const LOUD = { critical: 0.5, high: 0.35, medium: 0.25, low: 0.15 };
export const GRADES = Object.keys(TONES);

export class Sound extends EventTarget {
  #audio = null;
  #busyUntil = 0;
  #busyWith = GRADES.length;
  on = localStorage.getItem("sound") === "on";

  get blocked() { return this.on && this.#audio?.state !== "running"; }

  // To be called from a click.
  async set(on) {
    this.on = on;
    localStorage.setItem("sound", on ? "on" : "off");
    if (on) await this.wake();
    this.dispatchEvent(new Event("changed"));
  }

  async wake() {
    this.#audio ??= new AudioContext();
    try { await this.#audio.resume(); } catch { /* blocked still: the banner says so */ }
    this.dispatchEvent(new Event("changed"));
  }

  // Where a browser allows it without a click, it goes on; where not, the banner shows.
  begin() {
    if (this.on) {
      this.#audio ??= new AudioContext();
      this.#audio.onstatechange = () => this.dispatchEvent(new Event("changed"));
    }
    this.dispatchEvent(new Event("changed"));
  }

  // While a tone still sounds only a graver one is added, so that a flood is not a din.
  play(grade) {
    if (!this.on || this.blocked) return;
    const rank = GRADES.indexOf(grade);
    if (performance.now() < this.#busyUntil && rank >= this.#busyWith) return;
    this.#busyUntil = performance.now() + 1500;
    this.#busyWith = rank;
    this.#sound(grade, 0);
  }

  async test() {
    this.#audio ??= new AudioContext();
    await this.wake();
    GRADES.forEach((grade, k) => this.#sound(grade, k * 1.4));
  }

  #sound(grade, after_s) {
    document.documentElement.dataset.lastTone = grade;
    for (const [frequency, begin, length] of TONES[grade] ?? TONES.medium) {
      const start = this.#audio.currentTime + after_s + begin;
      const gain = new GainNode(this.#audio, { gain: 0 });
      gain.gain.setTargetAtTime(LOUD[grade] ?? 0.25, start, 0.01);
      gain.gain.setTargetAtTime(0, start + length, 0.02);
      const tone = new OscillatorNode(this.#audio, { type: grade === "critical" ? "square" : "sine", frequency });
      tone.connect(gain).connect(this.#audio.destination);
      tone.start(start);
      tone.stop(start + length + 0.2);
    }
  }
}
