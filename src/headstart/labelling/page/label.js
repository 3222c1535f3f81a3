// The page of `headstart label`. A key moves on at once; what it said is sent behind, in order, and counted when kept.

import { $, element, many } from "./common.js";

const AHEAD = 8; // pictures fetched before they are shown
const EVERY = 1500; // milliseconds between looks at what the labels come to
const tab = crypto.randomUUID?.() ?? String(Math.random());
const queue = []; // pictures to come
const answered = new Set(); // pictures that this tab has answered: the server may not know it yet
const undone = []; // what this tab did, to take back: {action} or a promise of it
let now = null, state = { classes: [], action: 0 }, keys = new Map(), sending = Promise.resolve(), filling = null;
let pending = 0; // answers on their way
let shownAt = -1; // the version of the labels that the side shows

const percent = (p) => (p === 1 ? "100%" : p > 0.9995 ? "over 99.9%" : `${(100 * p).toFixed(p > 0.985 ? 1 : 0)}%`);
const picture = (i, side) => `picture/${i}?side=${side}`;

function say(text, trouble = false) {
  $("status").textContent = text;
  $("status").className = trouble ? "trouble" : "quiet";
}

async function ask(address, body) {
  const how = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), keepalive: true };
  let response;
  try {
    response = await fetch(address, how);
  } catch {
    throw new Error("The server does not answer. Is it still running? What was confirmed is kept.");
  }
  const told = await response.json().catch(() => ({ detail: `The server answered ${response.status}.` }));
  if (!response.ok) throw Object.assign(new Error(typeof told.detail === "string" ? told.detail : "The server did not understand that."), { status: response.status });
  return told;
}

// Pictures to come

function fill() {
  filling ??= (async () => {
    try {
      const known = new Set([now?.id, ...queue.map((one) => one.id)]);
      for (const one of await ask(`next?tab=${tab}&n=${Math.min(50, AHEAD + known.size + pending)}`)) {
        if (known.has(one.id) || answered.has(one.id) || queue.length >= AHEAD) continue;
        queue.push(one);
        new Image().src = picture(one.id, 800);
      }
    } catch (error) {
      say(error.message, true);
    }
    filling = null;
    if (!now) show(queue.shift() ?? null);
  })();
  return filling;
}

function show(one) {
  now = one;
  $("photo").hidden = !one;
  $("empty").hidden = Boolean(one);
  $("zoom").hidden = !one;
  $("alike").hidden = !one?.alike.length;
  $("name").textContent = one ? one.name : "";
  if (one) {
    $("photo").src = picture(one.id, 800);
    $("photo").alt = `${one.name}${one.label ? `, labelled ${one.label}` : ""}`;
    $("alike-told").textContent = `${many(one.alike.length, "look-alike")}: will get the same label.`;
    $("alike-list").replaceChildren(...one.alike.slice(0, 12).map((i) => { const item = element("li"); item.append(thumb(i)); return item; }));
  } else {
    $("empty").textContent = state.pictures && state.labelled + state.none >= state.pictures ? "Every picture is labelled." : "…";
  }
  mark();
}

function thumb(i) {
  const image = element("img");
  [image.src, image.alt, image.loading] = [picture(i, 160), "", "lazy"];
  return image;
}

function mark() {
  for (const button of $("classes").children) {
    const guess = now && (now.label ?? null) === button.dataset.name;
    button.classList.toggle("guess", Boolean(guess));
  }
}

$("photo").addEventListener("load", () => $("photo").classList.toggle("tiny", Math.max($("photo").naturalWidth, $("photo").naturalHeight) <= 96));

function step() {
  show(queue.shift() ?? null);
  if (queue.length < AHEAD / 2) fill();
}

// What a person says

function send(one, address, body) {
  pending++;
  const kept = sending.then(() => ask(address, body)).finally(() => pending--);
  sending = kept.then((told) => { update(told); if (!now) fill(); }, (error) => {
    say(error.message, true);
    const at = undone.indexOf(kept);
    if (at >= 0) undone.splice(at, 1);
    if (one) for (const i of [one.id, ...one.alike]) answered.delete(i);
    if (error.status !== 409 && one) { queue.unshift(...(now ? [now] : [])); show(one); }
    return look();
  });
  return kept;
}

function label(name) {
  const one = now;
  if (!one) return;
  for (const i of [one.id, ...one.alike]) answered.add(i);
  const kept = send(one, "label", { pictures: [one.id, ...one.alike], label: name, seen: one.seen, random: one.random ?? false });
  kept.catch(() => 0);
  undone.push(kept);
  $("undo").disabled = false;
  say(`${one.name.split("/").pop()}: ${name ?? "none of these"}${one.alike.length ? `, with ${many(one.alike.length, "look-alike")}` : ""}`);
  step();
}

async function undo() {
  const last = undone.pop();
  $("undo").disabled = !undone.length;
  if (!last) return;
  try {
    const { action } = await last;
    const told = await ask("undo", { action });
    update(told);
    for (const each of told.back) answered.delete(each.id);
    if (now) queue.unshift(now);
    show(told.back[0] ?? null);
    say("Undone.");
  } catch (error) {
    say(error.status === 409 ? "The picture has been labelled again since, so nothing was undone." : error.message, true);
  }
}

function skip() {
  if (!now) return;
  answered.add(now.id);
  setTimeout((i) => answered.delete(i), 10_000, now.id); // at the end it comes again
  send(null, "skip", { picture: now.id }).catch(() => 0);
  say("Skipped: it will come back at the end.");
  step();
}

function name(renaming) {
  $("naming-title").textContent = renaming ? "Rename a class" : "New class";
  $("which-row").hidden = !renaming;
  $("which").replaceChildren(...state.classes.map((each) => element("option", each.name)));
  $("called").value = "";
  $("naming").returnValue = "";
  $("naming").onclose = async () => {
    if ($("naming").returnValue !== "ok" || !$("called").value.trim()) return;
    try {
      await sending;
      update(await ask("class", { name: $("called").value, old: renaming ? $("which").value : null }));
      say(renaming ? "Renamed." : "Added.");
    } catch (error) {
      say(error.message, true);
    }
  };
  $("naming").showModal();
  (renaming ? $("which") : $("called")).focus();
}

// What the labels come to

function update(told) {
  const names = state.classes.map((each) => each.name).join("\n");
  state = { ...state, ...told };
  if (names !== state.classes.map((each) => each.name).join("\n") || !$("classes").children.length) layClasses();
  for (const [i, each] of state.classes.entries()) $("classes").children[i].querySelector(".n").textContent = each.n.toLocaleString("en");
  const done = state.labelled + state.none;
  $("progress").value = state.pictures ? done / state.pictures : 0;
  $("far").textContent = `${done.toLocaleString("en")} of ${many(state.pictures, "picture")}${state.none ? `, ${state.none.toLocaleString("en")} none of these` : ""}`;
}

function layClasses() {
  keys = new Map();
  const letters = new Set();
  const made = state.classes.map((each, i) => {
    const letter = [...each.name.toLowerCase()].find((sign) => /\p{L}/u.test(sign) && !letters.has(sign));
    if (letter) { letters.add(letter); keys.set(letter, each.name); }
    if (i < 9) keys.set(String(i + 1), each.name);
    const button = element("button");
    button.type = "button";
    button.dataset.name = each.name;
    button.setAttribute("aria-keyshortcuts", [i < 9 ? i + 1 : "", letter ?? ""].join(" ").trim());
    button.append(element("span", each.name), element("span", "0", "n"));
    for (const key of [i < 9 ? String(i + 1) : "", letter]) if (key) button.append(element("kbd", key));
    button.onclick = () => label(each.name);
    return button;
  });
  if (!made.length) made.push(element("p", "There are no classes yet: press + to add the first one.", "quiet"));
  $("classes").replaceChildren(...made);
  mark();
}

function open(one) {
  if (now && now.id !== one.id) queue.unshift(now);
  const at = queue.findIndex((other) => other.id === one.id);
  if (at >= 0) queue.splice(at, 1);
  show({ ...one, alike: one.label || one.none ? [] : one.alike });
  scrollTo({ top: 0, behavior: "smooth" });
}

function strip(place, ones, words) {
  $(`${place}-part`).hidden = !ones.length;
  $(place).replaceChildren(...ones.map((one) => {
    const item = element("li"), button = element("button");
    button.type = "button";
    button.title = one.name;
    button.append(thumb(one.id), element("span", words(one)));
    button.onclick = () => open(one);
    item.append(button);
    return item;
  }));
}

async function look() {
  let told;
  try {
    told = await ask("state");
  } catch (error) {
    return say(error.message, true);
  }
  update(told);
  if (told.failure) say(told.failure, true);
  $("kept").textContent = `Every label is saved before it is counted. Table: ${told.out}. Network: ${told.looked}.${told.refused ? ` ${many(told.refused, "file")} could not be used.` : ""}`;
  if (told.version === shownAt) return queue.length < AHEAD / 2 ? fill() : undefined;
  shownAt = told.version;
  document.title = `${told.title} · Headstart`;
  accuracy(told);
  strip("doubted", told.doubted, (one) => `${one.label} → ${one.suggested}?`);
  strip("unsure", told.unsure.filter((one) => one.guess), (one) => `${one.guess} ${percent(one.confidence)}`);
  $("rest-part").hidden = told.unsure.length === 0;
  queue.length = Math.min(queue.length, 2); // the next are those that are most useful by now
  fill();
}

function accuracy({ accuracy: found, measured, curve, labelled }) {
  const place = $("accuracy");
  if (!found) {
    place.replaceChildren(element("small", labelled ? `One picture in four is drawn at random. These measure the accuracy, once there are ten of them (now ${measured}).` : "Label the first few pictures. The most typical ones come first."));
    $("curve").toggleAttribute("hidden", true);
    $("curve-told").textContent = "";
    return;
  }
  const [value, low, high] = found;
  const right = Math.round(value * measured);
  place.replaceChildren(`${percent(value)} right`, element("small", `${right} of ${measured} pictures drawn at random, cross-validated. 95% interval ${percent(low)} to ${percent(high)}.`));
  $("curve").toggleAttribute("hidden", !curve);
  $("curve-told").textContent = !curve ? "" : curve.odd ? `No forecast for more labels: ${curve.odd}.` : `With the next 50 labels, likely ${percent(curve.next[1])} (90% interval ${percent(curve.next[2])} to ${percent(curve.next[3])}).`;
  if (curve) draw(curve);
}

function draw({ points, ahead }) {
  const all = [...points.map(([n, y]) => [n, y, y]), ...ahead.map(([n, , low, high]) => [n, low, high])];
  const [least, most] = [Math.min(...all.map(([n]) => n)), Math.max(...all.map(([n]) => n))];
  const floor = Math.max(0, Math.floor(10 * Math.min(...all.map(([, low]) => low))) / 10);
  const x = (n) => 38 + (270 * Math.log(n / least)) / Math.log(most / least || 2), y = (p) => 150 - (135 * (p - floor)) / (1 - floor || 1);
  const path = (list, at) => list.map((one, i) => `${i ? "L" : "M"}${x(one[0]).toFixed(1)} ${y(one[at]).toFixed(1)}`).join("");
  const made = [];
  const add = (kind, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    made.push(node);
  };
  for (const p of [floor, (1 + floor) / 2, 1]) {
    add("line", { class: "grid", x1: 38, x2: 308, y1: y(p), y2: y(p) });
    add("text", { x: 34, y: y(p) + 4, "text-anchor": "end" }, `${Math.round(100 * p)}%`);
  }
  if (ahead.length) {
    const back = [...ahead].reverse().map((one) => `L${x(one[0]).toFixed(1)} ${y(one[2]).toFixed(1)}`).join("");
    add("path", { class: "band", d: `${path(ahead, 3)}${back}Z` });
    add("path", { class: "ahead", d: path(ahead, 1) });
  }
  add("path", { class: "seen", d: path(points, 1) });
  for (const [n, p] of points) add("circle", { cx: x(n), cy: y(p), r: 3 });
  const ticks = [points[0][0], points.at(-1)[0], ...(ahead.length ? [most] : [])];
  for (const [i, n] of ticks.entries()) add("text", { x: x(n), y: 166, "text-anchor": i ? (n === most ? "end" : "middle") : "start" }, Math.round(n).toLocaleString("en"));
  add("text", { x: 173, y: 178, "text-anchor": "middle" }, "labels");
  $("curve").replaceChildren(...made);
}

// The rest, where it is sure

async function propose() {
  let told;
  try {
    await sending;
    told = await ask(`proposals?at=${$("at").value}`);
  } catch (error) {
    return say(error.message, true);
  }
  const tried = told.tried ? ` As a check: of ${many(told.tried, "label")} that it had not seen and was this sure about, ${told.right.toLocaleString("en")} were right.` : "";
  $("proposals-told").textContent = told.total ? `${many(told.total, "picture")}, surest first. Click the wrong ones to remove them, then confirm the page.${tried}` : "There are no pictures that it is this sure about.";
  $("grid").replaceChildren(...told.pictures.map((one) => {
    const item = element("li"), button = element("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    button.one = one;
    button.title = one.name;
    button.append(thumb(one.id), element("b", one.guess), element("span", ` ${percent(one.confidence)}`));
    button.onclick = () => { button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true")); count(); };
    item.append(button);
    return item;
  }));
  $("grid").hidden = !told.pictures.length;
  count();
  if (!$("proposals").open) $("proposals").showModal();
  ($("grid").querySelector("button") ?? $("done")).focus();
}

const chosen = () => [...$("grid").querySelectorAll('button[aria-pressed="true"]')].map((button) => button.one);

function count() {
  $("confirm").textContent = `Confirm ${many(chosen().length, "label")}`;
  $("confirm").hidden = !chosen().length;
}

async function confirmAll() {
  const labels = chosen().map((one) => ({ pictures: [one.id], label: one.guess, seen: one.seen }));
  try {
    update(await ask("confirm", { labels }));
    say(`${many(labels.length, "label")} confirmed.`);
    queue.length = 0;
    if (labels.some((each) => each.pictures[0] === now?.id)) now = null;
    fill();
  } catch (error) {
    say(error.message, true);
  }
  await propose();
}

function arrow(event) {
  const buttons = [...$("grid").querySelectorAll("button")], at = buttons.indexOf(document.activeElement);
  const across = Math.max(1, Math.round($("grid").clientWidth / (buttons[0]?.offsetWidth + 9 || 1)));
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -across, ArrowDown: across }[event.key];
  if (by === undefined || at < 0 || !buttons[at + by]) return;
  event.preventDefault();
  buttons[at + by].focus();
}

function zoom() {
  if (!now) return;
  $("large-photo").src = picture(now.id, 2400);
  $("large-photo").alt = $("photo").alt;
  $("large-photo").classList.toggle("tiny", $("photo").classList.contains("tiny"));
  $("large").showModal();
}

const ACTS = { Backspace: undo, " ": skip, 0: () => label(null), "+": () => name(false), ".": () => name(true), Enter: zoom };

addEventListener("keydown", (event) => {
  if ($("proposals").open) return arrow(event);
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]") || event.target.matches("input, select")) return;
  const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if ((pressed === " " || pressed === "Enter") && event.target.matches("button, a")) return; // the button's own
  const act = keys.has(pressed) ? () => label(keys.get(pressed)) : ACTS[event.key];
  if (!act || event.repeat) return;
  event.preventDefault();
  act();
});

for (const [id, act] of Object.entries({ none: () => label(null), skip, undo, add: () => name(false), rename: () => name(true), zoom, propose, confirm: confirmAll })) {
  $(id).addEventListener("click", (event) => { act(); if (event.detail) event.currentTarget.blur(); }); // after a click, Space skips
}
$("done").addEventListener("click", () => $("proposals").close());
$("close-large").addEventListener("click", () => $("large").close());

await look();
await fill();
setInterval(() => { if (!document.hidden) look(); }, EVERY);
