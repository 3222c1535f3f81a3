// The page of `headstart serve`: pictures in, names out. Each picture is one request, a few at a time.

import { $, element, many } from "./common.js";

const AT_A_TIME = 4;
const MOST_CARDS = 12; // beyond, a table
const TRIES = 20;
const all = []; // every picture of this visit: {file, url, answer}
const waiting = [];
let busy = 0, begun = 0, done = 0, server = {};

const percent = (p) => (p > 0.9995 ? "over 99.9%" : p < 0.0005 ? "under 0.1%" : `${(100 * p).toFixed(1)}%`);

function say(text, trouble = false) {
  $("status").textContent = text;
  $("status").className = trouble ? "trouble" : "";
}

async function ask(file, query = "") {
  for (let tries = 1; ; tries++) {
    let response;
    try {
      response = await fetch(`predict?topk=5${query}`, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    } catch {
      return { error: "The server does not answer. Is it still running?" };
    }
    if (response.status === 503 && tries < TRIES) {
      await new Promise((go) => setTimeout(go, 1000 * Number(response.headers.get("Retry-After") || 1)));
      continue;
    }
    const told = await response.json().catch(() => ({ detail: `The server answered ${response.status}.` }));
    return told.predictions?.[0] ?? { error: told.detail };
  }
}

function add(files) {
  const pictures = [...files];
  if (!pictures.length) return;
  if (!busy && !waiting.length) [begun, done] = [performance.now(), 0];
  for (const file of pictures) {
    const entry = { file, url: URL.createObjectURL(file), answer: null };
    all.push(entry);
    waiting.push(entry);
  }
  $("answers").hidden = false;
  lay();
  while (busy < AT_A_TIME && waiting.length) work();
}

async function work() {
  busy++;
  for (let entry = waiting.shift(); entry; entry = waiting.shift()) {
    tell();
    entry.answer = await ask(entry.file);
    done++;
    fill(entry);
    tell();
  }
  busy--;
  if (!busy) finish();
}

function tell() {
  const total = done + waiting.length + busy, seconds = (performance.now() - begun) / 1000;
  $("progress").hidden = total < 2;
  $("progress").value = done / total;
  const rate = done / seconds, left = done > 2 ? `, ${rate.toFixed(1)} per second, ${Math.ceil((total - done) / rate)} s left` : "";
  if (total > 1) say(`${done} of ${many(total, "picture")}${left}`);
  else say("Looking …");
}

function finish() {
  const failed = all.filter((entry) => entry.answer?.error).length, named = all.length - failed;
  $("progress").hidden = true;
  if (!all.length) return say(""); // they were cleared meanwhile
  const last = all[all.length - 1];
  if (all.length === 1 && last) return say(last.answer.error ? last.answer.error : verdict(last.answer), Boolean(last.answer.error));
  const strange = all.filter((entry) => entry.answer?.known === false).length;
  const ends = [strange && `${strange} of them ${strange === 1 ? "is" : "are"} none of these`, failed && `${failed} could not be used`];
  say([`${many(named, "picture")} named`, ...ends.filter(Boolean)].join("; ") + ".");
}

function verdict(answer) {
  return answer.known === false
    ? `None of these: it is unlike all training pictures. The nearest class is ${answer.predicted}.`
    : `${answer.predicted}, ${percent(answer.confidence)}`;
}

function lay() {
  const asTable = all.length > MOST_CARDS;
  $("table").hidden = !asTable;
  $("cards").hidden = asTable;
  for (const entry of all) {
    if (asTable && !entry.row) $("rows").append((entry.row = row(entry)));
    if (!asTable && !entry.card) $("cards").append((entry.card = card(entry)));
    if (entry.answer) fill(entry);
  }
}

function card(entry) {
  const made = $("answer").content.firstElementChild.cloneNode(true);
  const photo = made.querySelector(".photo");
  photo.src = entry.url;
  photo.alt = entry.file.name || "the pasted picture";
  photo.onload = () => photo.classList.toggle("small-picture", Math.max(photo.naturalWidth, photo.naturalHeight) <= 64);
  photo.onerror = () => made.classList.add("bare"); // a browser cannot show every format
  made.querySelector("h3").textContent = "…";
  made.querySelector(".file").textContent = entry.file.name || "pasted";
  return made;
}

function row(entry) {
  const made = element("tr"), picture = element("td"), image = element("img");
  image.src = entry.url;
  image.alt = "";
  image.loading = "lazy";
  image.onerror = () => image.remove();
  picture.append(image);
  made.append(picture, element("td", entry.file.name || "pasted", "file"), element("td", "…"), element("td", "", "n"));
  return made;
}

function fill(entry) {
  if (entry.row) fillRow(entry);
  if (entry.card) fillCard(entry);
}

function fillRow({ row: made, answer }) {
  const [, , shows, sure] = made.children;
  shows.replaceChildren(answer.error ? element("span", answer.error, "trouble") : answer.predicted);
  if (answer.known === false) shows.append(" ", element("span", "none of these", "badge"));
  sure.textContent = answer.error ? "" : percent(answer.confidence);
}

function fillCard(entry) {
  const { card: made, answer } = entry;
  const title = made.querySelector("h3"), bars = made.querySelector(".bars");
  bars.replaceChildren();
  if (answer.error) {
    title.textContent = "No answer";
    bars.append(element("li", answer.error, "trouble"));
    return;
  }
  const strange = answer.known === false;
  title.textContent = strange ? "None of these" : answer.predicted;
  if (strange) bars.append(element("li", "It is unlike all training pictures. If it had to be one of the classes:", "quiet"));
  for (const one of answer.probabilities) bars.append(bar(one.class, one.probability));
  if (answer.set) bars.append(element("li", `At the coverage you asked for: ${answer.set.join(", ")}.`, "quiet"));
  const why = made.querySelector(".why");
  why.hidden = !server.explains;
  why.onclick = () => explain(entry, why);
}

function bar(name, p) {
  const made = element("li"), label = element("span", undefined, "name"), track = element("span", undefined, "track"), filled = element("span", undefined, "fill");
  label.append(element("span", name), element("span", percent(p)));
  filled.style.width = `${Math.max(0.5, 100 * p)}%`;
  track.append(filled);
  made.append(label, track);
  return made;
}

async function explain(entry, why) {
  const map = entry.card.querySelector(".map"), near = entry.card.querySelector(".near");
  if (!entry.why) {
    why.disabled = true;
    why.textContent = "Looking …";
    entry.why = await ask(entry.file, "&explain=1");
    why.disabled = false;
    why.textContent = "Why?";
    if (entry.why.error) return say(entry.why.error, true);
    if (entry.why.map) map.src = entry.why.map;
    map.alt = `Where the picture supports ${entry.why.predicted}`;
    for (const one of entry.why.nearest ?? []) {
      const item = element("li");
      if (one.picture) {
        const image = element("img");
        [image.src, image.alt] = [one.picture, ""];
        item.append(image);
      }
      item.append(element("div", one.class));
      near.querySelector("ul").append(item);
    }
  }
  const shown = why.getAttribute("aria-pressed") !== "true";
  why.setAttribute("aria-pressed", String(shown));
  map.hidden = !shown || !entry.why.map;
  near.hidden = !shown || !entry.why.nearest?.length;
}

function cell(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^'*[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text; // no formula for a spreadsheet
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function download() {
  const lines = [["file", "predicted", "confidence", "known", "error"]];
  for (const { file, answer } of all) {
    lines.push([file.name || "pasted", answer?.error ? "" : answer?.predicted, answer?.error ? "" : answer?.confidence, answer?.known, answer?.error]);
  }
  const text = lines.map((line) => line.map(cell).join(",")).join("\r\n") + "\r\n";
  const link = element("a");
  link.href = URL.createObjectURL(new Blob(["\ufeff" + text], { type: "text/csv" }));
  link.download = "answers.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function clear() {
  for (const { url } of all.splice(0)) URL.revokeObjectURL(url);
  waiting.length = 0;
  $("cards").replaceChildren();
  $("rows").replaceChildren();
  $("answers").hidden = true;
  say("");
}

function fact(name, value) {
  const made = element("div");
  made.append(element("dt", name), element("dd", value));
  $("facts").append(made);
}

async function introduce() {
  try {
    server = await (await fetch("metadata")).json();
  } catch {
    return say("The server does not answer. Is it still running?", true);
  }
  document.title = `${server.title} · Headstart`;
  const shown = server.classes.slice(0, 8).join(", "), more = server.classes.length - 8;
  $("classes").textContent = `It tells ${many(server.classes.length, "class").replace("classs", "classes")} apart: ${shown}${more > 0 ? ` and ${more.toLocaleString("en")} more` : ""}.`;
  fact("Run", server.title);
  fact("Network", server.backbone ? `${server.backbone}, layer ${server.layer}` : "none: raw pixels");
  if (server.licence) fact("Licence of the network", server.licence);
  fact("Input size", `${server.image_size[1]} × ${server.image_size[0]} pixels`);
  fact("Made with", `Headstart ${server.headstart}`);
  if (server.card) {
    $("card").hidden = false;
    $("card-text").innerHTML = server.card; // Markdown of the bundle, made into HTML by the server with tags escaped
  }
}

const drop = $("drop");
for (const kind of ["dragenter", "dragover"]) addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
addEventListener("drop", (event) => { event.preventDefault(); drop.classList.remove("over"); add(event.dataTransfer.files); });
addEventListener("paste", (event) => add(event.clipboardData.files));
for (const id of ["files", "camera"]) $(id).addEventListener("change", (event) => { add(event.target.files); event.target.value = ""; });
$("csv").addEventListener("click", download);
$("clear").addEventListener("click", clear);
introduce();
