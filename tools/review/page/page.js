"use strict";
(() => {
  const KEYS = [..."1234567890qwertyiopdfghjlzcvm"]; // of classes; the other letters are commands
  const LISTED = 60, AHEAD = 3, KEPT = 12, EVERY = 4000; // classes at once, clips fetched before they are shown, videos kept, ms
  const place = (id) => document.getElementById(id);
  const grouped = (value) => value.toLocaleString("en-US");
  const plural = (count, what) => `${grouped(count)} ${what}${count === 1 ? "" : "s"}`;

  // Names reach the page as text only, never as markup.
  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  let session, token = "", who = "", clip = null, kind = null, busy = false;
  const trail = [], made = []; // clips seen, the last one is shown; own decisions that can be undone
  const known = new Map(); // clips that were fetched before they are shown
  let decided = 0; // the store's events after one's own last decision; what was asked before it is out of date

  // ---- the server

  async function ask(path, said) {
    const headers = { Authorization: `Bearer ${token}`, ...(said && { "Content-Type": "application/json" }) };
    const options = { headers, ...(said && { method: "POST", body: JSON.stringify(said) }) };
    let answer;
    try {
      answer = await fetch(path, options);
    } catch {
      throw new Error("The server does not answer. Was sciu-review ended? Nothing that was stored is lost.");
    }
    if (answer.ok) return answer;
    const { error } = await answer.json().catch(() => ({}));
    throw Object.assign(new Error(error || `The server answered ${answer.status}.`), { status: answer.status });
  }
  const told = async (path, said) => (await ask(path, said)).json();

  function trouble(text) {
    place("trouble").hidden = !text;
    place("trouble").textContent = text || "";
  }

  /** Do one thing at a time; what goes wrong is said in a line. */
  async function work(task) {
    if (busy) return;
    busy = true;
    document.body.classList.add("busy");
    try {
      trouble("");
      await task();
    } catch (error) {
      if (error.status === 409) await refresh().catch(() => {}); // others decided meanwhile: this is what they said
      trouble(error.message);
    }
    busy = false;
    document.body.classList.remove("busy");
  }

  // ---- videos, a few of them ahead

  const videos = new Map(); // clip -> promise of {url, note} or {error}; the one asked for last comes last

  function video(number) {
    const found = videos.get(number) || load(number);
    videos.delete(number);
    videos.set(number, found);
    for (const [old, promise] of videos) {
      if (videos.size <= KEPT) break;
      videos.delete(old);
      promise.then(({ url }) => url && URL.revokeObjectURL(url));
    }
    return found;
  }

  async function load(number) {
    try {
      const answer = await ask(`/clips/${number}/video`);
      const note = decodeURIComponent(answer.headers.get("Sciu-Note"));
      return answer.status === 204 ? { error: note } : { url: URL.createObjectURL(await answer.blob()), note };
    } catch (error) {
      videos.delete(number);
      return { error: error.message };
    }
  }

  async function play(number) {
    const screen = place("video"), blank = place("blank");
    const slow = setTimeout(() => blankWith("loading …"), 250);
    const { url, note, error } = await video(number);
    clearTimeout(slow);
    if (!clip || clip.clip !== number) return; // skipped meanwhile
    if (error) return blankWith(error);
    blank.hidden = true;
    screen.hidden = false;
    screen.src = url;
    place("shown").textContent = note;
    screen.play().catch(() => {}); // paused again before it began
  }

  function blankWith(text) {
    const screen = place("video");
    screen.hidden = true;
    screen.removeAttribute("src");
    place("blank").hidden = false;
    place("blank").textContent = text;
    place("shown").textContent = "";
  }
  place("video").addEventListener("error", () => { if (place("video").hasAttribute("src")) blankWith("The browser cannot play this clip."); });

  // ---- the queue

  function wanted(more) {
    const pair = place("pair").value;
    return new URLSearchParams({
      kind, order: place("order").value, which: place("which").value, who, ...(pair && { pair }), ...more,
    });
  }

  async function queue(after, count) {
    const answer = await told(`/queue?${wanted({ count, ...(after !== null && { after }) })}`);
    progress(answer);
    return answer;
  }

  function progress({ total, decided, mine, kinds }) {
    place("progress").replaceChildren(make("b", {}, grouped(decided)), ` of ${plural(total, "clip")} decided, `, make("b", {}, grouped(mine)), ` by ${who}`);
    const track = document.querySelector(".track");
    track.setAttribute("aria-valuemax", total);
    track.setAttribute("aria-valuenow", decided);
    place("mine").style.width = `${(100 * mine) / Math.max(total, 1)}%`;
    place("others").style.width = `${(100 * (decided - mine)) / Math.max(total, 1)}%`;
    for (const button of place("kinds").children) {
      button.setAttribute("aria-pressed", button.dataset.kind === kind);
      button.querySelector("b").textContent = grouped(kinds[button.dataset.kind]);
    }
  }

  function offerPairs({ pairs }) {
    const name = (label) => session.classes[label];
    const entries = pairs.map(([given, proposed, count]) => make("option", { value: `${given},${proposed}` },
      `${name(given)}${proposed < 0 ? "" : ` → ${name(proposed)}`} (${grouped(count)})`));
    place("pair").replaceChildren(make("option", { value: "" }, "any"), ...entries);
  }

  async function begin() {
    trail.length = 0;
    known.clear();
    await go((await queue(null, 1)).clips[0]);
  }

  const after = async () => go((await queue(clip.clip, 1)).clips[0]);

  async function go(number) {
    if (number === undefined) return finish();
    trail.push(number);
    await show(number);
  }

  async function show(number) {
    tell(known.get(number) || await told(`/clips/${number}`));
    known.delete(number);
    place("classes").scrollTop = 0;
    play(number);
    ahead(number).catch(() => {}); // what is asked next says it
  }

  /** Fetch the clips that come next, so that they are there at once. */
  async function ahead(number) {
    const { clips } = await queue(number, AHEAD);
    for (const next of clips) {
      const answer = await told(`/clips/${next}`);
      if (answer.events >= decided) known.set(next, answer);
      await video(next);
    }
  }

  async function finish() {
    clip = null;
    blankWith("");
    history.replaceState(null, "", location.pathname);
    const { clips, total, decided } = await queue(null, 1);
    const left = total - decided;
    place("end-title").textContent = !total ? "No such clip" : left ? "This is the end of the queue" : "All decided";
    const rest = left ? ` ${plural(left, "clip")} still to do.` : "";
    place("end-text").textContent = total ? `${grouped(decided)} of ${plural(total, "clip")} decided.${rest}` : "Choose another kind of clips above.";
    place("again").hidden = !clips.length;
    place("end-back").hidden = !trail.length;
    sides(true);
  }

  function sides(ended) {
    place("work").hidden = ended;
    place("end").hidden = !ended;
  }

  // ---- a clip

  const WAS = { pruned: "pruned", corrected: "relabelled", doubted: "doubted by the network" };

  function tell(told) {
    clip = told;
    sides(false);
    history.replaceState(null, "", `#${clip.clip}`);
    const name = (label) => session.classes[label];
    place("dot").className = `dot ${{ pruned: "pruned", corrected: "corrected" }[clip.kind] || "unchanged"}`;
    place("was").textContent = `Clip ${clip.clip}, ${WAS[clip.kind] || "unchanged"}${clip.trains ? "" : "; it does not train now"}`;
    place("labels").className = name(clip.given).length > 20 ? "long" : "";
    const from = make("span", { className: clip.proposed === null ? "" : "from" }, name(clip.given));
    place("labels").replaceChildren(from, ...(clip.proposed === null ? [] : [" → ", name(clip.proposed)]));
    place("sentence").textContent = sentence(clip.sentence);
    place("pin").hidden = !clip.pin;
    place("pin-text").textContent = clip.pin ? `${clip.pin.who || "somebody"}: ${pinned(clip)}${clip.pin.why && ` (${clip.pin.why})`}` : "";
    place("path").textContent = clip.path;
    place("keep-label").textContent = name(clip.given);
    place("accept").hidden = clip.proposed === null;
    place("accept-label").textContent = clip.proposed === null ? "" : name(clip.proposed);
    const action = clip.pin && clip.pin.action;
    place("keep").setAttribute("aria-pressed", action === "label" && clip.label === clip.given);
    place("accept").setAttribute("aria-pressed", action === "label" && clip.label === clip.proposed);
    place("drop").setAttribute("aria-pressed", action === "drop");
    place("back").disabled = trail.length < 2;
    for (const id of ["keep", "accept", "drop", "free"]) place(id).disabled = Boolean(session.sealed);
    place("undo").disabled = Boolean(session.sealed) || (!clip.pin && !made.length);
    place("why").value = "";
    place("find").value = "";
    classes();
    place("measures").replaceChildren(...Object.entries(clip.measures).map(([what, value]) =>
      make("div", {}, make("dt", {}, what), make("dd", {}, value.toFixed(3)))));
    const life = clip.history.map(({ epoch, time, what }) => make("li", {},
      make("div", {}, `epoch ${grouped(epoch)}`, make("time", {}, time.slice(0, 10))), make("p", {}, what)));
    place("history").replaceChildren(...(life.length ? life.reverse() : [make("li", { className: "none" }, "Nothing has ever been changed.")]));
  }

  const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
  const pinned = ({ pin, label }) => ({ keep: "stays", drop: "dropped", label: `it is ${session.classes[label]}` })[pin.action] || "";

  function classes() {
    const text = place("find").value.trim().toLowerCase(), { probabilities, given, proposed, pin, label } = clip;
    const found = session.classes.flatMap((name, k) => (name.toLowerCase().includes(text) ? [k] : []));
    if (session.classes.length > KEYS.length && probabilities) found.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
    place("classes").replaceChildren(...found.slice(0, LISTED).map((k) => {
      const role = k === given ? "given" : k === proposed ? "proposed" : "";
      const bar = make("i", { className: "bar" }, make("i", {}));
      bar.firstChild.style.width = `${100 * (probabilities ? probabilities[k] : 0)}%`;
      const name = make("span", { className: "name" }, session.classes[k], ...(role ? [make("small", {}, role)] : []));
      const button = make("button", { className: `class ${role}`, disabled: Boolean(session.sealed), onclick: () => decide("label", k) },
        KEYS[k] ? make("kbd", {}, KEYS[k].toUpperCase()) : make("span", {}), name, bar,
        make("span", { className: "value" }, probabilities ? probabilities[k].toFixed(2) : "–"));
      button.setAttribute("aria-pressed", Boolean(pin) && pin.action === "label" && label === k);
      return button;
    }));
    if (found.length > LISTED) place("classes").append(make("p", { className: "remark" }, `${grouped(found.length - LISTED)} more: type a part of the name above`));
  }

  // ---- decisions

  async function say(action, label) {
    const why = place("why").value, number = clip.clip;
    const answer = await told(`/clips/${number}/pin`, { action, label, who, why, seen: clip.events });
    if (answer.made !== null) made.push({ clip: number, event: answer.made }); // else it was so already
    decided = answer.events;
    known.delete(number);
    document.activeElement.blur();
    tell(answer);
  }

  const decide = (action, label = null) => work(async () => {
    if (!clip || session.sealed) return;
    const after = clip.clip;
    await say(action, label);
    await go((await queue(after, 1)).clips[0]);
  });

  const free = () => work(async () => {
    if (!clip || !clip.pin || session.sealed) return;
    await say("free", null);
    await queue(clip.clip, 1);
  });

  /** Take back the pin of the clip that is shown; if it has none, one's own last decision. */
  const undo = () => work(async () => {
    if (session.sealed) return;
    const last = clip && clip.pin ? { clip: clip.clip, event: clip.undo } : made[made.length - 1];
    if (!last) return;
    if (last.event === null) return trouble("More has happened to this clip since it was decided. Free it of its decision instead: ⌫");
    const forget = () => made.splice(0, made.length, ...made.filter((each) => each.clip !== last.clip));
    const answer = await told(`/clips/${last.clip}/undo`, { event: last.event, who }).catch((error) => {
      if (error.status) forget();
      throw error;
    });
    forget();
    decided = answer.events;
    known.set(last.clip, answer);
    if (!clip || clip.clip !== last.clip) trail.push(last.clip);
    await show(last.clip);
  });

  const back = () => work(async () => {
    if (clip) trail.pop();
    if (trail.length) await show(trail[trail.length - 1]);
    else if (clip) trail.push(clip.clip);
  });

  const skip = () => work(async () => { if (clip) await after(); });
  const keep = () => clip && decide("label", clip.given);
  const accept = () => clip && clip.proposed !== null && decide("label", clip.proposed);

  // ---- what is chosen, pressed, typed

  const clicks = {
    keep, accept, drop: () => decide("drop"), free, back, skip, undo, again: () => work(begin), "end-back": back,
    help: () => place("help-dialog").showModal(), who: () => name(),
  };
  for (const [id, act] of Object.entries(clicks)) place(id).addEventListener("click", () => act());
  const keys = {
    k: keep, a: accept, x: clicks.drop, Backspace: free, Delete: free, s: skip, ArrowRight: skip, b: back, ArrowLeft: back, u: undo, "?": clicks.help,
    n: () => place("why").focus(), "/": () => place("find").focus(),
    " ": () => (place("video").paused ? place("video").play() : place("video").pause()),
    Enter: () => { if (!place("end").hidden && !place("again").hidden) clicks.again(); },
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target, typing = target.matches("input, select, textarea");
    if (event.key === "Escape" && typing) return target.blur();
    if (event.key === "Enter" && target.id === "find") return place("classes").querySelector("button")?.click();
    if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat || document.querySelector("dialog[open]")) return;
    if (!session || (target.matches("button") && [" ", "Enter"].includes(event.key))) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key, label = KEYS.indexOf(key);
    const act = keys[key] || (label >= 0 && label < session.classes.length ? () => decide("label", label) : null);
    if (!act) return;
    event.preventDefault();
    act();
  });
  place("find").addEventListener("input", classes);

  async function choose(another) {
    kind = another;
    place("pair").value = "";
    place("which").value = kind === "pinned" ? "any" : "open";
    offerPairs(await queue(null, 1));
    await begin();
  }
  for (const id of ["pair", "order", "which"]) place(id).addEventListener("change", () => { place(id).blur(); work(begin); });

  // ---- who, and how it begins

  function name() {
    const dialog = place("name-dialog");
    place("name").value = who || localStorage.getItem("who") || session.who.name;
    dialog.showModal();
    place("name").select();
    return new Promise((resolve) => dialog.addEventListener("close", () => {
      const typed = place("name").value.trim();
      if (typed) call(typed);
      for (const storage of typed ? [sessionStorage, localStorage] : []) storage.setItem("who", typed);
      if (!who) return resolve(name());
      if (clip) work(() => queue(clip.clip, 1));
      resolve();
    }, { once: true }));
  }

  function call(chosen) {
    who = chosen;
    place("who").textContent = who;
  }

  /** Show what others, another tab and the training have done since. */
  async function look() {
    if (document.hidden || busy || !clip) return;
    const { events } = await told("/now");
    if (clip && events !== clip.events && !busy) await work(refresh);
  }

  async function refresh() {
    known.clear();
    if (!clip) return;
    const typed = place("why").value;
    tell(await told(`/clips/${clip.clip}`));
    place("why").value = typed;
    await queue(clip.clip, 1);
  }

  /** Take the token from the address, where it would be seen and shared; this tab keeps it, and its name, for reloads. */
  function enter() {
    const given = new URLSearchParams(location.hash.slice(1)).get("token");
    if (given) {
      if (given !== sessionStorage.getItem("token")) sessionStorage.clear(); // a name was given to another server
      sessionStorage.setItem("token", given);
      history.replaceState(null, "", location.pathname);
    }
    token = sessionStorage.getItem("token") || "";
  }
  addEventListener("hashchange", () => { if (location.hash.startsWith("#token=")) location.reload(); });

  function closed(text) {
    document.body.classList.add("closed");
    place("end-title").textContent = "This page needs its address";
    place("end-text").textContent = text;
    sides(true);
  }

  async function start() {
    enter();
    try {
      session = await told("/session");
    } catch (error) {
      if (error.status !== 403) throw error;
      return closed(error.message);
    }
    document.title = `${session.run} – sciu review`;
    place("run").textContent = session.run;
    place("sealed").hidden = !session.sealed;
    place("sealed").textContent = session.sealed;
    place("find").hidden = session.classes.length <= 12;
    const known = sessionStorage.getItem("who") || (session.who.asked ? session.who.name : "");
    if (known) call(known);
    else await name();
    for (const each of ["flagged", "pruned", "corrected", "doubted", "pinned", "all"]) {
      const button = make("button", { onclick: () => work(() => choose(each)) }, `${each[0].toUpperCase()}${each.slice(1)} `, make("b", {}));
      button.dataset.kind = each;
      place("kinds").append(button);
    }
    kind = "flagged";
    const { kinds } = await queue(null, 1);
    kind = Object.keys({ flagged: 0, doubted: 0, all: 0 }).find((each) => kinds[each]) || "all";
    offerPairs(await queue(null, 1));
    const wanted = Number(location.hash.slice(1));
    if (location.hash && Number.isInteger(wanted)) await go(wanted).catch(begin);
    else await begin();
    setInterval(() => look().catch((error) => trouble(error.message)), EVERY);
    addEventListener("focus", () => look().catch(() => {}));
  }
  work(start);
})();
