// Signs a call for nginx's njs: what proxy_set_header needs is in variables,
// the body was read when they are asked for.

var crypto = require('crypto');

// "credential" is preloaded.  A request has a machine of its own, so that
// nothing can be kept from one to the next: the key is derived each time.

function hmac(secret, text, encoding) {
    return crypto.createHmac('sha256', secret).update(text).digest(encoding);
}

function hash(text) {
    return crypto.createHash('sha256').update(text).digest('hex');
}

function authorization(r) {
    var now = Math.floor(Date.now() / 1000);
    var date = new Date(now * 1000).toISOString().slice(0, 10);

    var key = hmac(hmac(hmac('TC3' + credential.secret_key, date), 'cbs'),
                   'tc3_request');

    var request = 'POST\n/\n\ncontent-type:application/json\n'
        + 'host:cbs.intl.tencentcloudapi.com\n\ncontent-type;host\n'
        + hash(r.requestText);

    var scope = date + '/cbs/tc3_request';
    var text = 'TC3-HMAC-SHA256\n' + now + '\n' + scope + '\n' + hash(request);

    r.variables.stamp = now;

    return 'TC3-HMAC-SHA256 Credential=' + credential.secret_id + '/' + scope
        + ', SignedHeaders=content-type;host, Signature='
        + hmac(key, text, 'hex');
}

export default { authorization };
