// A page that could not be shown: it is asked for again until it can be.

const EVERY_MS = 3000;

(async function again() {
  for (;;) {
    await new Promise((done) => setTimeout(done, EVERY_MS));
    try {
      const { status } = await fetch(location.href, { headers: { accept: "text/html" } });
      if (status !== 503) return location.reload();
    } catch {
      // The server is away too: it is asked again.
    }
  }
})();
