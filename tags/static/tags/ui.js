// What pages do beyond links and forms: refresh, copy, dialogs, toasts. Nothing is computed here.
"use strict";

const REFRESH_SECONDS = 15;
const TOAST_SECONDS = 12;
const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const made = (tag, className, textContent = "") =>
  Object.assign(document.createElement(tag), { className, textContent });

// -- refresh: a part that carries data-refresh, while it is seen and nobody is busy in it ---------

const lastRefresh = new WeakMap();
const BUSY = "details.menu[open], [data-pick]:checked, [data-editing], .htmx-request";
const keepsFocus = (element) => element.id && element.matches("a, button"); // by its id, in a swap
const isBusyIn = (part) =>
  one(BUSY, part) || (part.contains(document.activeElement) && !keepsFocus(document.activeElement));

setInterval(() => {
  if (document.hidden || one("dialog[open], [data-refresh-switch]:not(:checked)")) return;
  for (const part of all("[data-refresh]")) {
    const [seconds, now] = [Number(part.dataset.refresh) || REFRESH_SECONDS, performance.now()];
    if (!lastRefresh.has(part)) lastRefresh.set(part, now);
    if (now - lastRefresh.get(part) < seconds * 1000 || isBusyIn(part)) continue;
    lastRefresh.set(part, now);
    htmx.trigger(part, "refresh");
  }
}, 1000);

// -- toasts: what was done is said once, in the one status region ---------------------------------

function say(text, kind = "success") {
  const toast = made("div", `toast ${kind}`);
  const words = made("span", "", text);
  const close = made("button", "btn link", "Close");
  close.addEventListener("click", () => toast.remove());
  toast.append(words, close);
  const dialog = one("dialog[open]"); // what lies behind it can neither be read nor clicked
  if (dialog) toast.setAttribute("role", "status");
  (dialog ?? one("#toasts"))?.append(toast);
  setTimeout(() => toast.remove(), TOAST_SECONDS * 1000);
}

document.addEventListener("said", (event) => say(event.detail.text, event.detail.kind));

// -- dialogs: whatever is swapped into one opens it -------------------------------------------------

document.addEventListener("htmx:afterSwap", (event) => {
  const dialog = event.detail.target;
  if (dialog instanceof HTMLDialogElement && !dialog.open && dialog.childElementCount) {
    dialog.showModal();
  }
});
document.addEventListener("htmx:afterSettle", (event) => {
  all("[data-must-equal]").forEach(compare);
  // Not before: until then its links and forms are plain ones.
  const field = one("[aria-invalid=true], [autofocus]", event.target);
  field?.focus();
  field?.select?.();
});
document.addEventListener("done", () => one("dialog[open]")?.close());

// -- waiting and failing: old content stays, dimmed, and a message offers another try ---------------

function free({ requestConfig }) {
  const button = requestConfig?.triggeringEvent?.submitter;
  if (!button?.disabled) return;
  button.disabled = false;
  if (document.activeElement === document.body) button.focus();
}
const isSilent = (detail) => detail.requestConfig?.triggeringEvent?.type === "refresh";

document.addEventListener("htmx:beforeSwap", (event) => {
  free(event.detail);
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
  free(event.detail);
  one(".alert[data-failed]", event.detail.target?.parentElement ?? document)?.remove();
});

function fail(event) {
  const { xhr, requestConfig: asked, target } = event.detail;
  const isPlain = xhr?.getResponseHeader("Content-Type")?.startsWith("text/plain");
  const alert = made("div", "alert");
  alert.dataset.failed = "";
  alert.setAttribute("role", "alert");
  alert.append(made("span", "", isPlain ? xhr.responseText : asked.verb === "get" ? "This part could not be loaded." : "That was not saved."));
  if (asked.verb === "get") {
    const again = made("button", "btn small", "Try again");
    again.addEventListener("click", () => {
      alert.remove();
      htmx.ajax("GET", asked.path, { source: asked.elt, target, swap: "outerHTML" });
    });
    alert.append(again);
  }
  if (target.matches("td, th")) target.prepend(alert); // beside it, it would be a cell more
  else target.before(alert);
}
for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"])
  document.addEventListener(name, (event) => setTimeout(() => fail(event)));

// -- clicks and keys ---------------------------------------------------------------------------------

document.addEventListener("click", async (event) => {
  for (const menu of all("details.menu[open]")) {
    const isChosen = event.target.closest(".menu-list") && menu.contains(event.target);
    if (isChosen || !menu.contains(event.target)) menu.open = false;
    if (isChosen) one("summary", menu).focus(); // where a dialog that it opens gives it back
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
  event.target.closest?.("form")?.querySelector("[data-cancel]")?.click();
  for (const menu of all("details.menu[open]")) {
    menu.open = false;
    one("summary", menu).focus();
  }
});

function compare(typed) {
  one("button[type=submit]", typed.form).disabled = typed.value !== typed.dataset.mustEqual;
}
all("[data-must-equal]").forEach(compare);

document.addEventListener("input", (event) => {
  const { mustEqual, pickAll } = event.target.dataset;
  if (mustEqual !== undefined) compare(event.target);
  if (pickAll !== undefined) for (const box of all("[data-pick]")) box.checked = event.target.checked;
  const count = all("[data-pick]:checked").length;
  for (const told of all("[data-picked]")) told.textContent = `${count} selected`;
});
