// Fills the cells of last nights that were not worked out yet, a few wearers at a time.
const AT_ONCE = 5;
const cells = [...document.querySelectorAll("[data-night]")];
const status = document.getElementById("nights-status");

function piece(tag, name, text) {
  const made = document.createElement(tag);
  made.className = name;
  made.textContent = text;
  return made;
}

function fill(cell, night) {
  if (!night) { cell.replaceChildren(piece("span", "mg-soft", "none is over yet")); return; }
  const shown = piece("span", `mg-night mg-night--${night.verdict}`, "");
  const sign = piece("span", "mg-night__sign", night.sign);
  sign.setAttribute("aria-hidden", "true");
  shown.append(sign, ` ${night.words}`);
  cell.replaceChildren(shown);
  if (night.away) cell.append(document.createElement("br"), piece("span", "mg-soft", `away ${night.away}`));
}

async function work() {
  for (let k = 0; k < cells.length; k += AT_ONCE) {
    const some = cells.slice(k, k + AT_ONCE);
    const asked = new URLSearchParams(some.map((cell) => ["wearer", cell.dataset.night]));
    try {
      const answer = await fetch(`/wearers-nights.json?${asked}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      for (const cell of some) fill(cell, told[cell.dataset.night]);
    } catch {
      for (const cell of some) cell.replaceChildren(piece("span", "mg-soft", "could not be worked out: open the page again"));
    }
  }
  status.textContent = "The last nights are worked out.";
}

if (cells.length) work();
