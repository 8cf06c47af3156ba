// The colors of the visitor's choice. Not a module: it runs before the page is drawn.
(() => {
  const name = 'effnet-colors';
  const root = document.documentElement;
  // A browser may forbid storage; the choice then lasts until the page is left.
  const stored = () => { try { return localStorage.getItem(name) ?? ''; } catch { return ''; } };
  const store = (value) => { try { localStorage.setItem(name, value); } catch { /* as above */ } };

  root.dataset.theme = stored();
  document.addEventListener('DOMContentLoaded', () => {
    const select = document.getElementById('theme');
    select.value = root.dataset.theme;
    select.addEventListener('change', () => {
      root.dataset.theme = select.value;
      store(select.value);
    });
  });
})();
