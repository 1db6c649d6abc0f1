"use strict";

/*
 * Makes calls with the official SDK, whose only settings are the endpoint and
 * the keys.  Reads a JSON array of {id, key, token, endpoint, region, action,
 * params, method} from stdin and prints an array of what the SDK returned or threw.
 */

// Node.js 18 tries one address of localhost only, and the gateway has 127.0.0.1
require("dns").setDefaultResultOrder("ipv4first");

const { cbs } = require("tencentcloud-sdk-nodejs/tencentcloud/services/cbs");

async function call(c) {
    const client = new cbs.v20170312.Client({
        credential: { secretId: c.id, secretKey: c.key, token: c.token },
        region: c.region,
        profile: {
            httpProfile: {
                endpoint: c.endpoint,
                ...(c.method ? { reqMethod: c.method } : {}),
            },
        },
    });

    try {
        return { ok: true, response: await client[c.action](c.params) };

    } catch (e) {
        return {
            ok: false,
            exception: e.constructor.name,
            code: e.code,
            message: e.message,
            requestId: e.requestId,
        };
    }
}

async function main() {
    let text = "";

    for await (const chunk of process.stdin) {
        text += chunk;
    }

    const results = [];

    for (const c of JSON.parse(text)) {
        results.push(await call(c));
    }

    process.stdout.write(JSON.stringify(results) + "\n");
}

main();
