'use strict';

// Looks at the status page with Chromium, as t/status_page.t tells it: one JSON
// object a line on stdin, one answer a line on stdout.
//
// {"do": "open", "url", "width", "height", "scheme"}, {"do": "run", "code"}: the
// value of a function body in the page, {"do": "axe"}, {"do": "shot", "path"},
// {"do": "press", "key"}, {"do": "fill", "id", "text"}, {"do": "click", "id"},
// {"do": "choose", "id", "value"}, {"do": "close"}

const readline = require('readline');
const { chromium } = require('playwright-core');
const axe = require('axe-core').source;

const [ profile, binary ] = process.argv.slice(2);

let context, page, talk = [], asked = [];

async function start() {
    context = await chromium.launchPersistentContext(profile, {
        executablePath: binary, headless: true, bypassCSP: false,
        ignoreHTTPSErrors: true,
        args: [ '--no-sandbox', '--disable-gpu', '--disable-quic',
            '--no-first-run', '--disable-background-networking',
            '--disable-component-update', '--disable-sync' ],
    });
}

const verbs = {

    async open({ url, width, height, scheme }) {
        if (page) { await page.close(); }

        page = await context.newPage();
        talk = [];
        asked = [];

        page.on('console', m => [ 'error', 'warning' ].includes(m.type())
            && talk.push(m.text()));
        page.on('pageerror', e => talk.push(String(e)));
        page.on('request', r => asked.push(r.url()));

        await page.setViewportSize({ width, height });
        await page.emulateMedia({ colorScheme: scheme || 'light' });
        await page.goto(url);
        await page.waitForSelector('#ready:not([data-state=wait])');
        await page.waitForSelector('#plot canvas');
    },

    run: ({ code }) => page.evaluate(`(() => { ${code} })()`),

    // in a world of its own: the page's policy does not let it in

    async axe() {
        const client = await context.newCDPSession(page);
        const { frameTree } = await client.send('Page.getFrameTree');
        const { executionContextId } = await client.send(
            'Page.createIsolatedWorld', { frameId: frameTree.frame.id,
                worldName: 'axe' });

        const run = async (expression, awaitPromise) => {
            const { result, exceptionDetails } = await client.send(
                'Runtime.evaluate', { expression, awaitPromise,
                    contextId: executionContextId, returnByValue: true });
            if (exceptionDetails) {
                throw new Error(JSON.stringify(exceptionDetails));
            }
            return result.value;
        };

        await run(axe + '; 0');

        const said = await run('axe.run(document).then(r => ({ passes: '
            + 'r.passes.length, violations: r.violations.map(v => v.id + ": "'
            + ' + v.help + " " + v.nodes.map(n => n.target.join(" "))'
            + '.slice(0, 5).join(", ")) }))', true);

        await client.detach();

        return said;
    },

    shot: ({ path, full }) => page.screenshot({ path, fullPage: full !== false })
        .then(() => true),
    press: ({ key }) => page.keyboard.press(key),
    fill: ({ id, text }) => page.fill('#' + id, text),
    click: ({ id }) => page.click('#' + id),
    choose: ({ id, value }) => page.selectOption('#' + id, value),
    said: async () => ({ talk, asked }),
    close: () => context.close(),
};

async function main() {
    await start();

    for await (const line of readline.createInterface(
        { input: process.stdin }))
    {
        const task = JSON.parse(line);
        let answer;

        try {
            answer = { ok: await verbs[task.do](task) ?? null };
        } catch (error) {
            answer = { error: String(error) };
        }

        process.stdout.write(JSON.stringify(answer) + '\n');

        if (task.do === 'close') { break; }
    }

    process.exit(0);
}

main().catch(error => {
    process.stderr.write(String(error.stack) + '\n');
    process.exit(1);
});
