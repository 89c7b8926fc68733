// A trail played over time: slider, play, speed, fix by fix; tells the fix of the moment, and silence where there is none.
import { durationWords, timeWords } from "/static/map/places.js";

const SPEEDS = [[60, "1 min a second"], [300, "5 min a second"], [1200, "20 min a second"], [3600, "1 h a second"]], SILENT_MS = 300000;

export function addPlayback(map) {
  const bar = new Bar(map.element.id);
  map.view.after(bar.element);
  let at = 0, playing = 0, before = 0;

  const span = () => [map.state.set.times[0], map.state.set.times[map.state.set.n - 1]];
  const fits = () => map.state.set.n > 1 && Number.isFinite(span()[0]) && Number.isFinite(span()[1]);

  function begin() {
    stop();
    bar.element.hidden = !fits();
    if (!fits()) { map.state.now = -1; map.state.shown = [0, Infinity]; return; }
    const [first, last] = span();
    bar.slider.max = String(Math.ceil((last - first) / 1000));
    show(last, true);
  }
  function show(moment, whole = false) {
    const { set } = map.state, [first, last] = span();
    at = Math.max(first, Math.min(last, moment));
    const now = lastBefore(set.times, set.n, at);
    map.state.now = whole ? -1 : now;
    map.state.shown = whole ? [0, Infinity] : [0, now];
    map.dimWays(!whole);
    bar.tell(Math.round((at - first) / 1000), words(set, now, at, whole, map.state.silentMs));
    if (!whole) follow(map, now);
    map.redraw();
  }
  function stop() {
    cancelAnimationFrame(playing); playing = 0; bar.setPlaying(false);
  }
  function step(now) {
    const [, last] = span();
    show(at + Math.min(200, now - before) * Number(bar.speed.value));
    before = now;
    if (at >= last) stop(); else playing = requestAnimationFrame(step);
  }
  function play() {
    const [first, last] = span();
    if (at >= last) at = first;
    before = performance.now(); bar.setPlaying(true);
    playing = requestAnimationFrame(step);
  }
  const hop = (by) => {
    stop();
    const { set } = map.state, k = Math.max(0, Math.min(set.n - 1, (map.state.now < 0 ? set.n - 1 : map.state.now) + by));
    show(set.times[k]);
  };
  bar.play.addEventListener("click", () => (playing ? stop() : play()));
  bar.back.addEventListener("click", () => hop(-1));
  bar.on.addEventListener("click", () => hop(1));
  bar.all.addEventListener("click", () => { stop(); show(span()[1], true); map.fitAll(true); });
  bar.slider.addEventListener("input", () => { stop(); show(span()[0] + Number(bar.slider.value) * 1000); });
  bar.slider.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 60, PageDown: -60 }[event.key];
    if (by) { event.preventDefault(); hop(by); }
    if (event.key === " ") { event.preventDefault(); bar.play.click(); }
  });
  map.element.addEventListener("shown", begin);
  begin();
}

// The index of the last fix at or before a moment.
function lastBefore(times, n, moment) {
  let low = 0, high = n - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= moment) low = middle; else high = middle - 1;
  }
  return low;
}

function words(set, k, moment, whole, silentMs = SILENT_MS) {
  if (whole) return `All ${set.n} fixes, ${timeWords(set.times[0])} to ${timeWords(set.times[set.n - 1])}`;
  const { accuracy_m: accuracy, title, weight } = set.properties[k], silent = moment - set.times[k];
  const told = [timeWords(moment), `fix ${k + 1} of ${set.n}`];
  if (accuracy > 0) told.push(`± ${Math.round(accuracy)} m`);
  if (weight === false) told.push("does not count");
  if (silent > silentMs) told.push(`no position for ${durationWords(silent)}`);
  else if (title) told.push(title);
  return told.join(" · ");
}

// Moves the map when the present fix leaves it.
function follow(map, k) {
  const place = [map.state.set.xs[k], map.state.set.ys[k]], [west, south, east, north] = map.ol.getView().calculateExtent();
  const edge = 12 * map.ol.getView().getResolution();
  if (place[0] < west + edge || place[0] > east - edge || place[1] < south + edge || place[1] > north - edge) map.ol.getView().setCenter(place);
}

class Bar {
  constructor(id) {
    this.element = make("div", { className: "tw-map__bar" });
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", "Playback");
    this.play = button("Play"); this.back = button("Previous fix"); this.on = button("Next fix"); this.all = button("All");
    this.slider = make("input", { type: "range", min: "0", max: "1", step: "1", id: `${id}-time`, className: "tw-map__slider" });
    this.slider.setAttribute("aria-label", "Time");
    this.speed = make("select", { className: "tw-map__speed" });
    this.speed.setAttribute("aria-label", "Speed");
    this.speed.append(...SPEEDS.map(([value, text]) => make("option", { value: String(value), textContent: text })));
    this.speed.value = "300";
    this.text = make("output", { className: "tw-map__moment", htmlFor: `${id}-time` });
    this.text.setAttribute("aria-live", "off");
    this.element.append(this.play, this.back, this.on, this.all, this.speed, this.slider, this.text);
  }

  setPlaying(yes) {
    this.play.textContent = yes ? "Pause" : "Play";
  }

  tell(second, text) {
    this.slider.value = String(second);
    this.slider.setAttribute("aria-valuetext", text);
    this.text.textContent = text;
  }
}

const make = (name, given) => Object.assign(document.createElement(name), given);
const button = (text) => make("button", { type: "button", className: "tw-map__button", textContent: text });
