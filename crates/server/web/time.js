// Times as text, in the user's language and time zone.

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
const date = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });
const dateWithYear = new Intl.DateTimeFormat(undefined, { dateStyle: 'long' });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

export const timeOfDay = (ms) => clock.format(ms);
export const fullTime = (ms) => full.format(ms);

let day = { start: 0, end: 0 };

/** A key that is equal for two times on the same local day: its first millisecond. */
export function dayOf(ms) {
  // Times come in order, so the next one is mostly on the same day.
  if (ms < day.start || ms >= day.end) {
    const start = new Date(ms).setHours(0, 0, 0, 0);
    day = { start, end: new Date(start).setDate(new Date(start).getDate() + 1) };
  }
  return day.start;
}

export function dayName(ms) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(ms) - midnight(Date.now())) / 86_400_000);
  if (days > -2) return capital(relative.format(days, 'day'));
  return (new Date(ms).getFullYear() === new Date().getFullYear() ? date : dateWithYear).format(ms);
}

/** "5 minutes ago". */
export function ago(ms) {
  const minutes = Math.round((ms - Date.now()) / 60_000);
  if (minutes > -60) return relative.format(Math.min(minutes, 0), 'minute');
  if (minutes > -1440) return relative.format(Math.round(minutes / 60), 'hour');
  return relative.format(Math.round(minutes / 1440), 'day');
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
