// Calls are answered by AWS's client for Node.js, which the package brings.
let calls = 0;

export const handler = async (event, context) => {
    calls += 1;
    if (event.path === '/error') throw new TypeError('not a thing');
    const body = {
        type: 'ok',
        text: 'from Node.js',
        sent: JSON.parse(event.body),
        calls,
        function: context.functionName,
        request: context.awsRequestId !== '',
        left: context.getRemainingTimeInMillis(),
    };
    return { statusCode: 200, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) };
};
