// Watches one job: moves its bar, and opens the page anew when it is over.
const job = document.getElementById("job");
const OFTEN_MS = 700;

async function look() {
  try {
    const answer = await fetch(`/jobs/${job.dataset.job}/state`, { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const told = await answer.json();
    if (told.state === "done" || told.state === "failed") { location.reload(); return; }
    document.getElementById("share").value = told.share;
    if (told.text) document.getElementById("text").textContent = told.text;
  } catch { document.getElementById("text").textContent = "The server does not answer; trying again."; }
  setTimeout(look, OFTEN_MS);
}

if (job.dataset.state === "waiting" || job.dataset.state === "running") setTimeout(look, OFTEN_MS);
