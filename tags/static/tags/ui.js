// What pages do beyond links and forms: refresh, copy, dialogs, toasts. Without it all of it works
// more slowly. No state is kept here, and nothing is computed.
"use strict";

const REFRESH_SECONDS = 15;
const TOAST_SECONDS = 12;
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// -- refresh: a part that carries data-refresh, while it is seen and nobody is busy in it ---------

const lastRefresh = new WeakMap();
const isBusyIn = (part) =>
  part.contains(document.activeElement) || one("details.menu[open], [data-pick]:checked, [data-editing]", part);

setInterval(() => {
  const off = one("[data-refresh-switch]:not(:checked)");
  if (document.hidden || off || one("dialog[open]")) return;
  for (const part of all("[data-refresh]")) {
    const seconds = Number(part.dataset.refresh) || REFRESH_SECONDS;
    const last = lastRefresh.get(part) ?? performance.timeOrigin + performance.now();
    const now = performance.timeOrigin + performance.now();
    if (!lastRefresh.has(part)) lastRefresh.set(part, now);
    if (now - last < seconds * 1000 || isBusyIn(part)) continue;
    lastRefresh.set(part, now);
    htmx.trigger(part, "refresh");
  }
}, 1000);

// -- toasts: what was done is said once, in the one status region ---------------------------------

function say(text, kind = "success") {
  const toast = document.createElement("div");
  toast.className = `toast ${kind}`;
  const words = document.createElement("span");
  words.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "btn link";
  close.textContent = "Close";
  close.addEventListener("click", () => toast.remove());
  toast.append(words, close);
  one("#toasts")?.append(toast);
  setTimeout(() => toast.remove(), TOAST_SECONDS * 1000);
}

document.addEventListener("said", (event) => say(event.detail.text, event.detail.kind));

// -- dialogs: whatever is swapped into one opens it -------------------------------------------------

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.detail.target;
  if (dialog instanceof HTMLDialogElement && !dialog.open && dialog.childElementCount) {
    dialog.showModal();
  }
  const field = one("[aria-invalid=true], [autofocus]", event.detail.target);
  field?.focus();
  field?.select?.();
});
document.addEventListener("done", () => one("dialog[open]")?.close());

// -- waiting and failing: old content stays, dimmed, and a message offers another try ---------------

const isSilent = (detail) => detail.requestConfig?.triggeringEvent?.type === "refresh";

document.addEventListener("htmx:beforeSwap", (event) => {
  // Somebody has begun to do something in it while the new content was on its way.
  if (isSilent(event.detail) && isBusyIn(event.detail.target)) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (isSilent(event.detail)) return;
  event.detail.target.setAttribute("aria-busy", "true");
  const button = event.detail.requestConfig.triggeringEvent?.submitter;
  if (button) button.disabled = true;
});
document.addEventListener("htmx:afterRequest", (event) => {
  event.detail.target?.removeAttribute("aria-busy");
  const button = event.detail.requestConfig?.triggeringEvent?.submitter;
  if (button) button.disabled = false;
  one(".alert[data-failed]", event.detail.target?.parentElement ?? document)?.remove();
});

function fail(event) {
  const { xhr, requestConfig: asked, target } = event.detail;
  const isPlain = xhr?.getResponseHeader("Content-Type")?.startsWith("text/plain");
  const alert = document.createElement("div");
  alert.className = "alert";
  alert.dataset.failed = "";
  alert.setAttribute("role", "alert");
  const words = document.createElement("span");
  words.textContent = isPlain ? xhr.responseText : "This part could not be loaded.";
  alert.append(words);
  if (asked.verb === "get") {
    const again = document.createElement("button");
    again.type = "button";
    again.className = "btn small";
    again.textContent = "Try again";
    again.addEventListener("click", () => {
      alert.remove();
      htmx.ajax("GET", asked.path, { source: asked.elt, target, swap: "outerHTML" });
    });
    alert.append(again);
  }
  target.before(alert);
}
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(name, (event) => setTimeout(() => fail(event)));
}

// -- clicks and keys ---------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  for (const menu of all("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu-list")) menu.open = false;
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog")?.close();
  const copied = event.target.closest("[data-copy]");
  if (!copied) return;
  const source = one(copied.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    say("Copied.");
  } catch {
    source.focus();
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const cancel = one("[data-cancel]", event.target.closest?.("form") ?? document.createElement("p"));
  if (cancel) cancel.click();
  for (const menu of all("details.menu[open]")) {
    menu.open = false;
    one("summary", menu).focus();
  }
});

document.addEventListener("input", (event) => {
  const { mustEqual, pickAll } = event.target.dataset;
  if (mustEqual !== undefined) {
    one("button[type=submit]", event.target.form).disabled = event.target.value !== mustEqual;
  }
  if (pickAll !== undefined) for (const box of all("[data-pick]")) box.checked = event.target.checked;
  const count = all("[data-pick]:checked").length;
  for (const told of all("[data-picked]")) told.textContent = `${count} selected`;
});
