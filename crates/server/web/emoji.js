// The emoji that the picker offers, by the names that the API uses. `:name:` in a text shows the emoji.

export const EMOJI = {
  '+1': '👍', '-1': '👎', heart: '❤️', tada: '🎉', smile: '😄', joy: '😂', slightly_smiling_face: '🙂', wink: '😉',
  thinking_face: '🤔', eyes: '👀', pray: '🙏', clap: '👏', fire: '🔥', rocket: '🚀', white_check_mark: '✅', x: '❌',
  warning: '⚠️', bulb: '💡', coffee: '☕', wave: '👋', ok_hand: '👌', cry: '😢', open_mouth: '😮', 100: '💯',
};

const ALIASES = { thumbsup: '+1', thumbsdown: '-1', thinking: 'thinking_face', hundred: '100' };

/** The character for a name, or `:name:` if the name is unknown. */
export function glyph(name) {
  return EMOJI[ALIASES[name] ?? name] ?? `:${name}:`;
}
