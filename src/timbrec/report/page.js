"use strict";

const none = "–";
const figures = JSON.parse(document.getElementById("figures").textContent);

// The first number of a cell, e.g. of "[−0.01, 0.02]" or "×4.2"; "<0.001" is below 0.001; null without one.
function number(text) {
  const found = text.replace("−", "-").match(/-?[\d.]+/);
  return found && (text.startsWith("<") ? 0.5 : 1) * Number(found[0]);
}

// Put a table's rows in the order of its sorted column; what has no value comes last either way.
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

// Make the headings buttons, so that they are reached and pressed by keyboard as well.
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
function show(table, metric) {
  const rows = figures[metric][table.dataset.scenario] ?? [];
  const reasons = [...table.tHead.querySelectorAll("[data-none]")].map((heading) => heading.dataset.none);
  table.tHead.querySelector(".metric").textContent = metric;
  for (const row of table.tBodies[0].rows) {
    const [texts, marks] = rows[row.dataset.row] ?? [[], [null, null, null, null, null]];
    row.querySelectorAll(".figure").forEach((cell, at) => {
      cell.textContent = texts[at] ?? none;
      cell.title = cell.textContent === none ? reasons[at] : "";
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

const tables = document.querySelectorAll("table.standings");
tables.forEach(makeSortable);
const select = document.getElementById("metric");
select.closest("p").hidden = false;
select.addEventListener("change", () => tables.forEach((table) => show(table, select.value)));
