"use strict";
(() => {
  const rows = new Map();
  const table = document.getElementById("table-of-trials");
  const marked = new Map();
  for (const item of document.querySelectorAll("[data-n]")) {
    const n = item.dataset.n;
    if (item.tagName === "TR") rows.set(n, item);
    if (!marked.has(n)) marked.set(n, []);
    marked.get(n).push(item);
  }

  // One trial at a time is picked out in every figure and in the table; a click keeps it until the next.
  let current = null, pinned = false;
  const heads = table ? [...table.tHead.rows[0].cells].map((cell) => cell.textContent.trim()) : [];
  const words = (n) => {
    const row = rows.get(n);
    if (!row) return "below the rows of the table";
    return [...row.cells].slice(1).map((cell, i) => [heads[i + 1], cell.textContent.trim()])
      .filter(([, value]) => value && value !== "–").map(([head, value]) => `${head} ${value}`).join(" · ");
  };
  function pick(n, figure) {
    if (n === current) return;
    for (const item of marked.get(current) || []) item.classList.remove("on");
    for (const item of document.querySelectorAll(".readout")) item.textContent = item.dataset.hint;
    current = n;
    if (n === null) return;
    for (const item of marked.get(n) || []) {
      item.classList.add("on");
      if (item.parentNode.classList.contains("lines")) item.parentNode.append(item);
    }
    const readout = figure && figure.querySelector(".readout");
    if (readout) {
      const name = document.createElement("strong");
      name.textContent = `Trial ${n}`;
      readout.replaceChildren(name, " · " + words(n));
    }
  }
  function follow(area, find) {
    const figure = area.closest("figure");
    area.addEventListener("pointermove", (event) => { if (!pinned) pick(find(event), figure); });
    area.addEventListener("pointerleave", () => { if (!pinned) pick(null); });
    area.addEventListener("click", (event) => {
      const n = find(event);
      pinned = n !== null && !(pinned && n === current);
      pick(n, figure);
    });
  }
  for (const readout of document.querySelectorAll(".readout")) {
    readout.dataset.hint = readout.closest("figure").querySelector("svg.parallel")
      ? "Point at a line to see its trial; drag along an axis to keep the lines that pass there."
      : "Point at a trial to see it.";
    readout.textContent = readout.dataset.hint;
  }

  // Lines: the nearest within a few units of the picture, between two axes or two epochs.
  const points = (line) => {
    const numbers = line.getAttribute("d").slice(1).split(" ").map(Number);
    return numbers.flatMap((x, i) => (i % 2 ? [] : [[x, numbers[i + 1]]]));
  };
  const inPicture = (svg, event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
  for (const svg of document.querySelectorAll("svg.parallel, svg.curves")) {
    const lines = [...svg.querySelectorAll(".lines path")].map((item) => ({ item, at: points(item) }));
    const nearest = (event) => {
      const { x, y } = inPicture(svg, event);
      let found = null, least = 9;
      for (const { item, at } of lines) {
        if (item.classList.contains("off")) continue;
        const i = at.findIndex(([right]) => right >= x);
        if (i < 1) continue;
        const [[x0, y0], [x1, y1]] = [at[i - 1], at[i]];
        const slope = (y1 - y0) / (x1 - x0);
        const away = Math.abs(y0 + slope * (x - x0) - y) / Math.hypot(1, slope);
        if (away < least) [found, least] = [item.dataset.n, away];
      }
      return found;
    };
    follow(svg, nearest);
    if (svg.classList.contains("parallel")) brushes(svg, lines);
  }
  for (const dots of document.querySelectorAll(".dots, svg .corner")) {
    follow(dots, (event) => event.target.dataset.n || null);
  }

  // Ranges on axes: lines outside any of them fade.
  function brushes(svg, lines) {
    const chosen = new Map();
    const apply = () => {
      for (const { item, at } of lines) {
        const inside = [...chosen].every(([x, [low, high]]) => at.some(([px, py]) => Math.abs(px - x) < 1 && py >= low && py <= high));
        item.classList.toggle("off", !inside);
      }
    };
    for (const axis of svg.querySelectorAll("path.axis.strong")) {
      const [x, top, x1, bottom] = axis.getAttribute("d").match(/[\d.]+/g).map(Number);
      if (x !== x1) continue;
      const make = (class_) => {
        const box = document.createElementNS(svg.namespaceURI, "rect");
        box.setAttribute("class", class_);
        svg.append(box);
        return box;
      };
      const shape = (box, left, y, width, height) => {
        Object.entries({ x: left, y, width, height }).forEach(([key, value]) => box.setAttribute(key, value));
      };
      const mark = make("chosen"), handle = make("brush");
      shape(mark, x - 8, top, 16, 0);
      mark.setAttribute("visibility", "hidden");
      shape(handle, x - 12, top - 10, 24, bottom - top + 34);
      let from = null, moved = false;
      handle.addEventListener("pointerdown", (event) => {
        from = inPicture(svg, event).y;
        moved = false;
        handle.setPointerCapture(event.pointerId);
      });
      handle.addEventListener("pointermove", (event) => {
        if (from === null) return;
        const y = inPicture(svg, event).y;
        if (Math.abs(y - from) < 4 && !moved) return;
        moved = true;
        const range = [Math.min(from, y), Math.max(from, y)];
        chosen.set(x, range);
        shape(mark, x - 8, range[0], 16, range[1] - range[0]);
        mark.setAttribute("visibility", "visible");
        apply();
      });
      const end = (event) => {
        if (from !== null && !moved && chosen.delete(x)) {
          mark.setAttribute("visibility", "hidden");
          apply();
        }
        from = null;
      };
      handle.addEventListener("pointerup", end);
      handle.addEventListener("pointercancel", end);
      handle.addEventListener("click", (event) => { if (moved) event.stopPropagation(); });
    }
  }

  // The table: sorted by any column, filtered by text and state.
  if (!table) return;
  const body = table.tBodies[0];
  const value = (row, i) => {
    const text = row.cells[i].textContent.trim().replace("−", "-").replace(/\u202f/g, "");
    if (text === "" || text === "–") return null;
    const number = Number(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => (typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1);
  [...table.tHead.rows[0].cells].forEach((head, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const keyed = [...body.rows].map((row) => [value(row, i), row]);
      keyed.sort(([a], [b]) => (a === null ? (b === null ? 0 : 1) : b === null ? -1 : up ? compare(a, b) : compare(b, a)));
      body.append(...keyed.map(([, row]) => row));
    });
  });
  const tools = document.getElementById("tools");
  const [search, state, count] = ["search", "state", "count"].map((id) => document.getElementById(id));
  const filter = () => {
    const wanted = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      const keep = wanted.every((word) => text.includes(word)) && (!state.value || row.querySelector(".state").textContent === state.value);
      row.hidden = !keep;
      shown += keep;
    }
    count.textContent = `${shown} of ${body.rows.length} rows`;
  };
  search.addEventListener("input", filter);
  state.addEventListener("change", filter);
  tools.hidden = false;
  filter();
  body.addEventListener("pointerover", (event) => {
    const row = event.target.closest("tr");
    if (row && !pinned) pick(row.dataset.n);
  });
  body.addEventListener("pointerleave", () => { if (!pinned) pick(null); });
})();
