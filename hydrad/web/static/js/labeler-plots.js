// Choosing a plot: the list is narrowed while one types.

import { thank } from "./labeler-leaders.js";

const find = document.getElementById("find");
const rows = [...document.querySelectorAll("#plots tbody tr")];
find.addEventListener("input", () => {
  const part = find.value.trim().toLowerCase();
  for (const row of rows) row.hidden = !row.dataset.plot.toLowerCase().includes(part);
  const none = document.getElementById("none");
  if (none) none.hidden = rows.some((row) => !row.hidden);
});
thank(document.getElementById("leaders"), document.querySelector(".visitor")?.textContent);
