// Emoji by the names that the API uses. The usual few are here; the others are loaded when the first of them is needed.

/** What the small picker offers. */
export const USUAL = {
  '+1': '👍', '-1': '👎', heart: '❤️', tada: '🎉', smile: '😄', joy: '😂', slightly_smiling_face: '🙂', wink: '😉',
  thinking: '🤔', eyes: '👀', pray: '🙏', clap: '👏', fire: '🔥', rocket: '🚀', white_check_mark: '✅', x: '❌',
  warning: '⚠️', bulb: '💡', coffee: '☕', wave: '👋', ok_hand: '👌', cry: '😢', open_mouth: '😮', 100: '💯',
};

const byName = new Map(Object.entries(USUAL));
let loading = null;

/** All emoji: [{ title, emoji: [[character, [names]]] }]. */
export function groups() {
  loading ??= fetch(new URL('emoji.json', import.meta.url)).then(async (answer) => {
    if (!answer.ok) throw new Error(`The emoji were not loaded: the server answered with status ${answer.status}.`);
    const loaded = await answer.json();
    for (const { emoji } of loaded) for (const [character, names] of emoji) for (const name of names) byName.set(name, character);
    return loaded;
  }).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** A text node with the emoji of that name. It shows `:name:` until the emoji are loaded, and for a name that none has. */
export function glyph(name) {
  const node = document.createTextNode(byName.get(name) ?? `:${name}:`);
  if (!byName.has(name)) {
    groups().then(() => { node.data = byName.get(name) ?? node.data; }).catch((error) => console.warn(error.message));
  }
  return node;
}
