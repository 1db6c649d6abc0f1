'use strict';

// The page asks for the JSON form of the status and shows what it says.
// Everything becomes text of a node: no name from a configuration is markup.

(() => {

const EVERY = 2000;
const COPY = 'CopySnapshotCrossRegions';

const $ = id => document.getElementById(id);
const few = () => matchMedia('(max-width: 720px)').matches ? 6 : 20;
const number = new Intl.NumberFormat('en');

let last = null;
let paused = false;
let timer = 0;
let failed = false;
let all = false;


// elements

function make(name, options, ...children) {
    const node = document.createElement(name);

    for (const [key, value] of Object.entries(options || {})) {
        if (value !== undefined && value !== null) {
            node.setAttribute(key, value);
        }
    }

    node.append(...children.filter(c => c !== undefined && c !== null
        && c !== ''));

    return node;
}

// what has not changed stays as it is, under the eyes of a screen reader

const drawn = {};

function draw(id, facts, build) {
    const state = JSON.stringify(facts);

    if (drawn[id] !== state) {
        drawn[id] = state;
        $(id).replaceChildren(...build());
    }
}

// Columns: [ name, class, cell(row) ]; the first one names the row.  The roles
// are written down since a phone gets the cells below each other.

function table(caption, columns, rows) {
    const head = make('tr', { role: 'row' }, ...columns.map(([name, kind]) =>
        make('th', { scope: 'col', role: 'columnheader', class: kind }, name)));

    const body = rows.map(row => make('tr', { role: 'row' },
        ...columns.map(([name, kind, cell], i) => {
            const value = cell(row);
            return make(i ? 'td' : 'th', { class: kind, 'data-name': name,
                role: i ? 'cell' : 'rowheader',
                scope: i ? null : 'row' }, value);
        })));

    return make('table', { role: 'table' },
        make('caption', { class: 'hidden' }, caption),
        make('thead', { role: 'rowgroup' }, head),
        make('tbody', { role: 'rowgroup' }, ...body));
}

function facts(pairs) {
    return pairs.map(([name, value, kind]) => make('div', { class: kind },
        make('dt', null, name), make('dd', null, value)));
}

const chip = (text, kind) => make('span', { class: 'chip ' + (kind || '') },
    text);

function empty(text) {
    return make('p', { class: 'empty quiet' }, text);
}


// figures

const sum = object => Object.values(object || {}).reduce((a, b) => a + b, 0);
const n = value => number.format(value);

function seconds(value) {
    if (value >= 172800) { return Math.round(value / 86400) + ' days'; }
    if (value >= 7200) { return Math.round(value / 3600) + ' h'; }
    if (value >= 120) { return Math.round(value / 60) + ' min'; }
    if (value >= 1) { return (value >= 10 ? Math.round(value)
        : value.toFixed(1)) + ' s'; }
    return +(value * 1000).toFixed(value < 0.001 ? 2 : 1) + ' ms';
}

function bytes(value) {
    return value >= 1048576 ? (value / 1048576).toFixed(1) + ' MiB'
        : Math.round(value / 1024) + ' KiB';
}

// the bound that so much of a histogram is below of

function quantile(histogram, q) {
    if (!histogram || !histogram.count) { return null; }
    const rank = histogram.count * q;
    const bucket = histogram.buckets.find(([, count]) => count >= rank);
    return bucket ? bucket[0] : Infinity;
}

function below(histogram, q) {
    const bound = quantile(histogram, q);
    return bound === null ? '–' : bound === Infinity ? '> 60 s'
        : '≤ ' + seconds(bound);
}

// the day only when it is another one

function at(time) {
    const date = new Date(time * 1000);
    const today = date.toDateString() === new Date().toDateString();
    return make('time', { datetime: date.toISOString(), class: 'nowrap' },
        today ? date.toLocaleTimeString('en-GB')
            : date.toLocaleString('en-GB'));
}


// the parts of the page

function tiles(s) {
    const accounts = s.accounts.map(a => a.metrics);
    const all = name => accounts.reduce((a, m) => a + sum(m[name]), 0);
    const copies = accounts.reduce((a, m) => a + (m.copies_total || 0), 0);
    const decisions = accounts.reduce((a, m) => {
        for (const [name, value] of Object.entries(m.decisions_total)) {
            a[name] = (a[name] || 0) + value;
        }
        return a;
    }, {});
    const waiting = s.credentials.reduce((a, c) =>
        a + sum(c.metrics.queue_length), 0);

    const list = [
        [ 'Copies made', n(copies) ],
        [ 'Requests', n(sum(decisions)) ],
        [ 'Refused', n(decisions.refused || 0) ],
        [ 'Answered again', n(decisions.duplicate || 0) ],
        [ 'Waiting', n(waiting) ],
        [ 'To settle', n(s.node.holds), s.node.holds ? 'bad' : '' ],
        [ 'Audit sync, 99 %', below(s.node.audit_sync_seconds, .99) ],
        [ 'Upstream, 99 %', below(s.node.upstream_duration_seconds[COPY], .99) ],
    ];

    draw('tiles', list, () => facts(list));
}

function holds(s) {
    draw('holds', s.holds.map(h => [ h.id, h.region, Math.floor(h.left / 10) ]),
        () => s.holds.length ? [ table('Unknown outcomes', [
            [ 'Region', '', h => h.region || 'all of the call' ],
            [ 'Snapshot', '', h => make('code', null, h.snapshot || '') ],
            [ 'Since', 'n', h => seconds(h.age) ],
            [ 'Held for', 'n', h => seconds(h.left) ],
            [ 'Account', '', h => h.account || '' ],
            [ 'Request id', 'wide', h => make('code', null, h.id) ],
        ], s.holds) ] : [ empty('None: the outcome of every copy is known.') ]);
}

function why(rules) {
    const found = Object.entries(rules).filter(([, value]) => value)
        .sort((a, b) => b[1] - a[1]);

    return found.length ? make('span', { class: 'chips' },
        ...found.map(([rule, value]) => chip(rule + ' ' + n(value), 'warn')))
        : '';
}

function quota(m) {
    if (m.quota_limit === undefined) { return 'no limit'; }

    const text = n(m.quota_used) + ' / ' + n(m.quota_limit);

    return make('span', { class: 'nowrap' }, make('meter', { min: 0,
        max: m.quota_limit, value: m.quota_used, high: m.quota_limit * .8,
        optimum: 0, 'aria-label': 'quota used' }), text);
}

function accounts(s) {
    const rows = s.accounts.filter(a => a.name !== 'none'
        || sum(a.metrics.decisions_total));

    draw('accounts', rows, () => [ table('Accounts', [
        [ 'Account', '', a => a.name === 'none' ? 'none (not identified)'
            : a.name ],
        [ 'Rate', 'nowrap', a => a.rate ? a.rate + (a.burst
            ? ', burst ' + a.burst : '') : a.credential ? 'no limit' : '' ],
        [ 'Quota today', '', a => a.credential ? quota(a.metrics) : '' ],
        [ 'Weight', 'n', a => a.weight === undefined ? '' : n(a.weight) ],
        [ 'Requests', 'n', a => n(sum(a.metrics.decisions_total)) ],
        [ 'Copies', 'n', a => n(a.metrics.copies_total) ],
        [ 'Refused', 'n', a => n(a.metrics.decisions_total.refused) ],
        [ 'Unknown', 'n', a => n(Object.values(a.metrics.outcomes_total)
            .reduce((sum, o) => sum + o.unknown, 0)) ],
        [ 'Refused or failed by', 'wide', a => why(a.metrics.refusals_total) ],
    ], rows) ]);
}

// what is wrong with a credential, the worst first

const SOON = 300;       // a temporary one was to be fetched anew before that

function health(c) {
    const m = c.metrics;
    const list = [];

    if (!m.credential_valid) { list.push([ 'does not sign', 'bad' ]); }

    if (m.credential_expiry_seconds < SOON) {
        list.push([ 'ends soon', 'warn' ]);
    }

    if (c.result && c.result !== 'ok') {
        list.push([ 'refresh: ' + c.result, 'warn' ]);
    }

    if (cap(m, 'upstream_limit') < cap(m, 'upstream_limit_configured') * .99) {
        list.push([ 'slowed down by Tencent Cloud', 'warn' ]);
    }

    return list.length ? list : [ [ 'good', 'good' ] ];
}

const cap = (m, name) => (m[name] || {})[COPY];

const failures = m => sum(m.credential_refreshes_total)
    - m.credential_refreshes_total.ok;

function credentials(s) {
    const rows = s.credentials.map(c => ({ name: c.name, source: c.source,
        key: c.key || '', health: health(c),
        ends: c.metrics.credential_expiry_seconds === undefined
            ? c.metrics.credential_valid ? 'never' : ''
            : 'in ' + seconds(Math.max(0, c.metrics.credential_expiry_seconds)),
        refreshed: c.metrics.credential_refresh_timestamp_seconds,
        failures: failures(c.metrics) }));

    draw('credentials', rows, () => [ table('Credentials', [
        [ 'Credential', '', c => c.name ],
        [ 'State', '', c => make('span', { class: 'chips' },
            ...c.health.map(([ text, kind ]) => chip(text, kind))) ],
        [ 'Source', '', c => c.source ],
        [ 'Key id', '', c => c.key ? make('code', null, c.key) : '' ],
        [ 'Ends', 'nowrap', c => c.ends ],
        [ 'Last refresh', '', c => c.refreshed ? at(c.refreshed) : 'none yet' ],
        [ 'Failed refreshes', 'n', c => n(c.failures) ],
    ], rows) ]);
}

function rate(m) {
    const now = cap(m, 'upstream_limit');

    return now === undefined ? 'no limit' : now.toFixed(1) + ' of '
        + cap(m, 'upstream_limit_configured').toFixed(1) + ' / s';
}

function use(s) {
    const rows = s.credentials.map(c => ({ name: c.name, metrics: c.metrics }));

    draw('use', rows, () => [ table('Use of the credentials', [
        [ 'Credential', '', c => c.name ],
        [ 'Allowed now', 'n', c => rate(c.metrics) ],
        [ 'Waiting', 'n', c => n(sum(c.metrics.queue_length)) ],
        [ 'Waited, 99 %', 'n', c => below(c.metrics.queue_wait_seconds[COPY],
            .99) ],
        [ 'Copies sent', 'n', c => n(c.metrics.upstream_requests_total[COPY]) ],
        [ 'Looks sent', 'n', c => n(c.metrics.upstream_requests_total
            .DescribeSnapshots) ],
        [ 'Refused for the rate', 'n', c =>
            n(sum(c.metrics.upstream_throttled_total)) ],
    ], rows) ]);
}


// gateways that share a Redis

const decided = { shared: 'with the others', local: 'on its own',
    closed: 'refused' };
const granted = { shared: [ 'from Redis', 'good' ],
    local: [ 'share of this gateway', 'warn' ],
    closed: [ 'none, calls wait', 'bad' ] };

const there = modes => Object.entries(modes).filter(([, value]) => value);

function workers(modes) {
    const some = there(modes);

    return some.map(([ mode, value ]) => decided[mode]
        + (some.length > 1 ? ' (' + n(value) + ')' : '')).join(', ');
}

const worst = modes => modes.closed ? 'bad' : modes.local ? 'warn' : '';

function leases(s) {
    return s.credentials.flatMap(c => Object.entries(c.metrics.lease_mode || {})
        .map(([ action, modes ]) => {
            const of = name => c.metrics['lease_slots_' + name][action];

            return { name: c.name, action, mode: (there(modes)[0] || [])[0],
                held: of('held'), asked: of('asked'), lent: of('lent_total'),
                lapsed: of('lapsed_total') };
        }));
}

function fleet(s) {
    $('fleet').hidden = !s.redis;

    if (!s.redis) { return; }

    const m = s.redis.metrics;
    const calls = m.redis_calls_total;
    const { rates, duplicates } = m.redis_mode_workers;
    const up = m.redis_up === 1;

    draw('redis', up, () => [ up ? chip('Redis is used', 'good')
        : chip('Redis cannot be used', 'bad') ]);

    const list = [
        [ 'Redis', s.redis.name ],
        [ 'Gateways', n(m.redis_nodes) ],
        [ 'Rates and quotas', workers(rates), worst(rates) ],
        [ 'Copies', workers(duplicates), worst(duplicates) ],
        [ 'Workers without Redis', n(m.redis_open_workers) + ' of '
            + n(s.node.workers), up ? '' : 'bad' ],
        [ 'Times a worker lost it', n(m.redis_opens_total) ],
        [ 'Calls answered', n(calls.ok) ],
        [ 'Answered, 99 %', below(m.redis_call_duration_seconds, .99) ],
        [ 'Too late', n(calls.timeout) ],
        [ 'Failed', n(calls.error) ],
        [ 'Decided without asking', n(calls['not-asked']) ],
        [ 'Addresses', n(m.redis_servers) ],
    ];

    draw('shared', list, () => facts(list));

    const rows = leases(s);

    draw('leases', rows, () => rows.length ? [ table('Slots', [
        [ 'Credential', '', l => l.name ],
        [ 'Action', '', l => l.action === COPY ? 'copy' : 'look' ],
        [ 'Slots', '', l => l.mode ? chip(...granted[l.mode]) : '' ],
        [ 'Held', 'n', l => n(l.held) ],
        [ 'Asked for', 'n', l => n(l.asked) ],
        [ 'Lent', 'n', l => n(l.lent) ],
        [ 'Not used in time', 'n', l => n(l.lapsed) ],
    ], rows) ] : []);
}

const kinds = { allowed: 'good', refused: 'bad', duplicate: 'warn',
    'would-refuse': 'warn' };

function decisions(s) {
    const text = $('filter').value.trim().toLowerCase();
    const kind = $('decision').value;

    const rows = s.decisions.filter(d => (!kind || d.decision === kind)
        && text.split(/\s+/).every(word => JSON.stringify(Object.values(d))
            .toLowerCase().includes(word)));

    const some = all ? rows : rows.slice(0, few());

    const count = n(rows.length) + ' of the last ' + n(s.decisions.length)
        + ' decisions about callers with an account';

    if ($('shown').textContent !== count) { $('shown').textContent = count; }

    $('more').hidden = rows.length <= few();
    $('more').textContent = all ? 'Show the latest ' + few()
        : 'Show all ' + rows.length;

    draw('decisions', some, () => rows.length ? [ table('Last decisions', [
        [ 'Time', '', d => at(d.time) ],
        [ 'Account', '', d => d.account ],
        [ 'Action', '', d => d.action === COPY ? 'copy'
            : d.action === 'none' ? '' : 'look' ],
        [ 'From → to', 'wide', d => !d.to ? d.from || '' : d.from + ' → ' + d.to
            + (d.regions ? ' +' + (d.regions - 1) : '') ],
        [ 'Snapshot', '', d => d.snapshot
            ? make('code', null, d.snapshot) : '' ],
        [ 'Decision', '', d => chip(d.decision, kinds[d.decision]) ],
        [ 'Outcome', '', d => d.outcome || '' ],
        [ 'Code', 'wide', d => d.code === 'Success' ? '' : d.code
            + (d.rule ? ' (' + d.rule + ')' : '') ],
        [ 'Took', 'n', d => seconds(d.ms / 1000) ],
        [ 'Request id', 'wide', d => make('code', null, d.id) ],
    ], some) ] : [ empty('No decision fits.') ]);
}

function node(s) {
    const m = s.node;
    const skew = m.upstream_clock_skew_seconds;

    const list = [
        [ 'Workers', n(m.workers) ],
        [ 'Workers started', n(m.worker_starts_total) ],
        [ 'Configuration', 'no. ' + n(m.config_generation) + ', '
            + new Date(m.config_load_timestamp_seconds * 1000)
                .toLocaleString('en-GB') ],
        [ 'Reloads that failed', n(m.config_reload_failures_total) ],
        [ 'Policy', s.policy ],
        [ 'Clock against Tencent Cloud', skew === undefined ? 'not known yet'
            : (skew > 0 ? '+' : '') + skew + ' s' ],
        [ 'Audit records', n(sum(m.audit_records_total)) ],
        [ 'Audit syncs', n(m.audit_sync_seconds.count) ],
        [ 'Audit write failures', n(m.audit_write_failures_total) ],
        [ 'Intents without an outcome', n(m.open_intents) ],
        [ 'Shared memory free', bytes(m.zone_free_bytes) + ' of '
            + bytes(m.zone_size_bytes) ],
    ];

    draw('node', list, () => facts(list));
}


// the plot

let plot = null;

const colour = name => getComputedStyle(document.documentElement)
    .getPropertyValue(name).trim();

function chosen(s) {
    const select = $('credential');
    const names = s.credentials.map(c => c.name);

    draw('credential', names, () => names.map(name =>
        make('option', null, name)));
    select.parentNode.hidden = names.length < 2;

    return s.credentials.find(c => c.name === select.value)
        || s.credentials[0];
}

function width() {
    return Math.max(200, $('plot').clientWidth);
}

function budget(s) {
    const c = chosen(s);

    if (!c) { return; }

    const used = c.seconds[COPY];
    const end = Math.floor(s.time) - 1;
    const times = used.map((_, i) => end - used.length + 1 + i);
    const limit = cap(c.metrics, 'upstream_limit');
    const peak = Math.max(...used);
    const top = Math.max(limit || 0, peak, 1);

    $('budget').textContent = 'Now ' + n(used[used.length - 1])
        + ' copies a second'
        + (limit === undefined ? '' : ' of ' + limit.toFixed(1) + ' allowed')
        + ', ' + n(c.metrics.queue_length[COPY]) + ' waiting; '
        + n(peak) + ' a second at most, ' + n(used.reduce((a, b) => a + b, 0))
        + ' in the last ' + used.length + ' seconds.';

    const data = [ times, used, times.map(() => limit === undefined ? null
        : limit) ];

    if (plot) {
        plot.top = top;
        plot.setData(data);
        return;
    }

    const axis = { stroke: () => colour('--quiet'), font: '12px system-ui',
        grid: { stroke: () => colour('--line'), width: 1 },
        ticks: { stroke: () => colour('--line'), width: 1 } };

    plot = new uPlot({
        width: width(), height: 200, legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: true },
            y: { range: () => [ 0, Math.ceil((plot ? plot.top : top) * 1.15) ] } },
        axes: [ { ...axis, space: 70, values: (u, at) => at.map(t =>
            new Date(t * 1000).toLocaleTimeString('en-GB')) },
            { ...axis, size: 40, incrs: [ 1, 2, 5, 10, 20, 50, 100, 200, 500,
                1000, 2000, 5000 ] } ],
        series: [ {},
            { label: 'copies', stroke: () => colour('--accent'),
                fill: () => colour('--fill'), width: 2, points: { show: false },
                paths: uPlot.paths.stepped({ align: -1 }) },
            { label: 'limit', stroke: () => colour('--limit'), width: 2,
                dash: [ 6, 4 ], points: { show: false } } ],
    }, data, $('plot'));
    plot.top = top;
}


// what changes is said, once

let said = {};

function say(s) {
    const now = { ready: s.ready, holds: s.node.holds,
        redis: s.redis && s.redis.metrics.redis_up };
    const news = [];

    if (said.ready !== undefined && said.ready !== now.ready) {
        news.push(now.ready ? 'The gateway is ready.'
            : 'The gateway is not ready: ' + s.unready + '.');
    }

    if (said.holds !== undefined && now.holds > said.holds) {
        news.push('There are ' + now.holds + ' unknown outcomes to settle.');
    }

    if (said.redis !== undefined && now.redis !== undefined
        && said.redis !== now.redis)
    {
        news.push(now.redis ? 'Redis is used again.'
            : 'Redis cannot be used.');
    }

    said = now;

    if (news.length) { $('says').textContent = news.join(' '); }
}

function badge(state, text) {
    const node = $('ready');
    node.dataset.state = state;
    if (node.textContent !== text) { node.textContent = text; }
}

function show(s) {
    last = s;
    badge(s.ready ? 'good' : 'bad', s.ready ? 'ready' : s.unready);
    $('updated').replaceChildren(paused ? 'Paused at ' : 'Live, ', at(s.time));
    $('version').textContent = 'ngx_http_tccbs_module ' + s.version
        + ', nginx ' + s.nginx;

    for (const part of [ tiles, budget, use, holds, accounts, credentials,
        fleet, decisions, node, say ])
    {
        part(s);
    }
}

async function load() {
    clearTimeout(timer);

    if (paused || document.hidden) { return; }

    try {
        const answer = await fetch('?format=json', { cache: 'no-store' });

        if (!answer.ok) { throw new Error('status ' + answer.status); }

        const s = await answer.json();

        if (!paused) { show(s); }
        failed = false;

    } catch (error) {
        badge('bad', 'no answer: ' + error.message);
        if (!failed) { $('says').textContent = 'The gateway does not answer.'; }
        failed = true;
    }

    clearTimeout(timer);
    timer = setTimeout(load, EVERY);
}


// what people do

$('pause').addEventListener('click', () => {
    paused = !paused;
    $('pause').setAttribute('aria-pressed', paused);
    $('pause').textContent = paused ? 'Resume' : 'Pause';
    $('says').textContent = paused ? 'Paused.' : 'Live again.';
    if (last) { show(last); }
    load();
});

$('filter').addEventListener('input', () => last && filtered());
$('decision').addEventListener('change', () => last && filtered());

function filtered() {
    decisions(last);
    $('says').textContent = $('shown').textContent + '.';
}

$('more').addEventListener('click', () => {
    all = !all;
    if (last) { decisions(last); }
});

$('credential').addEventListener('change', () => last && budget(last));

const themes = [ 'auto', 'light', 'dark' ];
const dark = matchMedia('(prefers-color-scheme: dark)');
let theme = 'auto';

try { theme = localStorage.getItem('tccbs-theme') || 'auto'; } catch (e) { }

function themed() {
    if (!themes.includes(theme)) { theme = 'auto'; }

    document.documentElement.dataset.theme = theme !== 'auto' ? theme
        : dark.matches ? 'dark' : 'light';
    $('theme').textContent = 'Theme: ' + theme;
    if (plot) { plot.redraw(); }
}

$('theme').addEventListener('click', () => {
    theme = themes[(themes.indexOf(theme) + 1) % themes.length];
    try { localStorage.setItem('tccbs-theme', theme); } catch (e) { }
    themed();
});

dark.addEventListener('change', themed);
document.addEventListener('visibilitychange', load);
addEventListener('resize', () => plot && plot.setSize({ width: width(),
    height: 200 }));

themed();
load();

})();
