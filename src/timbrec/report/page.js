"use strict";

const none = "–";
const stored = document.getElementById("figures");
const figures = stored ? JSON.parse(stored.textContent) : {};
const form = document.querySelector("form.filters");
const keys = ["metric", "scenario", "recommender"];
const primary = form ? form.elements.metric.value : "";

// The first number of a cell, e.g. of "[−0.01, 0.02]" or "×4.2"; "<0.001" is below 0.001; null without one.
function number(text) {
  const digits = text.replace("−", "-").match(/-?[\d.]+/);
  return digits && (text.startsWith("<") ? 0.5 : 1) * Number(digits[0]);
}

// Put a table's rows in the order of its sorted column; rows without a value come last either way.
function sort(table) {
  const heading = table.tHead.querySelector("[aria-sort]");
  const column = [...heading.parentNode.children].indexOf(heading);
  const sign = heading.getAttribute("aria-sort") === "ascending" ? 1 : -1;
  const text = heading.dataset.kind === "text";
  const key = (row) => {
    const cell = row.cells[column];
    if (!cell || cell.colSpan > 1 || cell.textContent.trim() === none) return null;
    return text ? cell.textContent.trim() : number(cell.textContent);
  };
  const compare = (a, b) => (text ? a.localeCompare(b, undefined, { numeric: true, sensitivity: "base" }) : a - b);
  const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
  rows.sort(([a], [b]) => (a === null) - (b === null) || (a === null ? 0 : sign * compare(a, b)));
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

// Make the headings buttons, so that the keyboard reaches and presses them as well.
function makeSortable(table) {
  for (const heading of table.tHead.querySelectorAll("th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const first = heading.dataset.kind === "text" ? "ascending" : "descending";
      const other = first === "ascending" ? "descending" : "ascending";
      const next = heading.getAttribute("aria-sort") === first ? other : first;
      table.tHead.querySelector("[aria-sort]").removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", next);
      sort(table);
    });
  }
}

// Move a mark of a row's interval plot to a percentage of its width, or hide it.
function move(mark, places) {
  mark.toggleAttribute("hidden", Object.values(places).some((place) => place === null));
  for (const [name, place] of Object.entries(places)) mark.setAttribute(name, `${place ?? 0}%`);
}

// Show another metric in a table.
function showTable(table, metric) {
  const rows = figures[metric]?.[table.dataset.grid] ?? [];
  const reasons = [...table.tHead.querySelectorAll("[data-none]")].map((heading) => heading.dataset.none);
  table.tHead.querySelector(".metric").textContent = metric;
  for (const row of table.tBodies[0].rows) {
    const [texts, marks, , tied] = rows[row.dataset.row] ?? [[], [null, null, null, null, null]];
    row.querySelectorAll(".figure").forEach((cell, at) => {
      cell.textContent = texts[at] ?? none;
      cell.title = cell.textContent === none ? reasons[at] : "";
      cell.classList.toggle("tied", at === 0 && tied === true);
    });
    const forest = row.querySelector(".forest svg");
    if (!forest) continue;
    const [low, high, chance, shuffled, value] = marks;
    move(forest.querySelector(".chance"), { x1: chance, x2: chance });
    move(forest.querySelector(".shuffled"), { x1: shuffled, x2: shuffled });
    move(forest.querySelector(".range"), { x1: low, x2: high });
    move(forest.querySelector(".dot"), { cx: value });
  }
  sort(table);
}

// Show another metric in the cells of a matrix, or in a line of figures.
function showGrid(grid, metric) {
  const rows = figures[metric]?.[grid.dataset.grid] ?? [];
  for (const cell of grid.querySelectorAll("[data-cell]")) {
    const [texts, , level, tied] = rows[cell.dataset.cell] ?? [[none]];
    cell.textContent = texts[0];
    if (cell.tagName !== "TD") continue;
    cell.className = level === undefined ? "" : `q${level}${tied ? " tied" : ""}`;
    if (!tied) continue;
    const words = document.createElement("span");
    words.className = "unseen";
    words.textContent = " tied with the best";
    cell.append(words);
  }
}

// The state of the filters from the address: "#section&metric=…&scenario=…"; unknown values are the defaults.
function read() {
  const [first, ...rest] = location.hash.slice(1).split("&");
  const pairs = new URLSearchParams((first.includes("=") ? [first, ...rest] : rest).join("&"));
  const state = {};
  for (const key of keys) {
    const value = pairs.get(key) ?? (key === "metric" ? primary : "");
    const known = [...form.elements[key].options].some((option) => option.value === value);
    state[key] = known ? value : key === "metric" ? primary : "";
  }
  return { section: first.includes("=") ? "" : first, state };
}

function address(state, section) {
  const changed = keys.filter((key) => state[key] !== (key === "metric" ? primary : ""));
  const pairs = new URLSearchParams(changed.map((key) => [key, state[key]])).toString();
  return `#${[section, pairs].filter(Boolean).join("&")}`;
}

const chosen = () => Object.fromEntries(keys.map((key) => [key, form.elements[key].value]));
let shown = primary;

// Hide every element of another metric, scenario or recommender, and put the metric's figures everywhere.
function apply(state) {
  for (const key of keys) form.elements[key].value = state[key];
  for (const element of document.querySelectorAll("main [data-metric], main [data-scenario], main [data-recommender]")) {
    element.toggleAttribute("hidden", keys.some((key) => {
      const own = element.dataset[key];
      return own !== undefined && state[key] !== "" && own !== state[key];
    }));
  }
  for (const names of document.querySelectorAll("[data-only]")) {
    const choices = [...names.parentNode.querySelectorAll("[data-only]")].map((other) => other.dataset.only);
    names.toggleAttribute("hidden", names.dataset.only !== (choices.includes(state.recommender) ? state.recommender : ""));
  }
  for (const note of document.querySelectorAll("[data-except]")) {
    note.toggleAttribute("hidden", note.dataset.except === state.metric);
  }
  for (const text of document.querySelectorAll("[data-shown=metric]")) text.textContent = state.metric;
  if (shown !== state.metric) {
    document.querySelectorAll("table.standings").forEach((table) => showTable(table, state.metric));
    document.querySelectorAll(".matrix, .without").forEach((grid) => showGrid(grid, state.metric));
    shown = state.metric;
  }
  form.querySelector(".permalink").href = address(state, "");
}

function save(name, type, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Writers of a table {columns, values by column} as text.
const rowsOf = (table) => table.values.length ? table.values[0].map((_, row) => table.values.map((column) => column[row])) : [];
const quoted = (cell) => cell === null ? "" : /[",\n\r]/.test(cell) ? `"${String(cell).replaceAll('"', '""')}"` : String(cell);
const texts = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
const tex = (cell) => cell === null ? "--" : String(cell).replace(/[\\~^&%$#_{}]/g, (sign) => texts[sign] ?? `\\${sign}`);
const formats = {
  csv: ["text/csv", (table) => [table.columns, ...rowsOf(table)].map((row) => row.map(quoted).join(",")).join("\n") + "\n"],
  json: ["application/json", (table) => JSON.stringify(
    rowsOf(table).map((row) => Object.fromEntries(table.columns.map((name, at) => [name, row[at]]))), null, 1)],
  tex: ["application/x-tex", (table) => [
    `\\begin{tabular}{${table.values.map(([first]) => (typeof first === "number" ? "r" : "l")).join("")}}`, "\\hline",
    `${table.columns.map(tex).join(" & ")} \\\\`, "\\hline",
    ...rowsOf(table).map((row) => `${row.map(tex).join(" & ")} \\\\`), "\\hline", "\\end{tabular}", ""].join("\n")],
};

function download(button) {
  const { name } = button.closest("[data-name]").dataset;
  const table = JSON.parse(document.getElementById(`data-${name}`).textContent);
  table.values = table.values.map((column) => column.of ? column.at.map((place) => place === null ? null : column.of[place]) : column);
  const [type, write] = formats[button.dataset.format];
  save(`${name}.${button.dataset.format}`, type, write(table));
}

// A drawing as a file of its own: styles are copied into it, since the page's style sheet stays behind.
function drawing(svg) {
  const copy = svg.cloneNode(true);
  const [from, to] = [svg, copy].map((root) => [root, ...root.querySelectorAll("*")]);
  from.forEach((element, at) => {
    const style = getComputedStyle(element);
    for (const name of ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "display", "font-family", "font-weight", "paint-order"]) {
      to[at].style.setProperty(name, style.getPropertyValue(name));
    }
  });
  const { width, height } = svg.viewBox.baseVal;
  for (const [name, value] of Object.entries({ xmlns: "http://www.w3.org/2000/svg", width, height })) copy.setAttribute(name, value);
  copy.style.background = getComputedStyle(document.body).backgroundColor;
  return { text: new XMLSerializer().serializeToString(copy), width, height };
}

function picture(button) {
  const figure = button.closest("figure") ?? [...document.querySelectorAll("figure.plot:not(.panel, [hidden])")].find((other) => other.getClientRects().length);
  const { text, width, height } = drawing(figure.querySelector("svg"));
  const name = figure.dataset.name ?? `hot-cold-${shown}`;
  if (button.dataset.picture === "svg") return save(`${name}.svg`, "image/svg+xml", text);
  const image = new Image();
  image.addEventListener("load", () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => save(`${name}.png`, "image/png", blob));
  });
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
}

document.querySelectorAll("table.standings").forEach(makeSortable);
if (form) {
  form.hidden = false;
  document.querySelectorAll(".downloads, .pictures").forEach((tools) => { tools.hidden = false; });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    history.replaceState(null, "", address(chosen(), ""));
    apply(chosen());
  });
  const follow = () => {
    const { section, state } = read();
    apply(state);
    if (section) document.getElementById(section)?.scrollIntoView();
  };
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']:not(.permalink)");
    if (link) {
      event.preventDefault();
      location.hash = address(chosen(), link.getAttribute("href").slice(1).split("&")[0]);
    }
    const button = event.target.closest("[data-format], [data-picture]");
    if (button) (button.dataset.format ? download : picture)(button);
  });
  for (const type of ["pointerover", "focusin"]) {
    document.addEventListener(type, (event) => {
      const point = event.target.closest?.(".point");
      const readout = point && (point.closest("figure").querySelector(".readout") ?? point.closest("section").querySelector(".readout"));
      if (readout) readout.textContent = point.getAttribute("aria-label");
    });
  }
  follow();
}
