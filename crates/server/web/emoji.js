// The few emoji that the picker offers, under the names that travel on the wire; `:name:` in a text shows any of them.

export const EMOJI = {
  '+1': '👍', '-1': '👎', heart: '❤️', tada: '🎉', smile: '😄', joy: '😂', slightly_smiling_face: '🙂', wink: '😉',
  thinking_face: '🤔', eyes: '👀', pray: '🙏', clap: '👏', fire: '🔥', rocket: '🚀', white_check_mark: '✅', x: '❌',
  warning: '⚠️', bulb: '💡', coffee: '☕', wave: '👋', ok_hand: '👌', cry: '😢', open_mouth: '😮', 100: '💯',
};

const ALIASES = { thumbsup: '+1', thumbsdown: '-1', thinking: 'thinking_face', hundred: '100' };

/** The character for a name, or `:name:` where we have none. */
export function glyph(name) {
  return EMOJI[ALIASES[name] ?? name] ?? `:${name}:`;
}
