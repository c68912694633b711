"use strict";
// Sorts and filters the table of learners. Nothing is fetched, and nothing that a learner wrote is ever made markup.
{
  const table = document.getElementById("table");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].map((row, place) => ({
    row,
    place,
    status: row.dataset.status,
    text: row.textContent.toLowerCase(),
    cells: [...row.cells].map((cell) => cell.textContent.trim()),
    lost: [...row.cells].slice(3).map((cell) => cell.classList.contains("lost")),
  }));
  const words = new Intl.Collator(undefined, { numeric: true });

  // What is empty comes last, whichever way it is sorted.
  function compare(one, other, column, numbers, way) {
    const [a, b] = [one.cells[column], other.cells[column]];
    if (a === "" || b === "") {
      return (a === "") - (b === "") || one.place - other.place;
    }
    const order = numbers ? parseFloat(a) - parseFloat(b) : words.compare(a, b);
    return way * order || one.place - other.place;
  }

  function sort(head, column) {
    const way = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    heads.forEach((each) => each.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    const numbers = head.classList.contains("number");
    rows.sort((one, other) => compare(one, other, column, numbers, way));
    body.append(...rows.map((each) => each.row));
  }

  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(head, column));
    head.append(button);
  });

  const form = document.getElementById("filter");
  const [search, status, lost, count] = ["search", "status", "lost", "count"].map((id) => document.getElementById(id));

  function filter() {
    const wanted = search.value.trim().toLowerCase();
    let shown = 0;
    for (const each of rows) {
      const fits =
        (status.value === "" || each.status === status.value) &&
        (lost.value === "" || each.lost[Number(lost.value)]) &&
        (wanted === "" || each.text.includes(wanted));
      each.row.hidden = !fits;
      shown += fits;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  }

  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
}
