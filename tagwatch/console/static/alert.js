// The page of an alert: says when the alert has changed, keeps what is typed, and notices a silent feed.
import { Feed } from "/static/feed.js";
import { say, showFeed } from "/static/signs.js";

const alert = document.getElementById("alert");
const feed = new Feed(Number(alert.dataset.number), { hidden: false });
const changed = () => { document.getElementById("changed").hidden = false; };

feed.addEventListener("change", ({ detail }) => { if (detail.id === alert.dataset.id) changed(); });
feed.addEventListener("reload", changed);
showFeed(feed);
feed.addEventListener("live", () => say("stale", ""));
document.getElementById("fault")?.focus();
