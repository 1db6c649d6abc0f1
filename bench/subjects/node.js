// A proxy that signs, as one writes it in Node.js: one process.

const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const https = require('https');

const [ port, upstreamPort, tls, credentialFile, ca ] = process.argv.slice(2);
const credential = JSON.parse(fs.readFileSync(credentialFile));
const host = 'cbs.intl.tencentcloudapi.com';
const client = tls === '1' ? https : http;
const agent = new client.Agent({ keepAlive: true, maxSockets: 64,
    scheduling: 'lifo', ...(tls === '1' && { ca: fs.readFileSync(ca),
        servername: host }) });

const hash = text => crypto.createHash('sha256').update(text).digest('hex');
const hmac = (key, text, encoding) =>
    crypto.createHmac('sha256', key).update(text).digest(encoding);

let key, keyDate;

function sign(body, now) {
    const date = new Date(now * 1000).toISOString().slice(0, 10);

    if (date !== keyDate) {
        key = hmac(hmac(hmac('TC3' + credential.secret_key, date), 'cbs'),
            'tc3_request');
        keyDate = date;
    }

    const scope = `${date}/cbs/tc3_request`;
    const request = 'POST\n/\n\ncontent-type:application/json\n'
        + `host:${host}\n\ncontent-type;host\n${hash(body)}`;
    const text = `TC3-HMAC-SHA256\n${now}\n${scope}\n${hash(request)}`;

    return `TC3-HMAC-SHA256 Credential=${credential.secret_id}/${scope}, `
        + 'SignedHeaders=content-type;host, '
        + `Signature=${hmac(key, text, 'hex')}`;
}

const server = http.createServer((req, res) => {
    const chunks = [];

    req.on('data', chunk => chunks.push(chunk));
    req.on('end', () => {
        const body = Buffer.concat(chunks);
        const now = Math.floor(Date.now() / 1000);

        const up = client.request({ host: '127.0.0.1', port: upstreamPort,
            method: 'POST', path: '/', agent, headers: {
                'Host': host,
                'Content-Type': 'application/json',
                'Content-Length': body.length,
                'X-TC-Action': req.headers['x-tc-action'],
                'X-TC-Version': req.headers['x-tc-version'],
                'X-TC-Region': req.headers['x-tc-region'],
                'X-TC-Timestamp': now,
                'Authorization': sign(body, now) } }, answer => {

            const parts = [];

            answer.on('data', part => parts.push(part));
            answer.on('end', () => {
                const text = Buffer.concat(parts);

                res.writeHead(answer.statusCode, {
                    'Content-Type': 'application/json',
                    'Content-Length': text.length });
                res.end(text);
            });
        });

        up.on('error', () => { res.writeHead(502); res.end(); });
        up.end(body);
    });
});

server.keepAliveTimeout = 600000;
server.listen(+port, '127.0.0.1');
