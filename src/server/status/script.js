// Keeps the page as the gateway writes it: fetches it again and takes over what differs, so that nothing jumps, focus and
// selection stay, and there is no second place that turns a state into words.
"use strict";

const EVERY_MS = 1500;
const GIVE_UP_MS = 5000;
const PARTS = ["main", "footer"];
const live = document.getElementById("live");
const lost = document.getElementById("lost");
let lastSeen = new Date();
let timer = 0;

/** Moments in the reader's own time zone; with the day, where it is another one. */
function localise(root) {
  const today = new Date().toDateString();
  for (const time of root.querySelectorAll("time")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const sameDay = moment.toDateString() === today;
    time.textContent = sameDay ? clock(moment) : `${moment.toLocaleDateString()} ${clock(moment)}`;
  }
}

function clock(moment) {
  return moment.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** Makes `old` like `fresh`, touching only what differs. */
function takeOver(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh.cloneNode(true));
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
  before.slice(after.length).forEach((node) => node.remove());
  after.forEach((node, at) => {
    if (at < before.length) takeOver(before[at], node);
    else old.append(node.cloneNode(true));
  });
}

async function refresh() {
  try {
    const reply = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(GIVE_UP_MS) });
    if (!reply.ok) throw new Error(`status ${reply.status}`);
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (fresh.documentElement.dataset.build !== document.documentElement.dataset.build) {
      // The gateway has been replaced by another version: its page wants its own style and script.
      location.reload();
      return;
    }
    localise(fresh);
    for (const part of PARTS) takeOver(document.getElementById(part), fresh.getElementById(part));
    document.title = fresh.title;
    seen();
  } catch (error) {
    missed();
  }
}

function seen() {
  lastSeen = new Date();
  lost.hidden = true;
  document.body.classList.remove("stale");
  say("live");
}

function missed() {
  if (lost.hidden) {
    lost.textContent = `Connection lost since ${clock(lastSeen)}. What stands here is from then; trying again.`;
    lost.hidden = false;
  }
  document.body.classList.add("stale");
  document.title = "? · capgate";
  say("not live");
}

function say(text) {
  if (live.textContent !== text) live.textContent = text;
}

/** One call at a time, and none while nobody looks. */
async function keepLive() {
  clearTimeout(timer);
  if (document.hidden) {
    say("paused");
    return;
  }
  await refresh();
  clearTimeout(timer);
  timer = setTimeout(keepLive, EVERY_MS);
}

document.addEventListener("visibilitychange", keepLive);
localise(document);
say("live");
timer = setTimeout(keepLive, EVERY_MS);
