// Runs a Node.js function for Mainstay: with AWS's own client (aws-lambda-ric) where the package has it, otherwise with the loop below.
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const root = process.env.LAMBDA_TASK_ROOT;
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const handler = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function request(method, where, body, headers = {}) {
    return new Promise((resolve, reject) => {
        const bytes = body === undefined ? undefined : Buffer.from(body);
        if (bytes) headers = { 'Content-Length': bytes.length, ...headers };
        const options = { agent, host, port, method, path: `/2018-06-01/runtime/${where}`, headers };
        const sent = http.request(options, (answer) => {
            const parts = [];
            answer.on('data', (part) => parts.push(part));
            answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(parts).toString() }));
            answer.on('error', reject);
        });
        sent.on('error', reject);
        sent.end(bytes);
    });
}

function failure(error) {
    const isError = error instanceof Error;
    return JSON.stringify({
        errorMessage: isError ? error.message : String(error),
        errorType: isError ? error.name : typeof error,
        stackTrace: isError && error.stack ? error.stack.split('\n') : [],
    });
}

async function load() {
    const at = handler.lastIndexOf('.');
    const file = path.join(root, handler.slice(0, at));
    const found = ['', '.js', '.mjs', '.cjs'].map((end) => file + end).find((name) => fs.statSync(name, { throwIfNoEntry: false })?.isFile());
    if (at < 1 || !found) throw new Error(`there is no module for the handler ${handler}`);
    const module = await import(pathToFileURL(found));
    const name = handler.slice(at + 1);
    const wanted = module[name] ?? module.default?.[name];
    if (typeof wanted !== 'function') throw new Error(`${path.basename(found)} exports no function ${name}`);
    return wanted;
}

function run(wanted, event, context) {
    return new Promise((resolve, reject) => {
        const done = (error, value) => (error ? reject(error) : resolve(value));
        const value = wanted(event, context, done);
        if (wanted.length < 3 || typeof value?.then === 'function') resolve(value);
    });
}

async function loop() {
    let wanted;
    try {
        wanted = await load();
    } catch (error) {
        console.error(error);
        await request('POST', 'init/error', failure(error), { 'Lambda-Runtime-Function-Error-Type': 'Runtime.ImportModuleError' });
        process.exit(1);
    }
    for (;;) {
        const next = await request('GET', 'invocation/next');
        const id = next.headers['lambda-runtime-aws-request-id'];
        const deadline = Number(next.headers['lambda-runtime-deadline-ms']);
        const context = {
            awsRequestId: id,
            invokedFunctionArn: next.headers['lambda-runtime-invoked-function-arn'],
            functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
            functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
            memoryLimitInMB: process.env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
            callbackWaitsForEmptyEventLoop: false,
            getRemainingTimeInMillis: () => Math.max(deadline - Date.now(), 0),
        };
        try {
            const value = await run(wanted, JSON.parse(next.body), context);
            await request('POST', `invocation/${id}/response`, JSON.stringify(value ?? null));
        } catch (error) {
            console.error(error);
            await request('POST', `invocation/${id}/error`, failure(error));
        }
    }
}

let aws;
try {
    aws = await import(pathToFileURL(createRequire(path.join(root, 'package.json')).resolve('aws-lambda-ric')));
} catch {
    // The package does not have it.
}
if (aws) await aws.run(root, handler);
else await loop();
