"use strict";
// Filters, arrow keys in tables, names shown on hover: without this script everything is there to be read.
(() => {
  const numbered = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;
  const hide = (element, hidden) => { if (element.hidden !== hidden) element.hidden = hidden; };

  // One of several reports in a document, or the only one.
  function filtered(report) {
    const part = (name) => report.querySelector(`[data-filter="${name}"]`);
    const bar = report.querySelector(".filters");
    const status = report.querySelector(".filter-status");
    const fields = { text: part("text"), outcome: part("outcome"), verdict: part("verdict"), category: part("category") };
    const lines = new Map([...report.querySelectorAll("tr.line")].map((line) => [line.dataset.runbook, line]));
    const groups = [...report.querySelectorAll("table.matrix tbody")];
    let known = null;

    // What is searched is read when a filter is used first, not while the document loads.
    function read() {
      const lower = (element) => element.textContent.toLowerCase();
      const books = [...report.querySelectorAll("section.runbook")].map((section) => ({
        section,
        line: lines.get(section.dataset.runbook),
        head: [...section.children].filter((child) => !child.matches(".row, .brief")).map(lower).join(" "),
        rows: [...section.querySelectorAll(".row")].map((row) => ({ row, text: lower(row) })),
        cells: [...lines.get(section.dataset.runbook).querySelectorAll(".cell")].map((cell) => ({
          cell, id: cell.querySelector("a")?.hash.slice(1),
        })),
      }));
      const findings = [...report.querySelectorAll(".finding[data-outcome]")].map((finding) => ({
        finding,
        text: lower(finding),
        places: [...finding.querySelectorAll(".where a:not(.ref)")].map((link) => link.hash.slice(1)),
      }));
      return { books, findings };
    }

    const active = () => Object.values(fields).some((field) => field.value !== "");
    const fits = (data) => !fields.verdict.value || data.verdict === fields.verdict.value;

    function apply() {
      known ??= read();
      const wanted = fields.text.value.trim().toLowerCase();
      const outcome = fields.outcome.value;
      const narrowed = fields.verdict.value || fields.category.value;
      const within = new Set();
      let shown = 0;
      let rows = 0;
      for (const book of known.books) {
        const whole = !wanted || book.head.includes(wanted);
        const category = !fields.category.value || book.section.dataset.category === fields.category.value;
        const visible = new Set();
        for (const { row, text } of book.rows) {
          if (category && fits(row.dataset)) within.add(row.id);
          const there = (whole || text.includes(wanted)) && (!outcome || row.dataset.outcome === outcome) && fits(row.dataset);
          hide(row, !there);
          if (there) visible.add(row.id);
        }
        const there = category && visible.size > 0;
        hide(book.section, !there);
        hide(book.line, !there);
        shown += there ? 1 : 0;
        rows += there ? visible.size : 0;
        for (const { cell, id } of book.cells) cell.classList.toggle("faded", active() && !(id && visible.has(id)));
      }
      for (const group of groups) hide(group, !group.querySelector("tr.line:not([hidden])"));
      let found = 0;
      for (const { finding, text, places } of known.findings) {
        const there = (!wanted || text.includes(wanted)) && (!outcome || finding.dataset.outcome === outcome)
          && (!narrowed || places.some((id) => within.has(id)));
        hide(finding, !there);
        found += there ? 1 : 0;
      }
      status.textContent = active()
        ? `Filtered: ${numbered(rows, "row")} in ${shown} of ${numbered(known.books.length, "runbook")}, ${found} of ${numbered(known.findings.length, "finding")}.`
        : "";
    }

    function clear() {
      for (const field of Object.values(fields)) field.value = "";
      if (known) apply();
    }

    for (const field of Object.values(fields)) field.addEventListener("input", apply);
    part("clear").addEventListener("click", clear);
    bar.hidden = lines.size === 0;
    clear();
    return { report, clear };
  }

  const reports = [...document.querySelectorAll("[data-report]")].map(filtered);

  // A table of cells is one stop of the Tab key; arrow keys move within it.
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  for (const grid of document.querySelectorAll("[data-grid]")) {
    grid.addEventListener("keydown", (event) => {
      const step = steps[event.key];
      if (!step) return;
      const links = [...grid.querySelectorAll("tr:not([hidden])")].map((row) => [...row.querySelectorAll("a")]).filter((row) => row.length);
      const row = links.findIndex((some) => some.includes(document.activeElement));
      if (row < 0 && event.key !== "ArrowDown") return;
      const column = row < 0 ? 0 : links[row].indexOf(document.activeElement);
      const next = row < 0 ? links[0] : links[row + step[0]];
      const target = next?.[Math.min(column + step[1], next.length - 1)];
      if (target) {
        target.focus();
        event.preventDefault();
      }
    });
    // What a cell says to those who cannot see it, it says to those who point at it.
    grid.addEventListener("mouseover", (event) => {
      const link = event.target.closest("a[aria-label]");
      if (link && !link.title) link.title = link.getAttribute("aria-label");
    });
  }

  for (const link of document.querySelectorAll("a.print")) {
    link.addEventListener("click", () => { setTimeout(() => window.print(), 0); });
  }

  // A link to something that a filter hides shows it again.
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      reports.find(({ report }) => report.contains(target))?.clear();
      target.scrollIntoView();
    }
    for (let around = target.closest("details"); around; around = around.parentElement.closest("details")) around.open = true;
    const details = target.matches(".exchange") ? target.querySelector("details") : null;
    if (details) details.open = true;
  }

  window.addEventListener("hashchange", reveal);
  reveal();
})();
