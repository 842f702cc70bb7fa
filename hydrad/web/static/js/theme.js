// Before anything is drawn: the theme this browser was told to use, else the system's.
try {
  const told = localStorage.getItem("hydrad.theme");
  if (told) document.documentElement.dataset.theme = told;
} catch {
  // a browser that keeps nothing follows the system
}
