// Verifies messages as a product would: by the library of Standard Webhooks.
// Usage: verify.cjs <[{"secret", "headers", "body"}]>; prints for each the type that it says, or why it is refused, as a JSON array.
'use strict';

const { Webhook } = require('standardwebhooks');

const verified = ({ secret, headers, body }) => {
    try {
        return new Webhook(secret).verify(body, headers).type;
    } catch (error) {
        return `refused: ${error.message}`;
    }
};

console.log(JSON.stringify(JSON.parse(process.argv[2]).map(verified)));
