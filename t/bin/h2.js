// h2.js PORT CA NAME: an HTTP/2 client for the tests.  Reads lines of JSON on
// its standard input and writes lines on its output, all on one connection:
//
//   {"id": 1, "headers": {...}, "body": "..."}   sends a request
//   {"id": 1, "cancel": true}                    resets its stream
//   {"id": 0, "end": true}                       closes the connection
//
//   {"id": 1, "status": 200, "headers": {...}, "body": "..."}
//   {"id": 1, "reset": code}

const fs = require('fs');
const http2 = require('http2');
const readline = require('readline');

const [port, ca, name] = process.argv.slice(2);
const session = http2.connect(`https://127.0.0.1:${port}`, {
  ca: fs.readFileSync(ca), servername: name });
const streams = {};

const say = (o) => process.stdout.write(JSON.stringify(o) + '\n');

session.on('error', (e) => say({ id: 0, error: String(e.code || e) }));
session.on('close', () => process.exit(0));

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const o = JSON.parse(line);

  if (o.end) {
    session.destroy();
    return;
  }

  if (o.cancel) {
    streams[o.id].close(http2.constants.NGHTTP2_CANCEL);
    return;
  }

  const stream = streams[o.id] = session.request({ ':method': 'POST',
    ':path': '/', ':authority': name, ...o.headers });
  const answer = { id: o.id, body: '' };

  stream.setEncoding('utf8');
  stream.on('response', (headers) => {
    answer.status = headers[':status'];
    answer.headers = { ...headers };
  });
  stream.on('data', (text) => { answer.body += text; });
  stream.on('end', () => { if (answer.status) say(answer); });
  stream.on('error', () => {});
  stream.on('close', () => {
    if (stream.rstCode) say({ id: o.id, reset: stream.rstCode });
  });
  stream.end(o.body);
});
