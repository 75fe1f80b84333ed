const root = document.documentElement;

try {
  if (typeof WebAssembly !== "object") {
    throw new Error("this browser has no WebAssembly, or it is switched off");
  }
  const { default: start } = await import("./pkg/web.js");
  await start();
  root.dataset.start = "ready";
} catch (error) {
  root.dataset.start = "failed";
  document.getElementById("lab").inert = true;
  document.getElementById("start-error-text").textContent =
    `${error?.message ?? error}. Nothing was sent. Reload the page; if this stays, the browser may be too old for it.`;
  document.getElementById("start-error").hidden = false;
}
