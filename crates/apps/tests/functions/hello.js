exports.handler = async (event, context) => {
    if (event.path === '/js/error') throw new TypeError('not a thing');
    const call = JSON.parse(event.body);
    console.log('called with', call.values);
    return {
        statusCode: 200,
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ type: 'ok', text: `Hello, ${call.values.name}`, left: context.getRemainingTimeInMillis() }),
    };
};
