"use strict";
// Filters only: without this script everything is there to be read.
(() => {
  const numbered = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

  // One of several reports in a document, or the only one.
  function filtered(report) {
    const part = (name) => report.querySelector(`[data-filter="${name}"]`);
    const bar = report.querySelector(".filters");
    const status = report.querySelector(".filter-status");
    const fields = { text: part("text"), outcome: part("outcome"), verdict: part("verdict"), category: part("category") };
    const lines = [...report.querySelectorAll("tr.line")];
    const books = [...report.querySelectorAll("section.runbook")].map((section) => ({
      section,
      line: lines.find((line) => line.dataset.runbook === section.dataset.runbook),
      head: [...section.children].filter((child) => !child.matches(".row")).map((child) => child.textContent).join(" ").toLowerCase(),
      rows: [...section.querySelectorAll(".row")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
    }));

    const active = () => Object.values(fields).some((field) => field.value !== "");
    const matches = (data, text) => text
      && (!fields.outcome.value || data.outcome === fields.outcome.value)
      && (!fields.verdict.value || data.verdict === fields.verdict.value);

    function apply() {
      const wanted = fields.text.value.trim().toLowerCase();
      let shown = 0;
      let rows = 0;
      for (const book of books) {
        const whole = !wanted || book.head.includes(wanted);
        const visible = new Set();
        for (const { row, text } of book.rows) {
          row.hidden = !matches(row.dataset, whole || text.includes(wanted));
          if (!row.hidden) visible.add(row.id);
        }
        const there = (!fields.category.value || book.section.dataset.category === fields.category.value) && visible.size > 0;
        book.section.hidden = book.line.hidden = !there;
        shown += there ? 1 : 0;
        rows += there ? visible.size : 0;
        for (const cell of book.line.querySelectorAll(".cell")) {
          const link = cell.querySelector("a");
          cell.classList.toggle("faded", active() && !(link && visible.has(link.hash.slice(1))));
        }
      }
      for (const group of report.querySelectorAll("table.matrix tbody")) {
        group.hidden = !group.querySelector("tr.line:not([hidden])");
      }
      status.textContent = active() ? `Filtered: ${numbered(rows, "row")} in ${shown} of ${numbered(books.length, "runbook")}.` : "";
    }

    function clear() {
      for (const field of Object.values(fields)) field.value = "";
      apply();
    }

    for (const field of Object.values(fields)) field.addEventListener("input", apply);
    part("clear").addEventListener("click", clear);
    bar.hidden = books.length === 0;
    clear();
    return { report, clear };
  }

  const reports = [...document.querySelectorAll("[data-report]")].map(filtered);

  // A link to something that a filter hides shows it again.
  function reveal() {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.closest("[hidden]")) {
      reports.find(({ report }) => report.contains(target))?.clear();
      target.scrollIntoView();
    }
    const details = target.matches(".exchange") ? target.querySelector("details") : null;
    if (details) details.open = true;
  }

  window.addEventListener("hashchange", reveal);
  reveal();
})();
