// What this browser remembers of how its person wants the wall.

export const kept = {
  get(name, otherwise) {
    try {
      return JSON.parse(localStorage.getItem(`hydrad.wall.${name}`)) ?? otherwise;
    } catch {
      return otherwise;
    }
  },
  set(name, value) {
    try {
      localStorage.setItem(`hydrad.wall.${name}`, JSON.stringify(value));
    } catch {
      // it holds for this page only
    }
  },
};
