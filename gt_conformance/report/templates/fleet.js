"use strict";
// Filters for the list of tenants: without this script everything is there to be read.
(() => {
  const bar = document.querySelector(".filters");
  if (!bar) return;
  const status = document.querySelector(".filter-status");
  const fields = [...bar.querySelectorAll("input, select")];
  const field = (name) => bar.querySelector(`[data-filter="${name}"]`);
  const rows = [...document.querySelectorAll("#tenants ~ .scroll tbody tr")];
  const leftOut = Number(status.dataset.leftOut);
  let known = null;

  // What is searched is read when a filter is used first, not while the document loads.
  const read = () => rows.map((row) => ({
    row,
    text: row.textContent.toLowerCase(),
    labels: new Set([...row.querySelectorAll(".labels .tag")].map((tag) => tag.textContent)),
  }));

  function apply() {
    known ??= read();
    const wanted = field("text").value.trim().toLowerCase();
    const decision = field("decision").value;
    const label = field("label")?.value ?? "";
    let shown = 0;
    for (const { row, text, labels } of known) {
      const there = (!wanted || text.includes(wanted)) && (!decision || row.dataset.decision === decision)
        && (!label || labels.has(label));
      if (row.hidden === there) row.hidden = !there;
      shown += there ? 1 : 0;
    }
    const others = leftOut ? ` ${leftOut.toLocaleString("en")} more are not GO and not in this list: they are not searched.` : "";
    status.textContent = wanted || decision || label
      ? `Filtered: ${shown.toLocaleString("en")} of the ${rows.length.toLocaleString("en")} listed.${others}` : "";
  }

  for (const one of fields) one.addEventListener("input", apply);
  bar.addEventListener("submit", (event) => event.preventDefault());
  field("clear").addEventListener("click", () => {
    for (const one of fields) one.value = "";
    apply();
  });
  bar.hidden = false;
  if (fields.some((one) => one.value)) apply();
})();
