// Light or dark theme: the system's preference, unless the user chose one in this browser.

const KEY = 'theme';
const dark = matchMedia('(prefers-color-scheme: dark)');

function paint() {
  const chosen = localStorage.getItem(KEY);
  document.documentElement.dataset.theme = chosen ?? (dark.matches ? 'dark' : 'light');
}

export function startTheme() {
  dark.addEventListener('change', paint);
  paint();
}

export function toggleTheme() {
  localStorage.setItem(KEY, document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark');
  paint();
}
