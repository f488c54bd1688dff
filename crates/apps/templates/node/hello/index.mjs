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
      const message = call?.values?.message;
      const said = typeof message === 'string' && message !== '';
      return {type: 'ok', text: said ? `You said: ${message}` : 'Hello, world'};
    }
    default:
      return {type: 'error', text: `There is nothing at ${path}`};
  }
}

/** What the app says to an event. */
function answerEvent(event) {
  let call;
  try {
    call = JSON.parse(event.body || '{}');
  } catch {
    return {type: 'error', text: 'The call is not JSON'};
  }
  return answer(event.path ?? '', call);
}

/** Lambda calls this with each event. */
export async function handler(event) {
  return {
    statusCode: 200,
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify(answerEvent(event)),
  };
}
