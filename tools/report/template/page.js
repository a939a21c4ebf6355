"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 60, ROWS = 25;

  // Names reach the page as text only, never as markup.
  function make(tag, properties, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  }
  const all = (place, selector) => [...place.querySelectorAll(selector)];
  const number = (value) => value.toLocaleString("en-US");
  const moment = (time) => time.slice(0, 16).replace("T", " ");
  const decimal = (value) => (value === null ? "–" : value.toFixed(3));

  // ---- charts, drawn when they come into sight

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  function coloured(trace) {
    const { role, ...rest } = trace;
    if (role === "heat") {
      return { ...rest, colorscale: [[0, colour("heat-low")], [1, colour("heat-high")]], textfont: { color: colour("ink") } };
    }
    const paint = { color: colour(role) };
    return trace.type === "bar" ? { ...rest, marker: paint } : { ...rest, line: { ...paint, width: 2 }, marker: { ...paint, size: 5 } };
  }

  function themed(chart) {
    const heading = (title) => title && { ...title, font: { size: 12 }, standoff: 10 };
    const axis = { gridcolor: colour("grid"), linecolor: colour("line"), zeroline: false, automargin: true, fixedrange: true };
    const { xaxis, yaxis, shapes = [], annotations = [], ...rest } = chart.layout;
    return {
      ...rest,
      xaxis: { ...axis, ...xaxis, title: heading(xaxis?.title), showgrid: false },
      yaxis: { ...axis, ...yaxis, title: heading(yaxis?.title) },
      shapes: shapes.map((each) => ({ ...each, role: undefined, line: { color: colour(each.role), width: 1.5, dash: "dash" } })),
      annotations: annotations.map((each) => ({ ...each, role: undefined, font: { color: colour(each.role), size: 12 } })),
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("soft") },
      paper_bgcolor: colour("raised"), plot_bgcolor: colour("raised"), hovermode: "closest",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("soft"), activecolor: colour("ink") },
      hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line"), font: { color: colour("ink") } },
      margin: { l: 44, r: 14, t: annotations.length ? 28 : 10, b: 28 },
    };
  }

  function file(place) { // the picture's name, of the page's and the chart's
    const caption = place.parentElement.querySelector("figcaption").textContent;
    return `${document.title.split(" – ")[0]} ${caption}`.replace(/[^\p{L}\p{N}%.]+/gu, "-");
  }

  function draw(place) {
    const chart = data.charts[place.id];
    const room = { width: place.clientWidth, height: place.clientHeight };
    Plotly.react(place, chart.traces.map(coloured), { ...themed(chart), ...room }, {
      displaylogo: false, modeBarButtons: [["toImage"]],
      toImageButtonOptions: { scale: 3, filename: file(place) },
    });
    place.dataset.drawn = room.width;
    size.observe(place);
  }

  const places = all(document, ".chart");
  // Plotly's own `responsive` waits for 100 ms: what is printed or pictured at once was cut off.
  const size = new ResizeObserver((entries) => {
    for (const { target } of entries) if (target.clientWidth && target.clientWidth !== Number(target.dataset.drawn)) draw(target);
  });
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) if (isIntersecting && !target.dataset.drawn) draw(target);
  }, { rootMargin: "400px" });
  places.forEach((place) => sight.observe(place));
  const redraw = () => places.filter((place) => place.dataset.drawn).forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", () => places.filter((place) => place.offsetParent).forEach(draw));

  // ---- runs side by side, one of them in full

  const tabs = all(document, ".tabs button");
  tabs.forEach((tab) => tab.addEventListener("click", () => {
    tabs.forEach((each) => each.setAttribute("aria-selected", each === tab));
    all(document, ".run").forEach((run) => { run.hidden = run.dataset.run !== tab.dataset.run; });
  }));

  // ---- tables: sorted by their heads, a part at a time

  function key(row, column) {
    const cell = row.cells[column], text = cell.textContent.trim();
    const value = parseFloat(cell.dataset.value ?? text.replace(/[,%]/g, ""));
    return Number.isNaN(value) || (cell.matches(".text") && !cell.dataset.value) ? text : value;
  }

  function compare(a, b) {
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  }

  function page(table) {
    const body = table.tBodies[0];
    let shown = ROWS;
    const more = make("button", { onclick: () => { shown += 100; show(); } });
    const line = make("p", { className: "pager" }, more);
    function show() {
      const rows = [...body.rows];
      rows.forEach((row, position) => { row.hidden = position >= shown; });
      line.hidden = rows.length <= shown;
      more.textContent = `Show more: ${number(Math.min(shown, rows.length))} of ${number(rows.length)} rows`;
    }
    [...table.tHead.rows[0].cells].forEach((head, column) => head.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      [...table.tHead.rows[0].cells].forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const sorted = [...body.rows].sort((a, b) => (down ? -1 : 1) * compare(key(a, column), key(b, column)));
      body.append(...sorted);
      show();
    }));
    table.after(line);
    show();
  }
  all(document, "table.paged").forEach(page);

  // ---- the gallery of a run

  function gallery(section) {
    const run = data.runs[section.dataset.run];
    const tiles = section.querySelector(".tiles");
    if (!tiles) return;
    const control = (name) => section.querySelector(`[name="${name}"]`);
    const kinds = all(section, "[data-kind]");
    const measured = { // by name: what is compared, and whether the largest comes first
      ...Object.fromEntries(run.grounds.map((name, column) => [name, [run.values[column]]])),
      "weight": [run.weight], "probability of the given label": [run.labelScore], "epoch": [run.epoch],
      "given class": [run.given.map((k) => run.classes[k])], "path": [run.path],
    };
    const first = { pruned: 0, corrected: Math.max(run.grounds.length - 1, 0), people: 0 };
    const called = { pruned: "pruned clips", corrected: "corrected clips", people: "clips decided by people" };
    let kind = Object.keys(called).find((each) => run.kind.includes(each)), at = 0, found = [];

    let sorts = measured;
    const option = (text, value) => make("option", { value }, text);
    function offer() {
      for (const name of ["given", "label"]) {
        const chosen = run.kind.flatMap((each, k) => (each === kind ? [run[name][k]] : []));
        const counts = new Map();
        chosen.forEach((k) => counts.set(k, (counts.get(k) || 0) + 1));
        const entries = run.classes.flatMap((text, k) => (counts.has(k) ? [option(`${text} (${number(counts.get(k))})`, k)] : []));
        control(name).replaceChildren(option("any class", ""), ...entries);
      }
      const decided = kind === "people" ? { date: [run.people.map((each) => each && each[1])] } : {};
      sorts = { ...decided, ...measured };
      const orders = Object.keys(sorts).flatMap((name) => [option(`${name}, lowest`, `+${name}`), option(`${name}, highest`, `-${name}`)]);
      control("sort").replaceChildren(...orders);
      control("sort").value = (kind === "pruned" ? "+" : "-") + (kind === "people" ? "date" : run.grounds[first[kind]]);
      section.querySelector(".now").hidden = kind === "pruned";
      kinds.forEach((button) => button.setAttribute("aria-pressed", button.dataset.kind === kind));
    }

    function find() {
      const given = control("given").value, label = control("label").value;
      const text = control("search").value.toLowerCase(), seen = control("previews").checked;
      const sign = control("sort").value[0] === "-" ? -1 : 1, [values] = sorts[control("sort").value.slice(1)];
      const known = (value) => value !== null;
      found = run.kind.flatMap((each, k) => (each === kind ? [k] : [])).filter((k) =>
        (given === "" || run.given[k] === Number(given)) && (label === "" || run.label[k] === Number(label)) &&
        (!seen || run.preview[k] !== null) && (!text || (run.folder + run.path[k]).toLowerCase().includes(text)));
      found.sort((a, b) => known(values[b]) - known(values[a]) || sign * compare(values[a], values[b]) || a - b);
      at = 0;
      show();
    }

    const picture = (k) => (run.preview[k] === null
      ? make("span", { className: "none" }, "no preview")
      : make("img", { src: `data:image/webp;base64,${run.preview[k]}`, alt: "", loading: "lazy" }));
    const names = (k) => (run.kind[k] === "corrected" || run.label[k] !== run.given[k]
      ? `${run.classes[run.given[k]]} → ${run.classes[run.label[k]]}` : run.classes[run.given[k]]);

    const who = (k) => run.people[k][0] || "somebody";
    const lines = (k, column) => (kind === "people" ? [`policy: ${run.people[k][2]}`, `${who(k)}: ${run.people[k][3]}`]
      : [`${run.grounds[column]} ${decimal(run.values[column][k])}`]);

    function show() {
      const column = Math.max(run.grounds.indexOf(control("sort").value.slice(1)), first[kind] * !run.grounds.includes(control("sort").value.slice(1)));
      tiles.replaceChildren(...found.slice(at, at + PAGE).map((k) => make("button",
        { className: "tile", title: run.path[k], onclick: () => open(found.indexOf(k)) }, picture(k),
        make("span", {}, names(k)), ...lines(k, column).map((text) => make("span", { className: "value" }, text)))));
      const total = run.kind.filter((each) => each === kind).length;
      section.querySelector(".found").textContent = `${number(found.length)} of ${number(total)} ${called[kind]}`;
      const step = (text, to, can) => make("button", { disabled: !can, onclick: () => { at = to; show(); section.scrollIntoView(); } }, text);
      const pager = section.querySelector(".pager");
      pager.hidden = found.length <= PAGE;
      pager.replaceChildren(step("Previous", at - PAGE, at > 0), step("Next", at + PAGE, at + PAGE < found.length),
        `${number(at + 1)} to ${number(Math.min(at + PAGE, found.length))} of ${number(found.length)}`);
    }

    // ---- a clip and its history

    function open(position) {
      const k = found[position], dialog = document.getElementById("clip");
      const facts = [
        ...(kind === "people" ? [["policy", run.people[k][2]], [who(k), `${run.people[k][3]}, ${moment(run.people[k][1])}`]] : []),
        ["given", run.classes[run.given[k]]], ["now", run.classes[run.label[k]]],
        ["predicted", run.predicted[k] === null ? "–" : run.classes[run.predicted[k]]],
        ...run.grounds.map((name, column) => [name, decimal(run.values[column][k])]),
        ["weight", decimal(run.weight[k])], ["given label", `probability ${decimal(run.labelScore[k])}`],
      ];
      const history = run.history[k].map(([epoch, time, what]) => make("li", {},
        make("div", {}, `epoch ${number(epoch)}`, make("time", {}, moment(time))), make("p", {}, what)));
      const go = (text, to) => make("button", { disabled: to < 0 || to >= found.length, onclick: () => open(to) }, text);
      dialog.replaceChildren(
        make("h2", {}, `Clip ${run.clip[k]}, ${kind === "people" ? "decided by people" : kind}`), make("p", { className: "path" }, run.folder + run.path[k]),
        make("div", { className: "clip" }, picture(k), make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]))),
        make("ol", { className: "history" }, ...history),
        make("div", { className: "ends" }, go("Previous", position - 1), go("Next", position + 1), make("button", { autofocus: true, onclick: () => dialog.close() }, "Close")));
      dialog.onkeydown = (event) => {
        const to = position + ({ ArrowLeft: -1, ArrowRight: 1 }[event.key] || 0);
        if (to !== position && to >= 0 && to < found.length) open(to);
      };
      dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
      if (!dialog.open) dialog.showModal();
      dialog.focus();
    }

    kinds.forEach((button) => {
      button.disabled = !run.kind.includes(button.dataset.kind);
      button.addEventListener("click", () => choose(button.dataset.kind));
    });
    function choose(wanted, given, label) {
      kind = wanted;
      offer();
      if (given !== undefined) Object.assign(control("given"), { value: given });
      if (label !== undefined) Object.assign(control("label"), { value: label });
      find();
    }
    for (const name of ["given", "label", "sort", "previews"]) control(name).addEventListener("change", find);
    control("search").addEventListener("input", find);
    control("previews").checked = run.preview.some((each) => each !== null);
    all(section.parentElement, "tr.link").forEach((row) => {
      const go = () => {
        choose("corrected", run.classes.indexOf(row.dataset.given), run.classes.indexOf(row.dataset.label));
        section.scrollIntoView({ behavior: "smooth" });
      };
      row.addEventListener("click", go);
      row.addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
    });
    if (run.kind.length) choose(kind);
  }
  all(document, ".gallery").forEach(gallery);
})();
