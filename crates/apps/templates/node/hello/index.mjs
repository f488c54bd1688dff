// A Mattermost app: it answers /ping, /bindings and /send.

const form = {
  title: 'Say hello',
  icon: 'icon.png',
  fields: [{type: 'text', name: 'message', label: 'message'}],
  submit: {path: '/send'},
};

const bindings = [
  {location: '/channel_header', bindings: [
    {location: 'send-button', icon: 'icon.png', label: 'Say hello', form},
  ]},
  {location: '/command', bindings: [
    {icon: 'icon.png', label: '{{id}}', description: 'Says hello', hint: '[send]', bindings: [
      {location: 'send', label: 'send', form},
    ]},
  ]},
];

/** What the app says to a call. */
function answer(path, call) {
  switch (path) {
    case '/ping':
      return {type: 'ok', text: 'PONG'};
    case '/bindings':
      return {type: 'ok', data: bindings};
    case '/send': {
      const message = call.values?.message;
      return {type: 'ok', text: message ? `You said: ${message}` : 'Hello, world'};
    }
    default:
      return {type: 'error', text: `There is nothing at ${path}`};
  }
}

/** Lambda calls this with each event. */
export async function handler(event) {
  return {
    statusCode: 200,
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify(answer(event.path, JSON.parse(event.body || '{}'))),
  };
}
