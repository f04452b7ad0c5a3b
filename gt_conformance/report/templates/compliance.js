"use strict";
// Filters only: without this script everything is there to be read.
(() => {
  const byId = (id) => document.getElementById(id);
  const fields = { text: byId("f-text"), outcome: byId("f-outcome"), verdict: byId("f-verdict"), category: byId("f-category") };
  const books = [...document.querySelectorAll("section.runbook")].map((section) => ({
    section,
    line: [...document.querySelectorAll("tr.line")].find((line) => line.dataset.runbook === section.dataset.runbook),
    head: [...section.children].filter((part) => !part.matches(".row")).map((part) => part.textContent).join(" ").toLowerCase(),
    rows: [...section.querySelectorAll(".row")].map((row) => ({ row, text: row.textContent.toLowerCase() })),
  }));

  function matches(data, text) {
    return (!fields.outcome.value || data.outcome === fields.outcome.value)
      && (!fields.verdict.value || data.verdict === fields.verdict.value)
      && text;
  }

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
    for (const group of document.querySelectorAll("table.matrix tbody")) {
      group.hidden = !group.querySelector("tr.line:not([hidden])");
    }
    byId("f-status").textContent = active() ? `Filtered: ${rows} rows of ${shown} of ${books.length} runbooks are shown.` : "";
  }

  function active() {
    return Object.values(fields).some((field) => field.value !== "");
  }

  function clear() {
    for (const field of Object.values(fields)) field.value = "";
    apply();
  }

  // A link to something that a filter hides shows it again.
  function reveal() {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    if (target && target.closest("[hidden]")) {
      clear();
      target.scrollIntoView();
    }
    const details = target && target.matches(".exchange") ? target.querySelector("details") : null;
    if (details) details.open = true;
  }

  for (const field of Object.values(fields)) field.addEventListener("input", apply);
  byId("f-clear").addEventListener("click", clear);
  window.addEventListener("hashchange", reveal);
  byId("filters").hidden = books.length === 0;
  clear();
  reveal();
})();
