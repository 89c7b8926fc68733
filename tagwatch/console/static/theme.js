"use strict";
// Before anything is drawn: the theme that this browser was set to, else that of the machine.
{
  let kept = null;
  try { kept = localStorage.getItem("theme"); } catch { /* a browser that keeps nothing */ }
  document.documentElement.dataset.theme = kept || (matchMedia("(prefers-color-scheme: dark)").matches ? "night" : "day");
}
