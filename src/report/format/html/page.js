"use strict";
// Everything can be read without this: it filters, sorts, copies, and opens what is printed.
(() => {
  const all = (query, within) => Array.from((within || document).querySelectorAll(query));
  const form = document.querySelector(".filter");
  const grid = document.getElementById("grid");
  const words = document.getElementById("words");
  const shown = document.getElementById("shown");
  const plain = (text) => text.toLowerCase().replace(/\s+/g, " ");

  // What can be filtered: its text, the marks in it, and what it is counted as.
  const items = [];
  if (grid) {
    const heads = all("thead th", grid).map((head) => (head.title || "") + " " + head.textContent);
    for (const row of grid.tBodies[0].rows) {
      const marks = new Set([row.dataset.worst]);
      let text = row.cells[1].textContent + " " + row.cells[2].textContent;
      for (const cell of Array.from(row.cells).slice(3)) {
        if (cell.className) {
          marks.add(cell.className.split(" ")[1]);
          text += " " + heads[cell.cellIndex] + " " + cell.title;
        }
      }
      items.push({ node: row, text: plain(text), marks, kind: "pairs" });
    }
  }
  for (const node of all("details.finding")) {
    const text = plain(node.querySelector("summary").textContent + " " + node.querySelector(".text").textContent);
    items.push({ node, text, marks: new Set([node.dataset.mark]), kind: "findings" });
  }
  for (const node of all("details.pair")) {
    const marks = new Set(all("tbody .m", node).map((mark) => mark.className.split(" ")[1]).concat(node.dataset.mark));
    items.push({ node, text: plain(node.textContent), marks, kind: "" });
  }

  const filter = () => {
    const wanted = plain(words.value).trim().split(" ").filter(Boolean);
    const marks = all("input[type=checkbox]:checked", form).map((box) => box.value);
    const counts = { pairs: [0, 0], findings: [0, 0] };
    for (const item of items) {
      const fits = wanted.every((word) => item.text.includes(word)) && (!marks.length || marks.some((mark) => item.marks.has(mark)));
      item.node.toggleAttribute("data-out", !fits);
      if (item.kind) {
        counts[item.kind][0] += fits ? 1 : 0;
        counts[item.kind][1] += 1;
      }
    }
    for (const section of all("section.kind")) {
      section.toggleAttribute("data-out", !section.querySelector("details:not([data-out])"));
    }
    const told = Object.keys(counts).map((kind) => counts[kind][0] + " of " + counts[kind][1] + " " + kind);
    shown.textContent = told.join(", ") + " shown";
  };
  if (form) {
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("reset", () => setTimeout(filter, 0));
    filter();
  }

  // Who follows a link to something that the filter hides wants to see it.
  const reveal = () => {
    const target = /^#[fpr]\d+$/.test(location.hash) && document.getElementById(location.hash.slice(1));
    const holder = target && target.closest("details");
    if (holder) {
      holder.removeAttribute("data-out");
      const section = holder.closest("section.kind");
      if (section) section.removeAttribute("data-out");
      holder.open = true;
      holder.scrollIntoView();
    }
  };
  addEventListener("hashchange", reveal);
  reveal();

  const key = (cell) => (cell.dataset.key !== undefined ? cell.dataset.key : cell.textContent.trim());
  const compare = (a, b) => {
    const [x, y] = [a, b].map((text) => (/^[\d,]+$/.test(text) ? Number(text.replace(/,/g, "")) : NaN));
    return isNaN(x) || isNaN(y) ? (a < b ? -1 : a > b ? 1 : 0) : x - y;
  };
  for (const table of all("table.sort")) {
    const ranks = ["blocked", "unexpected", "attempt", "range", "failed", "fine", "unclear"];
    const of = (cell) => {
      const rank = ranks.indexOf(cell.className.split(" ")[1]);
      return table === grid && cell.cellIndex > 2 ? String(rank < 0 ? ranks.length : rank) : key(cell);
    };
    all("thead th", table).forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = Array.from(table.tBodies[0].rows);
        rows.sort((a, b) => (down ? -1 : 1) * compare(of(a.cells[column]), of(b.cells[column])));
        table.tBodies[0].append(...rows);
      });
    });
  }

  for (const line of all(".copy")) {
    const code = line.querySelector("code");
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the filter for " + line.querySelector("span").textContent);
    button.addEventListener("click", async () => {
      // A page from a file has no clipboard of its own everywhere; what is selected can be copied by hand.
      getSelection().selectAllChildren(code);
      let done = false;
      try {
        await navigator.clipboard.writeText(code.textContent);
        done = true;
      } catch (refused) {
        done = document.execCommand("copy");
      }
      button.textContent = done ? "Copied" : "Selected";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    line.append(button);
  }

  for (const tools of all(".tools")) tools.hidden = false;
  for (const button of all("[data-open]")) {
    button.addEventListener("click", () => {
      for (const node of all("details.finding:not([data-out])")) node.open = Boolean(button.dataset.open);
    });
  }
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const node of closed) node.open = true;
  });
  addEventListener("afterprint", () => {
    for (const node of closed) node.open = false;
  });
})();
